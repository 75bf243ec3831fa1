/**
 * What changes, for many that watch: the last changes are kept, and each watcher remembers only how far it has read. So a slow watcher
 * costs nothing and holds nobody back; one that fell behind what is kept, or saw another feed before, is told so first.
 */
import type { StreamItem } from './services.ts'

export interface ChangeFeedOptions<T> {
  /** Tells this feed from those of earlier processes: a random id. */
  readonly epoch: string
  /** So many changes are kept. Default 1000. */
  readonly capacity?: number | undefined
  /** What a watcher is given in place of changes that it may have missed. */
  readonly reset: () => T
}

export class ChangeFeed<T> {
  readonly #epoch: string
  readonly #capacity: number
  readonly #reset: () => T
  readonly #kept: T[] = []
  readonly #sleepers = new Set<() => void>()
  /** The number of the next change; those that are kept are the ones before it. */
  #next = 1

  constructor({ epoch, capacity = 1000, reset }: ChangeFeedOptions<T>) {
    this.#epoch = epoch
    this.#capacity = capacity
    this.#reset = reset
  }

  publish(change: T): void {
    this.#kept.push(change)
    this.#next++
    if (this.#kept.length > this.#capacity) this.#kept.shift()
    for (const wake of this.#sleepers) wake()
    this.#sleepers.clear()
  }

  /** How many wait for the next change. */
  get waiting(): number {
    return this.#sleepers.size
  }

  /** Ends when the signal fires. */
  async *watch({
    after,
    signal,
  }: {
    readonly after?: string | undefined
    readonly signal: AbortSignal
  }): AsyncGenerator<StreamItem<T>, void> {
    let read = after === undefined ? this.#next - 1 : this.#numberOf(after)
    while (!signal.aborted) {
      const missed = read === undefined || read < this.#next - 1 - this.#kept.length
      if (missed) {
        read = this.#next - 1
        yield { id: this.#idOf(read), value: this.#reset() }
        continue
      }
      const change = this.#kept[(read ?? 0) + this.#kept.length - this.#next + 1]
      if (change === undefined) await this.#sleep(signal)
      else {
        read = (read ?? 0) + 1
        yield { id: this.#idOf(read), value: change }
      }
    }
  }

  #idOf(number: number): string {
    return `${this.#epoch}-${number}`
  }

  /** Undefined: of another feed, or of none. */
  #numberOf(id: string): number | undefined {
    const [, epoch, digits] = /^(.*)-(\d{1,15})$/.exec(id) ?? []
    const number = Number(digits)
    return epoch === this.#epoch && number < this.#next ? number : undefined
  }

  #sleep(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal.removeEventListener('abort', wake)
        this.#sleepers.delete(wake)
        resolve()
      }
      this.#sleepers.add(wake)
      signal.addEventListener('abort', wake, { once: true })
      if (signal.aborted) wake()
    })
  }
}
