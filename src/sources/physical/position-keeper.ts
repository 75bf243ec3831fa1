/**
 * Writes down how far the archive is durable, about once a second while that changes, and sooner when a segment is complete: a backup ends
 * with one, and waits for the position to say so. It is written after the bytes it speaks of, so it never says too much; a crash costs no
 * more than its last second.
 */
import { type Clock, systemClock } from '../../base/clock.ts'
import { formatInstant, type InstantMicros } from '../../base/instant.ts'
import { formatLsn, type Lsn, segmentOf } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { putPosition, type WalPosition } from '../../repository/wal-records.ts'

const INTERVAL_MS = 1_000
/** A server that writes segment after segment does not make for more than five of these objects a second. */
const SEGMENT_INTERVAL_MS = 200

/** What the server said about its own end of the log, and when. */
export interface ServerWord {
  readonly serverEndLsn: Lsn
  readonly serverTime: InstantMicros
}

export interface PositionKeeperOptions {
  readonly cluster: ClusterRepository
  readonly slot: string
  readonly clock?: Clock | undefined
  /** The machine whose spool holds what is acknowledged before it is in the repository. */
  readonly spoolHost?: string | undefined
  readonly failed: (error: unknown) => void
}

export class PositionKeeper implements AsyncDisposable {
  readonly #options: PositionKeeperOptions
  readonly #clock: Clock
  #flushed: { readonly timeline: number; readonly flushLsn: Lsn } | undefined
  #acknowledgedLsn: Lsn | undefined
  #heard: ServerWord | undefined
  #serverTime: InstantMicros | undefined
  /** The end of the log that the server has named on this connection: a keepalive says only what was sent, which may be less. */
  #serverEndLsn: Lsn | undefined
  #isCaughtUp = false
  /** A word that is not fulfilled yet; the next one waits, so that a busy server cannot put it off for ever. */
  #pending: ServerWord | undefined
  #caughtUpAt: InstantMicros | undefined
  #written: string | undefined
  #timer: { readonly handle: NodeJS.Timeout; readonly dueMs: number } | undefined
  #savedAtMs = Number.NEGATIVE_INFINITY
  #writing: Promise<void> = Promise.resolve()

  constructor(options: PositionKeeperOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /** The server's clock when everything it had was held, as of now. */
  get caughtUpAt(): InstantMicros | undefined {
    return this.#caughtUpAt
  }

  /** Whether everything is held that the server had at some moment of this connection. */
  get isCaughtUp(): boolean {
    return this.#isCaughtUp
  }

  /** Everything of the timeline before the position is durable. */
  flushed(timeline: number, flushLsn: Lsn): void {
    const before = this.#flushed
    this.#flushed = { timeline, flushLsn }
    this.#judge()
    const { walSegmentSizeBytes: size } = this.#options.cluster.facts
    const isComplete = before !== undefined && segmentOf(before.flushLsn, size) !== segmentOf(flushLsn, size)
    const sinceSavedMs = this.#clock.monotonicMs() - this.#savedAtMs
    this.#schedule(isComplete ? Math.max(0, SEGMENT_INTERVAL_MS - sinceSavedMs) : INTERVAL_MS)
  }

  /** How far the server was told that its bytes are safe. */
  acknowledged(lsn: Lsn | undefined): void {
    this.#acknowledgedLsn = lsn
    this.#schedule(INTERVAL_MS)
  }

  /** Only words about the timeline that is being written. */
  heard({ serverEndLsn, serverTime }: ServerWord): void {
    if (this.#serverEndLsn === undefined || serverEndLsn > this.#serverEndLsn) this.#serverEndLsn = serverEndLsn
    const word = { serverEndLsn: this.#serverEndLsn, serverTime }
    this.#heard = word
    this.#serverTime = word.serverTime
    this.#pending ??= word
    this.#judge()
    this.#schedule(INTERVAL_MS)
  }

  /**
   * A new connection: what was said on an older one, perhaps by another server, is no promise any more.
   * @param serverEndLsn the end of the server's log as it was when the connection began
   */
  forget(serverEndLsn?: Lsn): void {
    this.#serverEndLsn = serverEndLsn
    this.#isCaughtUp = false
    this.#pending = undefined
    this.#heard = undefined
  }

  /** Writes what is new, now. */
  async save(): Promise<void> {
    clearTimeout(this.#timer?.handle)
    this.#timer = undefined
    this.#savedAtMs = this.#clock.monotonicMs()
    this.#writing = this.#writing.then(() => this.#write())
    await this.#writing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer?.handle)
    try {
      await this.#writing
    } catch {
      // It was reported where it happened.
    }
  }

  #judge(): void {
    const flushLsn = this.#flushed?.flushLsn
    if (flushLsn === undefined) return
    if (this.#pending && this.#pending.serverEndLsn <= flushLsn) {
      this.#fulfilled(this.#pending)
      this.#pending = undefined
    }
    if (this.#heard && this.#heard.serverEndLsn <= flushLsn) this.#fulfilled(this.#heard)
    else this.#pending ??= this.#heard
  }

  #fulfilled(word: ServerWord): void {
    this.#caughtUpAt = word.serverTime
    this.#isCaughtUp = true
  }

  /** At the latest after so long. */
  #schedule(delayMs: number): void {
    if (this.#flushed === undefined) return
    const dueMs = this.#clock.monotonicMs() + delayMs
    if (this.#timer && this.#timer.dueMs <= dueMs) return
    clearTimeout(this.#timer?.handle)
    const handle = setTimeout(() => {
      this.save().catch(this.#options.failed)
    }, delayMs)
    this.#timer = { handle, dueMs }
  }

  async #write(): Promise<void> {
    const position = this.#position()
    if (position === undefined) return
    const { at: _, ...content } = position
    const text = JSON.stringify(content)
    if (text === this.#written) return
    await putPosition(this.#options.cluster, position)
    this.#written = text
  }

  #spool(): Pick<WalPosition, 'spool'> {
    const { spoolHost: host } = this.#options
    if (host === undefined || this.#acknowledgedLsn === undefined) return {}
    return { spool: { host, acknowledgedLsn: formatLsn(this.#acknowledgedLsn) } }
  }

  #position(): WalPosition | undefined {
    if (this.#flushed === undefined || this.#serverTime === undefined) return undefined
    return {
      timeline: this.#flushed.timeline,
      flushLsn: formatLsn(this.#flushed.flushLsn),
      at: this.#clock.now().toISOString(),
      serverTime: formatInstant(this.#serverTime),
      ...(this.#caughtUpAt === undefined ? {} : { caughtUpAt: formatInstant(this.#caughtUpAt) }),
      slot: this.#options.slot,
      ...this.#spool(),
    }
  }
}
