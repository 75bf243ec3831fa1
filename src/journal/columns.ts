/** Numbers and texts one after the other, small ones in few bytes: seven bits to a byte, the lowest first. */
import { RetakeError } from '../base/errors.ts'

const MORE = 0x80
const FIRST_CAPACITY_BYTES = 1024
/** Of a number below 2^53. */
const MOST_NUMBER_BYTES = 8

export class ColumnWriter {
  #bytes = Buffer.allocUnsafe(FIRST_CAPACITY_BYTES)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** @param value an integer from 0 on, below 2^53 */
  unsigned(value: number): void {
    this.#reserve(MOST_NUMBER_BYTES)
    let rest = value
    while (rest >= MORE) {
      // Not by bits: they would cut it to 32.
      this.#bytes[this.#length++] = (rest % MORE) | MORE
      rest = Math.floor(rest / MORE)
    }
    this.#bytes[this.#length++] = rest
  }

  /** Near 0 on either side is short. @param value an integer between -2^52 and 2^52 */
  signed(value: number): void {
    this.unsigned(value < 0 ? -value * 2 - 1 : value * 2)
  }

  text(value: string): void {
    const bytes = Buffer.from(value, 'utf8')
    this.unsigned(bytes.length)
    this.bytes(bytes)
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
  }

  /** What was written; a view that the next write may change. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + bytes))
    larger.set(this.written())
    this.#bytes = larger
  }
}

export class ColumnReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  /** @throws RetakeError `repo.damaged`, as the others, when there is no such thing here */
  unsigned(): number {
    let value = 0
    for (let scale = 1, taken = 0; taken < MOST_NUMBER_BYTES; taken++, scale *= MORE) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) break
      value += (byte % MORE) * scale
      if (byte < MORE) return Number.isSafeInteger(value) ? value : broken()
    }
    return broken()
  }

  signed(): number {
    const value = this.unsigned()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  text(): string {
    return Buffer.from(this.bytes(this.unsigned())).toString('utf8')
  }

  bytes(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length) return broken()
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}

function broken(): never {
  throw new RetakeError('repo.damaged', 'A part of the journal is not what it must be.', {
    hint: 'It is made of the WAL, and can be made again: retake journal update --rebuild',
  })
}
