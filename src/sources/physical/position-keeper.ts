/**
 * Writes down how far the archive is durable, about once a second while that changes. It is written after the bytes it speaks
 * of, so it never says too much; a crash costs no more than its last second.
 */
import { type Clock, systemClock } from '../../base/clock.ts'
import { formatInstant, type InstantMicros } from '../../base/instant.ts'
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { putPosition, type WalPosition } from '../../repository/wal-records.ts'

const INTERVAL_MS = 1_000

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
  #timer: NodeJS.Timeout | undefined
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
    this.#flushed = { timeline, flushLsn }
    this.#judge()
    this.#schedule()
  }

  /** How far the server was told that its bytes are safe. */
  acknowledged(lsn: Lsn | undefined): void {
    this.#acknowledgedLsn = lsn
    this.#schedule()
  }

  /** Only words about the timeline that is being written. */
  heard({ serverEndLsn, serverTime }: ServerWord): void {
    if (this.#serverEndLsn === undefined || serverEndLsn > this.#serverEndLsn) this.#serverEndLsn = serverEndLsn
    const word = { serverEndLsn: this.#serverEndLsn, serverTime }
    this.#heard = word
    this.#serverTime = word.serverTime
    this.#pending ??= word
    this.#judge()
    this.#schedule()
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
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#writing = this.#writing.then(() => this.#write())
    await this.#writing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer)
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

  #schedule(): void {
    if (this.#timer || this.#flushed === undefined) return
    this.#timer = setTimeout(() => {
      this.save().catch(this.#options.failed)
    }, INTERVAL_MS)
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
