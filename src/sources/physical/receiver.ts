/**
 * The continuous WAL receiver. It connects, streams and connects again, for as long as trying helps; it stops in order when
 * asked to, and for good when going on would harm: another cluster, another past, a lost lease, a wrong key.
 */
import { randomInt } from 'node:crypto'
import { sleep, throwIfAborted } from '../../base/abort.ts'
import { type Clock, systemClock } from '../../base/clock.ts'
import { isRetakeError, RetakeError, toRetakeError } from '../../base/errors.ts'
import { currentProcess } from '../../base/process-identity.ts'
import { type Logger, type ProgressListener, silentLogger } from '../../base/progress.ts'
import type { ConnectionTarget } from '../../postgres/connection/config.ts'
import { formatLsn, type Lsn, segmentName } from '../../postgres/lsn.ts'
import type { SystemIdentity } from '../../postgres/replication/connection.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { acquireLease, type Lease } from '../../repository/lease.ts'
import { ArchiveEnd } from './archive-end.ts'
import { reconnectDelayMs } from './backoff.ts'
import { PositionKeeper } from './position-keeper.ts'
import { runWalSession } from './wal-session.ts'

/** When a one-shot run ends by itself. */
export type WalGoal =
  /** Everything that the server had when the run connected; the position then says until when everything is held. */
  { readonly kind: 'caught-up' } | { readonly kind: 'lsn'; readonly lsn: Lsn }

export interface ReceiveWalOptions {
  readonly cluster: ClusterRepository
  readonly target: ConnectionTarget
  /** The permanent physical slot; made when it is missing. */
  readonly slot: string
  /** Commit and report at once, because transactions on the server wait for it. Costs a disk barrier for each. Default false. */
  readonly synchronous?: boolean | undefined
  /**
   * Acknowledge what is durable in this directory, which is uploaded within a second; for a repository in a bucket. If the machine is
   * lost, so is what was not uploaded yet: at most 17 MiB. Default: acknowledge what the repository holds.
   */
  readonly spoolDirectory?: string | undefined
  /** Default: until stopped. */
  readonly until?: WalGoal | undefined
  /** Ends the run in order: what was received is made durable, reported and written down. */
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
  /** A whole segment is in the archive, under its own name. */
  readonly onSealed?: ((segment: bigint) => void) | undefined
  readonly logger?: Logger | undefined
  readonly clock?: Clock | undefined
  /** How long to wait after so many failures in a row. Default: from one second to half a minute, with jitter. */
  readonly retryDelayMs?: ((failures: number) => number) | undefined
  /** Seal in a thread of its own (default), or in the caller's for stores that exist only in this process. */
  readonly thread?: boolean | undefined
}

export interface ReceivedWal {
  readonly timeline: number
  /** Everything of the timeline before it is durable in the archive. */
  readonly flushLsn: Lsn
}

/** So many failures in a row end a one-shot run; a continuous one goes on trying. */
const ONE_SHOT_ATTEMPTS = 5
/** A garbled conversation may be one connection's bad luck (a proxy, a server that goes down); not if it repeats. */
const GARBLED_ATTEMPTS = 5

/**
 * Receives WAL into the archive until it is stopped by its signal, or its goal is reached. With `synchronous` it serves in
 * `synchronous_standby_names` under the name `retake` (the connection's application_name).
 *
 * @throws RetakeError `repo.locked`, `repo.lease-lost`, `cluster.foreign`, `wal.diverged`, `wal.history-missing`,
 * `postgres.auth`, `postgres.privilege`, `repo.damaged`; in a one-shot run also what would otherwise be tried again
 */
export async function receiveWal(options: ReceiveWalOptions): Promise<ReceivedWal> {
  const { cluster, clock = systemClock, logger = silentLogger } = options
  throwIfAborted(options.signal)
  if (options.spoolDirectory !== undefined && cluster.store.openAppender) throw needlessSpoolError(cluster.store.url)
  await using lease = await acquireLease(cluster, { role: 'wal', holder: 'retake wal receive', clock, logger })
  const receiver = new Receiver(options, lease)
  return await receiver.run()
}

/** A connection that held for so long counts as a success, also when the server had nothing to send. */
const STEADY_MS = 30_000

class Receiver {
  readonly #options: ReceiveWalOptions
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #lease: Lease
  readonly #stop: AbortSignal
  #failures = 0
  #streamingSinceMs = Number.POSITIVE_INFINITY
  #afterGap = false
  #sealedSegments = 0
  #goalLsn: Lsn | undefined

  constructor(options: ReceiveWalOptions, lease: Lease) {
    this.#options = options
    this.#logger = options.logger ?? silentLogger
    this.#clock = options.clock ?? systemClock
    this.#lease = lease
    this.#stop = options.signal ?? new AbortController().signal
    if (options.until?.kind === 'lsn') this.#goalLsn = options.until.lsn
  }

  async run(): Promise<ReceivedWal> {
    for (;;) {
      try {
        const received = await this.#archive()
        if (received) return received
      } catch (error) {
        await this.#waitOrThrow(error)
      }
    }
  }

