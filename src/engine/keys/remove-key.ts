import { findHolder, type HolderRemoval, removeHolder } from '../../repository/keys/holder-removal.ts'
import type { Retake } from '../open.ts'
import { currentActor } from './actor.ts'

export interface RemoveKeyOptions {
  /** The holder's id, or its label where only one has it. */
  readonly holder: string
  /** Also when only recovery kits are left. */
  readonly force?: boolean | undefined
  /** For the record. Default: `user@host`. */
  readonly by?: string | undefined
}

/**
 * Takes a key away. It opens nothing that is read from the repository afterwards; but who had it could have kept the repository
 * key, or a copy of the holder file, and keeps what they open.
 * @throws RetakeError `key.unknown`, `key.refused` for the last key, and without `force` for the last that is no recovery kit
 */
export async function removeKey(retake: Retake, options: RemoveKeyOptions): Promise<HolderRemoval> {
  const { repository, clock } = retake
  return await removeHolder(repository, {
    holder: await findHolder(repository, options.holder),
    by: options.by ?? currentActor(),
    now: clock.now(),
    force: options.force,
  })
}
