/** Continuous replication: copies that are behind are brought up to date as soon as they can be reached again. */
import { sleep } from '../../base/abort.ts'
import { isRetakeError, toRetakeError } from '../../base/errors.ts'
import { type CopySync, mirroredStoreOf, syncRepository } from '../../repository/mirrors/sync.ts'
import { MirroredStore } from '../../storage/mirrored/mirrored-store.ts'
import type { Retake } from '../open.ts'

export interface FollowOptions {
  readonly signal: AbortSignal
  /** How long to wait between looks. Default 5,000. */
  readonly intervalMs?: number | undefined
  /** Told of every sync that was made. */
  readonly onSync?: ((reports: readonly CopySync[]) => void) | undefined
}

const INTERVAL_MS = 5_000
/** Current copies are compared as well, so often: a process that was killed may have left something in one of them. */
const COMPARE_MS = 15 * 60_000
/** With `mirrorSync: primary` each look is a listing of everything; it shall not take more than this part of the time. */
const REST_FACTOR = 10

/** Runs until it is aborted. What fails is logged and tried again. */
export async function followMirrors(retake: Retake, options: FollowOptions): Promise<void> {
  const { repository, logger, clock } = retake
  if (!(repository.store instanceof MirroredStore)) return
  const { signal, intervalMs = INTERVAL_MS } = options
  let comparedMs = Number.NEGATIVE_INFINITY
  while (!signal.aborted) {
    const begunMs = clock.monotonicMs()
    try {
      const isDue = begunMs - comparedMs >= COMPARE_MS
      const behind = await copiesToSync(retake, { all: isDue })
      if (behind.length > 0) {
        const reports = await syncRepository({ repository, copies: behind, signal, clock })
        if (isDue) comparedMs = begunMs
        for (const report of reports) tell(retake, report)
        options.onSync?.(reports)
      }
    } catch (error) {
      if (signal.aborted) return
      const level = isRetakeError(error, 'repo.locked') ? 'debug' : 'warn'
      logger[level](`The copies could not be brought together: ${toRetakeError(error).message} It will be tried again.`)
    }
    const tookMs = clock.monotonicMs() - begunMs
    const restMs =
      repository.store.address.mirrorSync === 'primary' ? Math.max(intervalMs, tookMs * REST_FACTOR) : intervalMs
    if (signal.aborted) return
    await sleep(restMs, signal).catch(() => {})
  }
}

async function copiesToSync(retake: Retake, options: { readonly all: boolean }): Promise<string[]> {
  const { copies } = mirroredStoreOf(retake.repository)
  const states = await copies.load({ all: true })
  const current = copies.current()
  const { members } = copies.record
  return copies.copies
    .filter((copy) => states[copy.index]?.state === 'present' && members.includes(copy.name) && copy !== current[0])
    .filter((copy) => options.all || !current.includes(copy))
    .map(({ name }) => name)
}

function tell({ logger }: Retake, report: CopySync): void {
  const { name, outcome, error, copiedObjects, copiedBytes, returnedObjects, damaged, conflicts } = report
  for (const { copy, object } of damaged) {
    logger.error(`${object} is damaged in the copy "${copy}". Repair it: retake repo heal`, { copy, object })
  }
  if (outcome === 'failed') logger.warn(`The copy "${name}" did not catch up: ${error?.message ?? 'unknown'}`)
  else if (outcome === 'conflict') {
    logger.error(`The copy "${name}" differs from the primary in ${conflicts.join(', ')}; both are kept as they are.`)
  } else if (copiedObjects + returnedObjects > 0) {
    const bytes = `${copiedObjects} objects (${copiedBytes} bytes)`
    logger.info(`The copy "${name}" has caught up: ${bytes} to it, ${returnedObjects} from it.`)
  }
}
