/**
 * Cuts the server's byte stream into messages without copying the bulk: the payload of CopyData comes in pieces, exactly as the
 * chunks of the socket cut it. All other messages are small and come whole.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { RetakeError } from '../../base/errors.ts'
import { releaseMemory } from '../../base/memory.ts'

export const COPY_DATA = 0x64 // 'd'

/** A part of one CopyData message. Empty only when the message itself is empty. */
export interface CopyPiece {
  readonly kind: 'copy'
  /** A view on the chunk that was pushed; empty once the next one is. */
  readonly bytes: Buffer
  readonly first: boolean
  readonly last: boolean
}

export interface WholeMessage {
  readonly kind: 'message'
  /** The type byte: `'E'.charCodeAt(0)` for an ErrorResponse. */
  readonly code: number
  readonly body: Buffer
}

export type BackendPiece = CopyPiece | WholeMessage

const HEADER_BYTES = 5
/** Anything but CopyData that is longer is not PostgreSQL: a timeline history or an error is far smaller. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024

/**
 * Pull parser: `push` a chunk, then call `next` until it returns undefined; only then push again.
 * Bounded: it holds at most one chunk and one message other than CopyData. A used-up chunk's memory is given back at once: a
 * gigabyte is sixteen thousand of them, and the garbage collector would spend more time on them than we on their content.
 */
export class MessageReader {
  #chunk: Buffer = Buffer.alloc(0)
  /** Whether a message that was given out lies in the chunk: then it stays for as long as somebody holds the message. */
  #lent = false
  #position = 0
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerFilled = 0
  /** Bytes of the current CopyData message still to come; -1 outside one. */
  #copyRemaining = -1
  #copyFirst = false
  /** The body of a message that is cut by a chunk's end. */
  #body: Buffer | undefined
  #bodyFilled = 0

  push(chunk: Buffer): void {
    if (!this.#lent) releaseMemory(this.#chunk)
    this.#lent = false
    this.#chunk = chunk
    this.#position = 0
  }

  /** The next piece, or undefined when the chunk is used up. */
  next(): BackendPiece | undefined {
    if (this.#copyRemaining >= 0) return this.#nextCopy()
    if (this.#body) return this.#continueBody(this.#body)
    return this.#nextHeader()
  }

  #nextHeader(): BackendPiece | undefined {
    const available = this.#chunk.length - this.#position
    if (available === 0) return undefined
    let header = this.#chunk
    let at = this.#position
    if (this.#headerFilled > 0 || available < HEADER_BYTES) {
      const taken = Math.min(HEADER_BYTES - this.#headerFilled, available)
      this.#chunk.copy(this.#header, this.#headerFilled, this.#position, this.#position + taken)
      this.#headerFilled += taken
      this.#position += taken
      if (this.#headerFilled < HEADER_BYTES) return undefined
      this.#headerFilled = 0
      header = this.#header
      at = 0
    } else {
      this.#position += HEADER_BYTES
    }
    const code = header[at] ?? 0
    const length = header.readUInt32BE(at + 1) - 4
    if (length < 0 || (code !== COPY_DATA && length > MAX_MESSAGE_BYTES)) throw malformed(code, length)
    if (code === COPY_DATA) {
      this.#copyRemaining = length
      this.#copyFirst = true
      return this.#nextCopy()
    }
    return this.#beginBody(code, length)
  }

  #nextCopy(): CopyPiece | undefined {
    const available = this.#chunk.length - this.#position
    if (available === 0 && this.#copyRemaining > 0) return undefined
    const taken = Math.min(available, this.#copyRemaining)
    const bytes = this.#chunk.subarray(this.#position, this.#position + taken)
    const first = this.#copyFirst
    const last = taken === this.#copyRemaining
    this.#position += taken
    this.#copyFirst = false
    this.#copyRemaining = last ? -1 : this.#copyRemaining - taken
    return { kind: 'copy', bytes, first, last }
  }

  #beginBody(code: number, length: number): WholeMessage | undefined {
    const end = this.#position + length
    if (end <= this.#chunk.length) {
      const body = this.#chunk.subarray(this.#position, end)
      this.#lent = true
      this.#position = end
      return { kind: 'message', code, body }
    }
    this.#header[0] = code
    this.#body = Buffer.allocUnsafe(length)
    this.#bodyFilled = 0
    return this.#continueBody(this.#body)
  }

  #continueBody(body: Buffer): WholeMessage | undefined {
    const taken = Math.min(body.length - this.#bodyFilled, this.#chunk.length - this.#position)
    this.#chunk.copy(body, this.#bodyFilled, this.#position, this.#position + taken)
    this.#bodyFilled += taken
    this.#position += taken
    if (this.#bodyFilled < body.length) return undefined
    this.#body = undefined
    return { kind: 'message', code: this.#header[0] ?? 0, body }
  }
}

function malformed(code: number, length: number): RetakeError {
  return new RetakeError(
    'postgres.protocol',
    `The server sent a message that the protocol does not allow (type 0x${code.toString(16)}, ${length} bytes).`,
    {
      hint: 'Check that the address is that of a PostgreSQL server and that nothing on the way changes the bytes.',
    },
  )
}
