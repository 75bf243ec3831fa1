/**
 * What the threads of one process know together of the copies, in shared memory: which generation counts, who is current, who was dropped
 * and not yet recorded so, who is left alone for a while. Deciding together, two threads never drop each other's last copy.
 */
const LOCK = 0
const GENERATION = 1
const CURRENT = 2
const JOINING = 3
const PRIMARY = 4
/** Failed a write in this process; stays until a record without them is adopted. */
const DROPPED = 5
/** What the adopted record says, whatever could be confirmed. */
const RECORDED = 6
const EPOCH_SECONDS = 7
/** Set when the copies that count have nothing in common with those that counted before. */
const FENCED = 8
const PER_COPY = 9

export const MAX_COPIES = 16
const FIRST_PAUSE_SECONDS = 5
const LONGEST_PAUSE_SECONDS = 60

/** Copies as a set of bits, by their index. */
export type CopyMask = number

export interface View {
  readonly generation: number
  /** Index of the primary, whether it is current or not. */
  readonly primary: number
  readonly current: CopyMask
  readonly joining: CopyMask
  /** `current` as the record says it. */
  readonly recorded: CopyMask
  /** What this process has seen is held by none of the copies that count now: it must not write any more (M1). */
  readonly isFenced?: boolean
}

export function createSharedView(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(4 * (PER_COPY + 2 * MAX_COPIES))
  const words = new Int32Array(buffer)
  words[GENERATION] = -1
  words[EPOCH_SECONDS] = Math.floor(Date.now() / 1000)
  return buffer
}

export class SharedView {
  readonly #words: Int32Array

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer)
  }

  /** False until a record was adopted for the first time. */
  get isKnown(): boolean {
    return this.#read(GENERATION) >= 0
  }

  read(): View {
    return this.#locked(() => {
      const dropped = this.#read(DROPPED)
      return {
        generation: this.#read(GENERATION),
        primary: this.#read(PRIMARY),
        current: this.#read(CURRENT) & ~dropped,
        joining: this.#read(JOINING) & ~dropped,
        recorded: this.#read(RECORDED),
        isFenced: this.#read(FENCED) !== 0,
      }
    })
  }

  /** Takes over what a record says, unless a newer one is known. `current` holds only copies that store this very record. */
  adopt(view: View): void {
    this.#locked(() => {
      const known = this.#read(GENERATION)
      if (view.generation < known) return
      if (view.generation === known) {
        // What one thread reaches, another may not: together they know more, never less.
        this.#write(CURRENT, this.#read(CURRENT) | view.current)
        this.#write(JOINING, this.#read(JOINING) | view.joining)
        return
      }
      const before = this.#read(RECORDED)
      if (known >= 0 && before !== 0 && (before & view.recorded) === 0) this.#write(FENCED, 1)
      this.#write(GENERATION, view.generation)
      this.#write(PRIMARY, view.primary)
      this.#write(CURRENT, view.current)
      this.#write(JOINING, view.joining)
      this.#write(RECORDED, view.recorded)
      this.#write(DROPPED, this.#read(DROPPED) & (view.recorded | view.joining))
    })
  }

  /** Takes copies out of use; false, and nothing is changed, when none that is current would be left. */
  tryDrop(copies: CopyMask): boolean {
    return this.#locked(() => {
      const dropped = this.#read(DROPPED) | copies
      if ((this.#read(CURRENT) & ~dropped) === 0) return false
      this.#write(DROPPED, dropped)
      return true
    })
  }

  /** A place that failed is left alone for a while, longer each time. */
  failed(index: number): void {
    this.#locked(() => {
      const failures = Math.min(this.#read(PER_COPY + 2 * index + 1) + 1, 8)
      const pause = Math.min(FIRST_PAUSE_SECONDS * 2 ** (failures - 1), LONGEST_PAUSE_SECONDS)
      this.#write(PER_COPY + 2 * index + 1, failures)
      this.#write(PER_COPY + 2 * index, this.#seconds() + pause)
    })
  }

  answered(index: number): void {
    if (this.#read(PER_COPY + 2 * index + 1) === 0) return
    this.#locked(() => {
      this.#write(PER_COPY + 2 * index, 0)
      this.#write(PER_COPY + 2 * index + 1, 0)
    })
  }

  isResting(index: number): boolean {
    return this.#read(PER_COPY + 2 * index) > this.#seconds()
  }

  #seconds(): number {
    return Math.floor(Date.now() / 1000) - this.#read(EPOCH_SECONDS)
  }

  #read(word: number): number {
    return Atomics.load(this.#words, word)
  }

  #write(word: number, value: number): void {
    Atomics.store(this.#words, word, value)
  }

  /** The sections are a few instructions, so waiting in a loop is cheap. */
  #locked<T>(action: () => T): T {
    while (Atomics.compareExchange(this.#words, LOCK, 0, 1) !== 0);
    try {
      return action()
    } finally {
      Atomics.store(this.#words, LOCK, 0)
    }
  }
}
