/** Deterministic randomness: the same seed makes the same data on every machine. */

/** A generator of the sfc32 family, seeded from numbers; fast, with a period far above what any data set takes. */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(...seed: readonly number[]) {
    this.#a = 0x9e3779b9
    this.#b = 0x243f6a88
    this.#c = 0xb7e15162
    for (const value of seed) {
      this.#a ^= mix(value)
      this.#b ^= mix(value + 0x6d2b79f5)
      this.next()
    }
    for (let i = 0; i < 12; i++) this.next()
  }

  /** 32 random bits. */
  next(): number {
    const t = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0
    return t >>> 0
  }

  /** From 0 up to but not including 1. */
  fraction(): number {
    return this.next() / 0x1_0000_0000
  }

  /** A whole number, both ends included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.fraction() * (high - low + 1))
  }

  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  pick<T>(values: readonly T[]): T {
    return values[this.next() % values.length] as T
  }

  /** Favours small numbers: a few users write most of the reviews. Below `limit`. */
  skewed(limit: number): number {
    const x = this.fraction()
    return Math.floor(x * x * x * limit)
  }

  uuid(): string {
    return formatUuid(this.next(), this.next(), this.next(), this.next())
  }
}

/** The same UUID (version 4 in form) for the same arguments: rows refer to each other without being remembered. */
export function uuidOf(seed: number, table: number, index: number): string {
  const a = mix(seed ^ mix(table))
  const b = mix(index ^ a)
  return formatUuid(mix(a ^ b), mix(b + 0x51ed270b), mix(a + Math.imul(index, 0x2545f491)), mix(b ^ 0x7f4a7c15))
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))

function formatUuid(a: number, b: number, c: number, d: number): string {
  const version = (b & 0xffff0fff) | 0x4000
  const variant = (c & 0x3fffffff) | 0x80000000
  const low = hex8(version)
  const high = hex8(variant)
  return `${hex8(a)}-${low.slice(0, 4)}-${low.slice(4)}-${high.slice(0, 4)}-${high.slice(4)}${hex8(d)}`
}

function hex8(value: number): string {
  return `${HEX[(value >>> 24) & 255]}${HEX[(value >>> 16) & 255]}${HEX[(value >>> 8) & 255]}${HEX[value & 255]}`
}

/** Spreads 32 bits (the finaliser of MurmurHash3). */
export function mix(value: number): number {
  let h = value | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
