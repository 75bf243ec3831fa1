import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import { receiveWal as receiveClusterWal, type WalGoal } from '../sources/physical/receiver.ts'
import { keepJournal } from './journal/keep-journal.ts'
import { followMirrors } from './mirrors/follow.ts'
import { assertMirrorsConfigured } from './mirrors/keep-copies.ts'
import type { Retake } from './open.ts'
import { type Operation, type OperationOptions, startOperation } from './operation.ts'

export interface ReceiveWalOptions extends OperationOptions {
  /** Acknowledge each write at once, to serve in `synchronous_standby_names` (as `retake`). Default false. */
  readonly synchronous?: boolean | undefined
  /**
   * Acknowledge what is durable in this directory of this machine, and upload it within a second: for a repository in a bucket, where
   * commits must not wait for it. If the machine is lost, so is what was not uploaded yet. Default: acknowledge what the repository holds.
   */
  readonly spoolDirectory?: string | undefined
  /** Default: until aborted. */
  readonly until?: { readonly kind: 'caught-up' } | { readonly kind: 'lsn'; readonly lsn: Lsn } | undefined
}

export interface ReceiveReport {
  readonly timeline: number
  /** Everything of the timeline before it is durable in the repository. */
  readonly flushLsn: string
}

/**
 * Receives WAL until it is aborted or has reached its goal. Being aborted is its normal end: what was received is made durable,
 * and `result` says how far it came. Only an abort before anything is held rejects with `aborted`.
 *
 * ```ts
 * const run = receiveWal(retake, { until: { kind: 'caught-up' } })
 * console.log((await run.result).flushLsn)
 * ```
 * @throws RetakeError by its `result`: `repo.locked`, `cluster.foreign`, `wal.diverged`, `postgres.auth`, `postgres.privilege`, …
 */
export function receiveWal(retake: Retake, options: ReceiveWalOptions = {}): Operation<ReceiveReport> {
  return startOperation(async (context) => {
    await assertMirrorsConfigured(retake)
    const cluster = await retake.cluster()
    await using _replication = replicate(retake)
    await using journal = keepJournal(cluster, retake)
    const until: WalGoal | undefined = options.until
    const received = await receiveClusterWal({
      ...context,
      cluster,
      target: retake.target(),
      slot: cluster.facts.slot,
      synchronous: options.synchronous,
      spoolDirectory: options.spoolDirectory,
      until,
      onSealed: (segment) => journal.sealed(segment),
      logger: retake.logger,
      clock: retake.clock,
    })
    return { timeline: received.timeline, flushLsn: formatLsn(received.flushLsn) }
  }, options)
}

/** Copies that are behind catch up beside the reception, which runs for as long as there is something to protect. */
function replicate(retake: Retake): AsyncDisposable {
  const stop = new AbortController()
  const following = followMirrors(retake, { signal: stop.signal })
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await following
    },
  }
}
