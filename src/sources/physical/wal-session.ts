/**
 * One connection of the WAL receiver: finds out where to go on, streams until the timeline ends, the goal is reached, the
 * caller stops, or something breaks. The server hears of a position only after its bytes are durable (R1, F7).
 */
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import type { Logger } from '../../base/progress.ts'
import type { ConnectionTarget } from '../../postgres/connection/config.ts'
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import {
  openReplication,
  type ReplicationConnection,
  type SystemIdentity,
} from '../../postgres/replication/connection.ts'
import type { WalStreamEvent } from '../../postgres/replication/wal-messages.ts'
import { startPhysicalStream, type WalStream } from '../../postgres/replication/wal-stream.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import type { ArchiveEnd, ArchivePlace } from './archive-end.ts'
import { keepHistories } from './history-keeper.ts'
import type { PositionKeeper } from './position-keeper.ts'
import { assertSameCluster } from './preflight.ts'
import { explainServerBehind } from './resume.ts'
import { chooseStart } from './wal-start.ts'

export interface WalSessionOptions {
  readonly cluster: ClusterRepository
  readonly target: ConnectionTarget
  readonly slot: string
  readonly synchronous: boolean
  readonly archive: ArchiveEnd
  readonly position: PositionKeeper
  /** Undefined: until stopped. */
  readonly goal: (identity: SystemIdentity) => Lsn | undefined
  /** The goal is reached only when the server has said, on this connection, that nothing more was there. */
  readonly untilCaughtUp: boolean
  /** The last attempt found that the server no longer has the WAL that is due. */
  readonly afterGap: boolean
  /** An orderly end: what was received is made durable and reported. */
  readonly stop: AbortSignal
  /** The end of everything: a lost lease, a failed storage. */
  readonly giveUp: AbortSignal
  readonly logger: Logger
  readonly streaming: (place: ArchivePlace) => void
  readonly now: () => Date
}

export type WalSessionEnd =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'reached' }
  /** Connect again: the next timeline is due. */
  | { readonly kind: 'timeline-end' }
  /** Connect again, and begin where the slot still has WAL. */
  | { readonly kind: 'gap' }

/** How much of what is held is compared with the server's before going on. */
const COMPARED_BYTES = 64 * 1024
/** How often an idle server is asked for its end of the log, so that "everything is held" stays fresh. */
const ASK_INTERVAL_MS = 5_000

export async function runWalSession(options: WalSessionOptions): Promise<WalSessionEnd> {
  const { cluster, target, archive, stop, giveUp } = options
  // What the last connection brought counts as held only when it is durable.
  await archive.settle()
  await using connection = await openReplication(target, {
    signal: AbortSignal.any([stop, giveUp]),
    // The name that stands in synchronous_standby_names.
    applicationName: target.config.application_name ?? 'retake',
  })
  const identity = await connection.identifySystem()
  assertSameCluster(cluster.facts, identity.systemIdentifier)
  const path = await keepHistories(connection, { cluster, timeline: identity.timeline })
  const place = await chooseStart(connection, { ...options, identity, path })
  await assertServerNotBehind(connection, { identity, place })
  const goal = options.goal(identity)
  await archive.continueAt(place)
  const isPresent = place.timeline === identity.timeline
  options.position.forget(isPresent ? identity.flushLsn : undefined)
  // On the present timeline the server is asked even so: its answer is what proves until when everything is held.
  if (goal !== undefined && place.startLsn >= goal && !isPresent) return { kind: 'reached' }
  try {
    return await stream(connection, { ...options, place, goalLsn: goal, isPresent })
  } catch (error) {
    if (!isRetakeError(error, 'wal.gap') || giveUp.aborted) throw error
    options.logger.error(`${error.message} The gap will be recorded; no restore will cross it silently.`, {
      ...error.details,
    })
    return { kind: 'gap' }
  }
}

/** @throws RetakeError `wal.diverged` when the server's log ends before what is held of the same timeline */
async function assertServerNotBehind(
  connection: ReplicationConnection,
  at: { readonly identity: SystemIdentity; readonly place: ArchivePlace },
): Promise<void> {
  const { identity, place } = at
  if (place.timeline !== identity.timeline || identity.flushLsn >= place.startLsn) return
  const explanation = explainServerBehind(identity, { timeline: place.timeline, endLsn: place.startLsn })
  // A standby that has not received as much as we have is no other past; it will catch up.
  const standby = (await connection.show('in_hot_standby')) === 'on'
  throw new RetakeError('wal.diverged', `The receiver cannot go on: ${explanation}. Nothing of it was stored.`, {
    retry: standby ? 'later' : 'never',
    hint: standby
      ? 'Wait until the standby has caught up, or connect to the primary.'
      : 'Check that this is the right server. If it was set back on purpose, promote it to a new timeline, or register it under a name of its own: retake init --cluster NAME.',
  })
}

interface StreamOptions extends WalSessionOptions {
  readonly place: ArchivePlace
  readonly goalLsn: Lsn | undefined
  /** The server still writes this timeline. */
  readonly isPresent: boolean
}

async function stream(connection: ReplicationConnection, options: StreamOptions): Promise<WalSessionEnd> {
  const { archive, place, slot, giveUp } = options
  const comparison = new Comparison(await archive.ending(place, COMPARED_BYTES), place)
  await using wal = await startPhysicalStream(connection, {
    slot,
    timeline: place.timeline,
    startLsn: comparison.startLsn,
    signal: giveUp,
  })
  options.streaming(place)
  using live = new LiveStream(wal, { ...options, comparison })
  const end = await wal.run((event) => live.handle(event))
  await archive.settle()
  live.throwIfStopFailed()
  await options.position.save()
  if (end.reason === 'timeline-end') return { kind: 'timeline-end' }
  return { kind: live.reached ? 'reached' : 'stopped' }
}

