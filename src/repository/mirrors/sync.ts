/**
 * Brings copies that are behind up to date, and lets them become current again: a pass, then it is *joining* (writers include it), a pass, then it is
 * current, and a last pass for what was written in between. See `docs/design/mirrors.md`.
 */
import { throwIfAborted } from '../../base/abort.ts'
import { type Clock, systemClock } from '../../base/clock.ts'
import { RetakeError, type SerializedError, toRetakeError } from '../../base/errors.ts'
import type { ProgressListener } from '../../base/progress.ts'
import type { Copy } from '../../storage/mirrored/copy.ts'
import { writeSynced } from '../../storage/mirrored/copy-record.ts'
import { storeOfCopy } from '../../storage/mirrored/copy-store.ts'
import type { PlaceState } from '../../storage/mirrored/look-at-place.ts'
import { MirroredStore } from '../../storage/mirrored/mirrored-store.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { acquireLease } from '../lease.ts'
import { type Repository, repositoryAt } from '../repository.ts'
import { Authenticator } from './authenticity.ts'
import { runPass } from './sync-pass.ts'
import { type SyncCounts, type SyncFindings, SyncTally } from './sync-report.ts'

export interface SyncOptions {
  /** Opened over all of its copies. */
  readonly repository: Repository
  /** Only these copies. Default: all but the primary. */
  readonly copies?: readonly string[] | undefined
  /** Also begin copies whose place is still empty. Default false: an emptied place is not filled by itself. */
  readonly setUp?: boolean | undefined
  /** Compare the headers of everything. Default false. */
  readonly full?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
  readonly clock?: Clock | undefined
}

export interface CopySync extends SyncCounts, SyncFindings {
  readonly name: string
  /** `current`: it holds everything and is written to. `following`: it holds everything as of now (`mirrorSync: primary`). */
  readonly outcome: 'current' | 'following' | 'conflict' | 'failed'
  readonly error?: SerializedError | undefined
}

/** @throws RetakeError `config.invalid` when the repository has no mirrors or not that one; what a single copy says is in its report */
export async function syncRepository(options: SyncOptions): Promise<CopySync[]> {
  const mirrored = mirroredStoreOf(options.repository)
  const states = await mirrored.copies.load({ all: true })
  const [primary] = mirrored.copies.current()
  if (primary === undefined) throw nothingCurrent()
  await using _pruning = await withoutPruning(options)
  const chosen = mirrored.copies.copies.filter(
    (copy) => copy !== primary && (options.copies?.includes(copy.name) ?? true),
  )
  const reports: CopySync[] = []
  for (const copy of chosen) {
    const tally = new SyncTally()
    try {
      assertUsable(copy, states[copy.index], options)
      const outcome = await syncCopy(copy, { options, mirrored, tally })
      reports.push({ name: copy.name, outcome, ...tally.counts, ...tally.findings })
    } catch (error) {
      if (options.signal?.aborted) throw error
      const failure = toRetakeError(error).toJSON()
      reports.push({ name: copy.name, outcome: 'failed', error: failure, ...tally.counts, ...tally.findings })
    }
  }
  return reports
}

/** What is being deleted from one copy after the other would be taken for something that the first lacks. */
async function withoutPruning(options: SyncOptions): Promise<AsyncDisposable> {
  const { clock = systemClock } = options
  const repository = repositoryAt(options.repository, mirroredStoreOf(options.repository).relaxed())
  const leases = new AsyncDisposableStack()
  try {
    for (const name of await repository.listClusters()) {
      const cluster = await repository.openCluster(name)
      leases.use(await acquireLease(cluster, { role: 'prune', holder: 'retake repo sync', clock }))
    }
    return leases
  } catch (error) {
    await leases.disposeAsync()
    throw error
  }
}

/** The store of a repository that has mirrors. @throws RetakeError `config.invalid` when it has none */
export function mirroredStoreOf(repository: Repository): MirroredStore {
  if (repository.store instanceof MirroredStore) return repository.store
  throw new RetakeError('config.invalid', 'No mirrors are configured, so there is only one copy of the repository.', {
    hint: 'Add `mirrors` to the configuration, or RETAKE_MIRRORS="NAME=URL", then run `retake repo sync --set-up`.',
  })
}

