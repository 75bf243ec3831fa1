/**
 * Holds the reading of a backup back while its server is under stress. Never a standstill: a piece goes through every now and then, so
 * that no proxy and no keepalive on the way takes the connection for dead; and no longer than a limit in all, because a backup that goes
 * on costs the server something too (full pages in its log).
 */
import { sleep } from '../../base/abort.ts'
import type { Clock } from '../../base/clock.ts'

/** How long a piece waits at most; then it is read, and the next one waits. */
const PIECE_MS = 2_000

export interface ReadGateOptions {
  readonly clock: Clock
  /** For how long, in all, reading is held back. */
  readonly maxHeldMs: number
}

export class ReadGate {
  readonly #options: ReadGateOptions
  #closed: AbortController | undefined
  #heldMs = 0

  constructor(options: ReadGateOptions) {
    this.#options = options
  }

  /** How long reading was held back so far. */
  get heldMs(): number {
    return this.#heldMs
  }

  get isClosed(): boolean {
    return this.#closed !== undefined
  }

  /** False: the limit is used up, and nothing is held back any more. */
  close(): boolean {
    if (this.#heldMs >= this.#options.maxHeldMs) return false
    this.#closed ??= new AbortController()
    return true
  }

  open(): void {
    this.#closed?.abort()
    this.#closed = undefined
  }

  /** Asked before each piece; undefined: read on. */
  readonly pass = (signal: AbortSignal): Promise<void> | undefined => {
    return this.#closed ? this.#hold(this.#closed.signal, signal) : undefined
  }

  async #hold(opened: AbortSignal, signal: AbortSignal): Promise<void> {
    const { clock, maxHeldMs } = this.#options
    const beganMs = clock.monotonicMs()
    try {
      await sleep(Math.min(PIECE_MS, maxHeldMs - this.#heldMs), AbortSignal.any([opened, signal]))
    } catch (error) {
      if (signal.aborted || !opened.aborted) throw error
    } finally {
      this.#heldMs += clock.monotonicMs() - beganMs
      if (this.#heldMs >= maxHeldMs) this.open()
    }
  }
}
