/** The verbs that keep copies alike: sync, heal, make another one primary, give one up. */
import { RetakeError } from '../../base/errors.ts'
import { type CopyHealing, healRepository } from '../../repository/mirrors/heal.ts'
import { type CopySync, mirroredStoreOf, syncRepository } from '../../repository/mirrors/sync.ts'
import { repositoryAt } from '../../repository/repository.ts'
import { readNewestRecord } from '../../storage/mirrored/copy-record.ts'
import { storeOfCopy } from '../../storage/mirrored/copy-store.ts'
import { MirroredStore } from '../../storage/mirrored/mirrored-store.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { nearest } from '../nearest.ts'
import { assembleRetake, copyPlaces, type Retake } from '../open.ts'
import { type Operation, type OperationOptions, startOperation } from '../operation.ts'
import { preparePlaces } from './prepare-places.ts'

export interface SyncMirrorsOptions extends OperationOptions {
  /** One copy. Default: all but the primary. */
  readonly copy?: string | undefined
  /** Also begin copies whose place is still empty; directories are made. Default false. */
  readonly setUp?: boolean | undefined
  /** Compare the beginnings of all objects, not only of what can differ. Default false. */
  readonly full?: boolean | undefined
}

/**
 * Brings the copies up to date with each other; once.
 *
 * ```ts
 * for (const { name, outcome, copiedObjects } of await syncMirrors(retake).result) console.log(name, outcome, copiedObjects)
 * ```
 * @throws RetakeError by its `result`: `config.invalid` without mirrors, `storage.failed` when no copy that counts can be reached, `aborted`
 */
export function syncMirrors(retake: Retake, options: SyncMirrorsOptions = {}): Operation<readonly CopySync[]> {
  return startOperation(async (context) => {
    assertCopy(retake, options.copy)
    if (options.setUp) await preparePlaces(retake, options.copy)
    return await syncRepository({
      ...context,
      repository: retake.repository,
      copies: options.copy === undefined ? undefined : [options.copy],
      setUp: options.setUp,
      full: options.full,
      clock: retake.clock,
    })
  }, options)
}

export interface HealMirrorsOptions extends OperationOptions {
  /** Heal this copy. Default: all. */
  readonly copy?: string | undefined
  /** Look for damage in every byte. Default false: in what lists the content. */
  readonly deep?: boolean | undefined
  /** Say what would be done, and change nothing. */
  readonly dryRun?: boolean | undefined
}

/**
 * Replaces what is damaged or missing in one copy from another in which it is whole.
 * @throws RetakeError by its `result`: `config.invalid` without mirrors, `storage.failed`, `aborted`
 */
export function healMirrors(retake: Retake, options: HealMirrorsOptions = {}): Operation<readonly CopyHealing[]> {
  return startOperation(async (context) => {
    assertCopy(retake, options.copy)
    return await healRepository({
      ...context,
      repository: retake.repository,
      copies: options.copy === undefined ? undefined : [options.copy],
      depth: options.deep ? 'deep' : 'quick',
      dryRun: options.dryRun,
      workers: retake.config.workers,
      clock: retake.clock,
    })
  }, options)
}

export interface SwitchPrimaryOptions extends OperationOptions {
  /** Make it primary although copies that hold more cannot be reached; what they hold more comes back with them. */
  readonly evenIfBehind?: boolean | undefined
  readonly dryRun?: boolean | undefined
}

export interface SwitchPrimaryReport {
  readonly primary: string
  readonly before: string
  /** False: it was primary already, or it is a dry run. */
  readonly changed: boolean
  /** What was brought to it first. */
  readonly sync?: CopySync | undefined
}

/**
 * Makes one copy the primary: at once when it is current, after a sync when it is behind. Running processes follow at their next write.
 * @throws RetakeError by its `result`: `config.invalid` for an unknown copy, `storage.failed` when it is behind and cannot catch up
 */