interface SyncContext {
  readonly options: SyncOptions
  readonly mirrored: MirroredStore
  readonly tally: SyncTally
}

async function syncCopy(copy: Copy, context: SyncContext): Promise<CopySync['outcome']> {
  const { mirrored, tally } = context
  const { copies } = mirrored
  const hasConflict = () => tally.findings.conflicts.length > 0
  const isCurrent = () => copies.current().includes(copy)
  if (isCurrent()) {
    await pass(copy, context, { isCurrent: true })
    return hasConflict() ? 'conflict' : 'current'
  }
  await pass(copy, context, { isCurrent: false })
  if (hasConflict()) return 'conflict'
  if (mirrored.address.mirrorSync === 'primary') {
    await copies.announce(({ members }) =>
      members.includes(copy.name) ? undefined : { members: [...members, copy.name], reason: `${copy.name} was added` },
    )
    return 'following'
  }
  await copies.announce(({ joining, members }) => ({
    joining: union(joining, copy.name),
    members: union(members, copy.name),
    reason: `${copy.name} is catching up`,
  }))
  await pass(copy, context, { isCurrent: false })
  if (hasConflict()) return 'conflict'
  await copies.announce(({ current, joining }) => {
    if (!joining.includes(copy.name)) return undefined
    return {
      current: union(current, copy.name),
      joining: joining.filter((name) => name !== copy.name),
      reason: `${copy.name} has caught up`,
    }
  })
  if (!isCurrent()) throw lostAgain(copy)
  await pass(copy, context, { isCurrent: true })
  return hasConflict() ? 'conflict' : 'current'
}

async function pass(copy: Copy, context: SyncContext, options: { readonly isCurrent: boolean }): Promise<void> {
  const { mirrored, tally } = context
  const { repository, full, signal, onProgress, clock = systemClock } = context.options
  const [primary] = mirrored.copies.current()
  if (primary === undefined) throw nothingCurrent()
  if (primary === copy) return
  const begunAt = clock.now()
  const store = stoppable(storeOfCopy(copy), signal)
  await runPass({
    primary: { name: primary.name, store: stoppable(storeOfCopy(primary), signal), target: mirrored.relaxed() },
    other: { name: copy.name, store, target: store },
    authenticator: new Authenticator(repository),
    tally,
    isFull: full ?? false,
    isCurrent: options.isCurrent,
    signal,
    onProgress,
  })
  await writeSynced(store, begunAt)
}

/** A listing may be long and find nothing to do; whoever stops must not wait for its end. */
function stoppable(store: ObjectStore, signal: AbortSignal | undefined): ObjectStore {
  return {
    ...store,
    async *list(prefix, options) {
      for await (const info of store.list(prefix, options)) {
        throwIfAborted(signal)
        yield info
      }
    },
  }
}

function union(names: readonly string[], name: string): string[] {
  return names.includes(name) ? [...names] : [...names, name]
}

function assertUsable(copy: Copy, state: PlaceState | undefined, options: SyncOptions): void {
  if (state?.state === 'unreachable') throw state.error
  if (state?.state === 'foreign') {
    throw new RetakeError(
      'repo.exists',
      `${copy.url} holds another repository; the copy "${copy.name}" is not there.`,
      {
        hint: 'Name another place for it. Nothing there was changed.',
      },
    )
  }
  if (state?.state !== 'empty' || options.setUp) return
  throw new RetakeError(
    'repo.missing',
    `The place of the copy "${copy.name}" (${copy.url}) does not hold the repository.`,
    { hint: 'If it is new: retake repo sync --set-up. If it is not, check whether its file system is mounted.' },
  )
}

function nothingCurrent(): RetakeError {
  return new RetakeError(
    'storage.failed',
    'No copy that holds everything can be reached, so there is nothing to catch up with.',
    {
      hint: 'See `retake repo mirrors`. To go on with what one copy holds: retake repo primary NAME --even-if-behind',
    },
  )
}

function lostAgain(copy: Copy): RetakeError {
  return new RetakeError('storage.failed', `The copy "${copy.name}" failed again while it was catching up.`, {
    hint: 'Run `retake repo sync` again.',
  })
}
