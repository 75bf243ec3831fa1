import { mainDataBytes, PART_HEADERS_LIMIT_BYTES } from './record.ts'

/**
 * Picks the main data out of a record's body that comes in pieces, without holding the rest: a record may be a gigabyte
 * long, and the main data is its last part.
 */
export class MainDataCollector {
  readonly #bodyBytes: number
  readonly #maxDataBytes: number
  /** The beginning of the body, until it holds all part headers. */
  readonly #head: Uint8Array
  #seenBytes = 0
  #data: Uint8Array | undefined
  #dataBytes = 0

  constructor(bodyBytes: number, maxDataBytes: number) {
    this.#bodyBytes = bodyBytes
    this.#maxDataBytes = maxDataBytes
    this.#head = new Uint8Array(Math.min(bodyBytes, PART_HEADERS_LIMIT_BYTES))
  }

  /** Takes the next piece; false when the part headers do not decode. */
  add(piece: Uint8Array): boolean {
    const missing = this.#head.length - this.#seenBytes
    if (missing > 0) {
      const headPiece = piece.subarray(0, missing)
      this.#head.set(headPiece, this.#seenBytes)
      this.#seenBytes += headPiece.length
      if (headPiece.length < missing) return true
      if (!this.#readHeaders()) return false
      return piece.length === headPiece.length || this.add(piece.subarray(headPiece.length))
    }
    this.#keep(piece, this.#seenBytes)
    this.#seenBytes += piece.length
    return true
  }

  /** Undefined when the part headers do not decode; to be called when the whole body was added. */
  finish(): { readonly data: Uint8Array; readonly dataBytes: number } | undefined {
    if (this.#data === undefined && !this.#readHeaders()) return undefined
    return { data: this.#data ?? new Uint8Array(0), dataBytes: this.#dataBytes }
  }

  #readHeaders(): boolean {
    const head = this.#head
    const length = mainDataBytes(head, { begin: 0, end: head.length, bodyBytes: this.#bodyBytes })
    if (length === undefined) return false
    this.#dataBytes = length
    this.#data = new Uint8Array(Math.min(length, this.#maxDataBytes))
    this.#keep(head, 0)
    return true
  }

  /** Copies what of the piece, which begins at `position` of the body, lies in the kept part of the main data. */
  #keep(piece: Uint8Array, position: number): void {
    const data = this.#data
    if (data === undefined) return
    const dataBegin = this.#bodyBytes - this.#dataBytes
    const begin = Math.max(position, dataBegin)
    const end = Math.min(position + piece.length, dataBegin + data.length)
    if (begin < end) data.set(piece.subarray(begin - position, end - position), begin - dataBegin)
  }
}