export function switchPrimary(
  retake: Retake,
  name: string,
  options: SwitchPrimaryOptions = {},
): Operation<SwitchPrimaryReport> {
  return startOperation(async (context) => {
    assertCopy(retake, name)
    const { copies, address } = mirroredStoreOf(retake.repository)
    await copies.load({ all: true })
    const before = copies.record.primary
    const holdsAll = () => copies.current().some((copy) => copy.name === name)
    let sync: CopySync | undefined
    if (!holdsAll() && !options.evenIfBehind && !options.dryRun) {
      const reports = await syncRepository({
        ...context,
        repository: retake.repository,
        copies: [name],
        clock: retake.clock,
      })
      sync = reports[0]
      if (sync?.outcome !== 'current' && sync?.outcome !== 'following') throw cannotCatchUp(name, sync)
    }
    const changed = before !== name || !holdsAll()
    if (changed && !options.dryRun) {
      const alone = address.mirrorSync === 'primary' || !holdsAll()
      await copies.announce(({ primary, current, members }) =>
        primary === name && current.includes(name)
          ? undefined
          : {
              primary: name,
              ...(alone ? { current: [name], joining: [] } : {}),
              members: members.includes(name) ? members : [...members, name],
              reason:
                alone && sync === undefined
                  ? `${name} was made primary, though others may hold more`
                  : `${name} was made primary`,
            },
      )
      if (copies.record.primary !== name) throw cannotCatchUp(name, sync)
    }
    return {
      primary: options.dryRun ? before : name,
      before,
      changed: changed && !options.dryRun,
      ...(sync ? { sync } : {}),
    }
  }, options)
}

/** Gives a copy up: it is not written to any more, and deletions do not wait for it. What is stored there stays. */
export async function forgetMirror(retake: Retake, name: string): Promise<{ readonly changed: boolean }> {
  const { copies } = mirroredStoreOf(retake.repository)
  await copies.load({ all: true })
  const { primary, members } = copies.record
  if (primary === name) {
    throw new RetakeError('config.invalid', `"${name}" is the primary copy.`, {
      hint: 'Make another one the primary first: retake repo primary NAME',
    })
  }
  if (!members.includes(name)) return { changed: false }
  await copies.announce((record) => {
    if (!record.members.includes(name)) return undefined
    const without = (names: readonly string[]) => names.filter((one) => one !== name)
    return {
      members: without(record.members),
      current: without(record.current),
      joining: without(record.joining),
      reason: `${name} was given up`,
    }
  })
  return { changed: true }
}

/**
 * The same repository read at one copy alone, for verifying it; what is written goes to all copies.
 * @param name default: the primary, where there are mirrors
 * @throws RetakeError `config.invalid` for an unknown copy
 */
export function retakeAtCopy(retake: Retake, name?: string): Retake {
  const { store } = retake.repository
  if (name !== undefined) assertCopy(retake, name)
  if (!(store instanceof MirroredStore)) return retake
  const [primary] = store.copies.current()
  const copy = name === undefined ? primary : store.copies.copies.find((one) => one.name === name)
  if (copy === undefined) return retake
  const { get, head, list, url } = storeOfCopy(copy)
  const at: ObjectStore = {
    get,
    head,
    list,
    url,
    create: (key, body) => store.create(key, body),
    openWriter: (key) => store.openWriter(key),
    replace: (key, body) => store.replace(key, body),
    delete: (key, options) => store.delete(key, options),
    async [Symbol.asyncDispose]() {},
  }
  return assembleRetake(retake, repositoryAt(retake.repository, at))
}

/**
 * Refuses to write to one copy of a repository that has others, of which this configuration knows nothing.
 * @throws RetakeError `config.invalid`
 */
export async function assertMirrorsConfigured(retake: Retake): Promise<void> {
  const { store } = retake.repository
  if (store instanceof MirroredStore) return
  const members = (await readNewestRecord(store))?.record.members ?? []
  if (members.length < 2) return
  throw new RetakeError(
    'config.invalid',
    `The repository is kept in ${members.length} places (${members.join(', ')}), and no mirrors are configured here: they would miss what is written.`,
    { hint: 'Add `mirrors` to the configuration, with the names above.', details: { copies: members } },
  )
}

function assertCopy(retake: Retake, name: string | undefined): void {
  const names = copyPlaces(retake).map((place) => place.name)
  if (name === undefined || names.includes(name)) return
  const candidate = nearest(name, names)
  throw new RetakeError('config.invalid', `There is no copy "${name}"; there are ${names.join(', ')}.`, {
    hint: candidate ? `Did you mean "${candidate}"?` : 'See `retake repo mirrors`.',
  })
}

function cannotCatchUp(name: string, sync: CopySync | undefined): RetakeError {
  const why =
    sync?.error?.message ?? (sync?.outcome === 'conflict' ? `It differs in ${sync.conflicts.join(', ')}.` : '')
  return new RetakeError(
    'storage.failed',
    `"${name}" was not made primary: it is behind, and could not catch up. ${why}`.trim(),
    {
      hint: `To go on with what it holds: retake repo primary ${name} --even-if-behind`,
    },
  )
}