  /** As long as the archive can be written, whatever happens to connections. Undefined: stopped before anything was held. */
  async #archive(): Promise<ReceivedWal | undefined> {
    const giveUp = new AbortController()
    const failed = (error: unknown) => giveUp.abort(error)
    const { cluster, slot } = this.#options
    await using archive = await ArchiveEnd.open({
      cluster,
      synchronous: this.#options.synchronous ?? false,
      spoolDirectory: this.#options.spoolDirectory,
      thread: this.#options.thread ?? true,
      failed,
      logger: this.#logger,
      sealed: (job, damage) => {
        this.#sealedSegments++
        if (damage) this.#logger.error(damage.message, { ...damage.details })
        const name = segmentName(job, cluster.facts.walSegmentSizeBytes)
        this.#logger.debug('sealed a WAL segment', { segment: name, partial: job.partial })
        this.#options.onProgress?.({ phase: 'receive', done: this.#sealedSegments, unit: 'segments' })
        if (!job.partial) this.#options.onSealed?.(job.segment)
      },
    })
    const spoolHost = this.#options.spoolDirectory === undefined ? undefined : currentProcess().host
    await using position = new PositionKeeper({ cluster, slot, clock: this.#clock, spoolHost, failed })
    const signal = AbortSignal.any([giveUp.signal, this.#lease.signal])
    while (!(await this.#connections(archive, { position, giveUp: signal })));
    await archive.drain()
    const { flushed } = archive
    if (flushed) return flushed
    const newest = archive.timelines.toSorted((a, b) => a.timeline - b.timeline).at(-1)
    if (newest) return { timeline: newest.timeline, flushLsn: newest.endLsn }
    throwIfAborted(this.#stop)
    return undefined
  }

  /** One connection. True when the run is over. */
  async #connections(
    archive: ArchiveEnd,
    context: { readonly position: PositionKeeper; readonly giveUp: AbortSignal },
  ): Promise<boolean> {
    const { position, giveUp } = context
    if (this.#stop.aborted) return true
    const before = archive.flushed?.flushLsn
    try {
      const end = await runWalSession({
        cluster: this.#options.cluster,
        target: this.#options.target,
        slot: this.#options.slot,
        synchronous: this.#options.synchronous ?? false,
        archive,
        position,
        goal: (identity) => this.#goal(identity),
        untilCaughtUp: this.#options.until?.kind === 'caught-up',
        afterGap: this.#afterGap,
        stop: this.#stop,
        giveUp,
        logger: this.#logger,
        streaming: ({ timeline, startLsn }) => {
          this.#streamingSinceMs = this.#clock.monotonicMs()
          this.#afterGap = false
          this.#say('info', `Receiving WAL from ${formatLsn(startLsn)} on timeline ${timeline}.`)
        },
        now: () => this.#clock.now(),
      })
      this.#afterGap = end.kind === 'gap'
      return end.kind === 'stopped' || end.kind === 'reached'
    } catch (error) {
      // Streaming alone is no success: an archive that cannot be written connects well and fails at the first byte.
      const streamedMs = this.#clock.monotonicMs() - this.#streamingSinceMs
      if (archive.flushed?.flushLsn !== before || streamedMs >= STEADY_MS) this.#failures = 0
      this.#streamingSinceMs = Number.POSITIVE_INFINITY
      if (giveUp.aborted) throw giveUp.reason
      if (this.#stop.aborted && isRetakeError(error, 'aborted')) return true
      // Only the connection is lost; the archive goes on where it is.
      if (!toRetakeError(error).code.startsWith('postgres.')) throw error
      await this.#waitOrThrow(error)
      return this.#stop.aborted
    }
  }

  #goal(identity: SystemIdentity): Lsn | undefined {
    // What the server had at first contact: later connections must not move the goal.
    if (this.#options.until?.kind === 'caught-up') this.#goalLsn ??= identity.flushLsn
    return this.#goalLsn
  }

  async #waitOrThrow(thrown: unknown): Promise<void> {
    const error = toRetakeError(thrown)
    this.#failures++
    const tired = this.#options.until !== undefined && this.#failures >= ONE_SHOT_ATTEMPTS
    const garbled = error.code === 'postgres.protocol' && this.#failures < GARBLED_ATTEMPTS
    const hopeless = error.retry === 'never' && !garbled
    if (hopeless || tired || this.#lease.signal.aborted || error.code === 'aborted') throw error
    const delayMs = (
      this.#options.retryDelayMs ?? ((count) => reconnectDelayMs(count, randomInt(0, 1_000_000) / 1_000_000))
    )(this.#failures)
    this.#say('warn', `${error.message} Trying again in ${(delayMs / 1000).toFixed(1)} s.`)
    try {
      await sleep(delayMs, AbortSignal.any([this.#stop, this.#lease.signal]))
    } catch (interrupted) {
      if (this.#lease.signal.aborted) throw interrupted
    }
  }

  #say(level: 'info' | 'warn', message: string): void {
    this.#logger[level](message)
    this.#options.onProgress?.({ phase: 'receive', done: this.#sealedSegments, unit: 'segments', message })
  }
}

/** A directory acknowledges from a local disk as it is, and a second one would only add to the work. */
function needlessSpoolError(url: string): RetakeError {
  return new RetakeError('config.invalid', `${url} makes WAL durable as soon as a spool would.`, {
    hint: 'Leave out --acknowledge local; a spool is for a repository in a bucket.',
  })
}

/** What `ensureWal` says when the WAL does not come. */
export function walNotArchivedError(untilLsn: Lsn, cause?: unknown): RetakeError {
  return new RetakeError(
    'wal.gap',
    `The WAL up to ${formatLsn(untilLsn)} is not archived yet, so the newest backup cannot be restored yet.`,
    {
      retry: 'later',
      hint: 'Keep the receiver running: retake wal receive.',
      cause,
    },
  )
}
