/** Sees to it that the WAL which a backup needs is in the archive, whoever receives it. */
import { sleep, throwIfAborted } from '../../base/abort.ts'
import { systemClock } from '../../base/clock.ts'
import { isRetakeError } from '../../base/errors.ts'
import { type Lsn, parseLsn } from '../../postgres/lsn.ts'
import { readPosition } from '../../repository/wal-records.ts'
import { type ReceivedWal, type ReceiveWalOptions, receiveWal, walNotArchivedError } from './receiver.ts'

export interface EnsureWalOptions extends Omit<ReceiveWalOptions, 'until' | 'synchronous'> {
  /** Such as the stop LSN of a backup. */
  readonly untilLsn: Lsn
  /** How long to wait for another receiver that does not come on. Default 120,000. */
  readonly patienceMs?: number | undefined
}

export interface EnsuredWal extends ReceivedWal {
  /** Whether a receiver that was running already did it. */
  readonly by: 'this-run' | 'other-receiver'
}

const LOOK_INTERVAL_MS = 500

/**
 * Waits until everything before `untilLsn` is durable in the archive. Receives it itself, unless a receiver is running:
 * then it watches that one. An idle server needs no switch of its segment, because the open segment is archived as well.
 * @throws RetakeError `wal.gap` when another receiver does not come on; and as {@link receiveWal}
 */
export async function ensureWal(options: EnsureWalOptions): Promise<EnsuredWal> {
  const { cluster, untilLsn, clock = systemClock, patienceMs = 120_000 } = options
  let waitedSinceMs = clock.monotonicMs()
  let last: string | undefined
  for (;;) {
    throwIfAborted(options.signal)
    try {
      const received = await receiveWal({ ...options, until: { kind: 'lsn', lsn: untilLsn } })
      throwIfAborted(options.signal)
      return { ...received, by: 'this-run' }
    } catch (error) {
      if (!isRetakeError(error, 'repo.locked')) throw error
      const position = await readPosition(cluster)
      if (position && parseLsn(position.flushLsn) >= untilLsn) {
        return { timeline: position.timeline, flushLsn: parseLsn(position.flushLsn), by: 'other-receiver' }
      }
      if (position?.flushLsn !== last) waitedSinceMs = clock.monotonicMs()
      last = position?.flushLsn
      if (clock.monotonicMs() - waitedSinceMs >= patienceMs) throw walNotArchivedError(untilLsn, error)
    }
    await sleep(LOOK_INTERVAL_MS, options.signal)
  }
}
