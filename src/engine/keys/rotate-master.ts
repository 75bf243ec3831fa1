import { RetakeError } from '../../base/errors.ts'
import { findHolder, type HolderRemoval, removeHolder } from '../../repository/keys/holder-removal.ts'
import type { Retake } from '../open.ts'
import { currentActor } from './actor.ts'
import { type AddedKey, type AddKeyOptions, addKey } from './add-key.ts'
import type { NewKeySource } from './new-key.ts'
import { judgeRotation } from './rotation-policy.ts'

export interface RotateMasterOptions extends Omit<AddKeyOptions, 'source' | 'dryRun'> {
  /** Where the new key comes from; asked only when it is needed. */
  readonly source: () => Promise<NewKeySource>
  /** The holder to replace: its id or label. Default: the one whose key opened the repository. */
  readonly replaces?: string | undefined
  /** Only when `keyRotationDays` of the configuration have passed since the old key was added. */
  readonly ifDue?: boolean | undefined
  /** Say what would be done, and change nothing. */
  readonly dryRun?: boolean | undefined
  readonly force?: boolean | undefined
  /** For the record. Default: `user@host`. */
  readonly by?: string | undefined
}

export type RotatedMaster =
  | { readonly outcome: 'not-due' | 'planned'; readonly replaces: string; readonly dueAt?: string | undefined }
  | {
      readonly outcome: 'rotated'
      readonly replaces: string
      readonly added: AddedKey
      readonly removed: HolderRemoval
    }

/**
 * Replaces a key: the new one is stored and proven to open the repository before the old one is taken away. Cut short anywhere,
 * the old one opens it, or both do; the same call again finishes.
 * @throws RetakeError `key.refused`, `key.unknown`, and what {@link addKey} throws
 */
export async function rotateMaster(retake: Retake, options: RotateMasterOptions): Promise<RotatedMaster> {
  const { repository, clock, config } = retake
  const old = options.replaces === undefined ? repository.openedBy : await findHolder(repository, options.replaces)
  const createdAt = (await repository.listHolders()).find(({ holder }) => holder === old)?.createdAt ?? ''
  const { due, dueAt } = judgeRotation(createdAt, { days: config.keyRotationDays, now: clock.now() })
  if (options.ifDue && !due) return { outcome: 'not-due', replaces: old, dueAt }
  if (options.dryRun) return { outcome: 'planned', replaces: old, dueAt }
  const added = await addKey(retake, { ...options, source: await options.source() })
  if (added.holder === old) {
    throw new RetakeError('key.refused', `The new key is the one in use (${old}), so there is nothing to take away.`, {
      hint: 'If an earlier rotation was cut short, name the key it should replace: --replaces HOLDER (see `retake keys list`).',
      details: { holder: old },
    })
  }
  const removed = await removeHolder(repository, {
    holder: old,
    by: options.by ?? currentActor(),
    now: clock.now(),
    force: options.force,
  })
  return { outcome: 'rotated', replaces: old, added, removed }
}