interface LiveOptions extends StreamOptions {
  readonly comparison: Comparison
}

/** What goes on beside the data: reports, questions, and the orderly end. */
class LiveStream implements Disposable {
  readonly #wal: WalStream
  readonly #options: LiveOptions
  readonly #asking: NodeJS.Timeout
  readonly #onStop = () => this.#end()
  #ending = false
  /** The goal is held, and the server was asked for its end of the log; then that it has answered. */
  #asked = false
  #answered = false
  #stopFailure: { readonly error: unknown } | undefined
  reached = false

  constructor(wal: WalStream, options: LiveOptions) {
    this.#wal = wal
    this.#options = options
    // A timeline that the server has left ends as soon as it is read; there is nothing to ask.
    const { isPresent } = options
    if (isPresent) this.report({ requestReply: true })
    this.#asking = setInterval(() => this.report({ requestReply: isPresent }), ASK_INTERVAL_MS)
    options.archive.onFlushed = () => this.#flushed()
    this.#flushed()
    if (options.stop.aborted) this.#end()
    else options.stop.addEventListener('abort', this.#onStop, { once: true })
  }

  handle(event: WalStreamEvent): void | Promise<void> {
    const { archive, position, comparison, isPresent } = this.#options
    const rest = event.type === 'data' ? comparison.take(event.startLsn, event.bytes) : undefined
    // Until its log has proved to be the one that is held, what a server says of it promises nothing.
    if (comparison.isDone && isPresent) position.heard(event)
    if (event.type === 'keepalive') {
      if (event.replyRequested) this.report({})
      if (comparison.isDone && this.#asked) this.#answered = true
    }
    this.#approach()
    if (rest && rest.bytes.length > 0) return archive.write(rest.startLsn, rest.bytes)
  }

  /** Tells the server what is durable, in the repository or in the spool. */
  report(options: { readonly requestReply?: boolean }): void {
    const { acknowledged } = this.#options.archive
    if (acknowledged === undefined) return
    const { flushLsn } = acknowledged
    this.#wal.report({ writeLsn: flushLsn, flushLsn }, { now: true, ...options })
  }

  throwIfStopFailed(): void {
    if (this.#stopFailure) throw this.#stopFailure.error
  }

  [Symbol.dispose](): void {
    clearInterval(this.#asking)
    this.#options.archive.onFlushed = undefined
    this.#options.stop.removeEventListener('abort', this.#onStop)
  }

  #flushed(): void {
    const { archive, position } = this.#options
    const flushed = archive.flushed
    if (flushed === undefined) return
    position.flushed(flushed.timeline, flushed.flushLsn)
    position.acknowledged(archive.acknowledged?.flushLsn)
    this.report({})
    this.#approach()
  }

  /** With the goal held, the server is asked once more, so that the position says until when everything is held. */
  #approach(): void {
    const { goalLsn, archive, position, comparison, isPresent, untilCaughtUp } = this.#options
    const flushLsn = archive.flushed?.flushLsn
    if (goalLsn === undefined || flushLsn === undefined || flushLsn < goalLsn) return
    if (isPresent) {
      if (!comparison.isDone) return
      if (!this.#asked) {
        this.#asked = true
        this.report({ requestReply: true })
      }
      if (!this.#answered || (untilCaughtUp && !position.isCaughtUp)) return
    }
    this.reached = true
    this.#end()
  }

  #end(): void {
    if (this.#ending) return
    this.#ending = true
    this.#stopInOrder().catch((error: unknown) => {
      this.#stopFailure = { error }
    })
  }

  /** What was received is made durable and reported before the server is told that this is the end. */
  async #stopInOrder(): Promise<void> {
    await this.#options.archive.settle()
    this.report({})
    await this.#wal.stop()
  }
}

/**
 * Compares the last bytes that are held with what the server has in their place: if they differ, the server wrote another
 * past under the same timeline, and what follows would be no continuation, though every number fits.
 */
class Comparison {
  readonly startLsn: Lsn
  readonly #held: Buffer
  readonly #place: ArchivePlace
  #compared = 0

  constructor(held: Buffer, place: ArchivePlace) {
    this.#held = held
    this.#place = place
    this.startLsn = (place.startLsn - BigInt(held.length)) as Lsn
  }

  get isDone(): boolean {
    return this.#compared === this.#held.length
  }

  /** The part of the bytes that is new. @throws RetakeError `wal.diverged` */
  take(startLsn: Lsn, bytes: Buffer): { readonly startLsn: Lsn; readonly bytes: Buffer } {
    const known = Math.min(bytes.length, this.#held.length - this.#compared)
    if (known === 0) return { startLsn, bytes }
    const held = this.#held.subarray(this.#compared, this.#compared + known)
    if (!held.equals(bytes.subarray(0, known))) {
      throw new RetakeError(
        'wal.diverged',
        `The server's log differs from what is held of timeline ${this.#place.timeline} before ${formatLsn(this.#place.startLsn)}: ` +
          'another server, or a state to which this one was set back, wrote on under the same timeline. Nothing of it was stored.',
        {
          hint: 'Check that this is the right server. If it is, promote it to a new timeline, or register it under a name of its own: retake init --cluster NAME.',
          details: { timeline: this.#place.timeline, heldUntilLsn: formatLsn(this.#place.startLsn) },
        },
      )
    }
    this.#compared += known
    return { startLsn: (startLsn + BigInt(known)) as Lsn, bytes: bytes.subarray(known) }
  }
}
