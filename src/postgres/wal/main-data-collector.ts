import { PART_HEADERS_LIMIT_BYTES, type RecordParts } from './record-parts.ts'

/** More than a record about one page holds: an image of 32 KiB, and a row of it. */
const BLOCKS_LIMIT_BYTES = 128 * 1024

export interface CollectorOptions {
  readonly maxDataBytes: number
  /** What the part headers say is left there. */
  readonly parts: RecordParts
  /** Whether what the record holds of its blocks is wanted as well, which stands before the main data. */
  readonly keepsBlocks?: ((parts: RecordParts) => boolean) | undefined
}

/**
 * Picks the main data out of a record's body that comes in pieces, without holding the rest: a record may be a gigabyte
 * long, and the main data is its last part.
 */
export class MainDataCollector {
  readonly #bodyBytes: number
  readonly #maxDataBytes: number
  readonly #parts: RecordParts
  readonly #keepsBlocks: CollectorOptions['keepsBlocks']
  /** How much of what was collected stands before the main data. */
  blocksBytes = 0
  /** The beginning of the body, until it holds all part headers. */
  readonly #head: Uint8Array
  #seenBytes = 0
  #data: Uint8Array | undefined

  constructor(bodyBytes: number, options: CollectorOptions) {
    this.#bodyBytes = bodyBytes
    this.#maxDataBytes = options.maxDataBytes
    this.#parts = options.parts
    this.#keepsBlocks = options.keepsBlocks
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
  finish(): Uint8Array | undefined {
    if (this.#data === undefined && !this.#readHeaders()) return undefined
    return this.#data
  }

  #readHeaders(): boolean {
    const head = this.#head
    if (!this.#parts.read(head, { begin: 0, end: head.length, bodyBytes: this.#bodyBytes })) return false
    const { blocksBytes, mainBytes } = this.#parts
    if (blocksBytes <= BLOCKS_LIMIT_BYTES && this.#keepsBlocks?.(this.#parts)) this.blocksBytes = blocksBytes
    this.#data = new Uint8Array(this.blocksBytes + Math.min(mainBytes, this.#maxDataBytes))
    this.#keep(head, 0)
    return true
  }

  /** Copies what of the piece, which begins at `position` of the body, lies in the part that is kept. */
  #keep(piece: Uint8Array, position: number): void {
    const data = this.#data
    if (data === undefined) return
    const dataBegin = this.#bodyBytes - this.#parts.mainBytes - this.blocksBytes
    const begin = Math.max(position, dataBegin)
    const end = Math.min(position + piece.length, dataBegin + data.length)
    if (begin < end) data.set(piece.subarray(begin - position, end - position), begin - dataBegin)
  }
}
