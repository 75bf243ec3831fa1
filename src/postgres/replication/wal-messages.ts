/**
 * What travels inside CopyData while WAL is streamed.
 * https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-START-REPLICATION
 */
import { type InstantMicros, POSTGRES_EPOCH_MICROS } from '../../base/instant.ts'
import { formatLsn, type Lsn, ZERO_LSN } from '../lsn.ts'
import type { CopyPiece } from './message-reader.ts'
import { protocolError } from './messages.ts'

export type WalStreamEvent =
  | {
      readonly type: 'data'
      /** Where the first of `bytes` belongs. Consecutive events are contiguous. */
      readonly startLsn: Lsn
      /** Never empty; only valid until the handler has finished. */
      readonly bytes: Buffer
      /** The end of WAL on the server when it sent the message. */
      readonly serverEndLsn: Lsn
      /** The server's clock when it sent the message. */
      readonly serverTime: InstantMicros
    }
  | {
      readonly type: 'keepalive'
      readonly serverEndLsn: Lsn
      readonly serverTime: InstantMicros
      readonly replyRequested: boolean
    }

const XLOG_DATA = 0x77 // 'w'
const KEEPALIVE = 0x6b // 'k'
const XLOG_HEADER_BYTES = 25
const KEEPALIVE_BYTES = 18

/** Turns pieces of CopyData into events; a header may be cut anywhere. Refuses WAL that does not continue where the last ended. */
export class WalMessageReader {
  readonly #header = Buffer.alloc(XLOG_HEADER_BYTES)
  #filled = 0
  #nextLsn: bigint

  constructor(startLsn: Lsn) {
    this.#nextLsn = startLsn
  }

  /** The end of what was handed out. */
  get position(): Lsn {
    return this.#nextLsn as Lsn
  }

  /** At most one event for each piece. @throws RetakeError `postgres.protocol` */
  take(piece: CopyPiece): WalStreamEvent | undefined {
    if (piece.first) this.#filled = 0
    const wanted = this.#wantedHeaderBytes(piece.bytes)
    const taken = Math.min(wanted - this.#filled, piece.bytes.length)
    if (taken > 0) {
      piece.bytes.copy(this.#header, this.#filled, 0, taken)
      this.#filled += taken
      if (this.#filled === wanted) this.#beginMessage()
    }
    if (this.#filled < wanted) {
      if (piece.last) throw protocolError('a streaming message is cut short')
      return undefined
    }
    if (this.#header[0] === XLOG_DATA) return this.#data(piece.bytes.subarray(taken))
    return taken > 0 ? this.#keepalive() : undefined
  }

  #wantedHeaderBytes(bytes: Buffer): number {
    const type = this.#filled > 0 ? this.#header[0] : bytes[0]
    if (type === XLOG_DATA) return XLOG_HEADER_BYTES
    if (type === KEEPALIVE) return KEEPALIVE_BYTES
    throw protocolError(`a streaming message of unknown type ${type}`)
  }

  #beginMessage(): void {
    if (this.#header[0] !== XLOG_DATA) return
    const startLsn = this.#header.readBigUInt64BE(1)
    if (startLsn === this.#nextLsn) return
    throw protocolError(`WAL at ${formatLsn(startLsn)} where ${formatLsn(this.#nextLsn)} should follow`)
  }

  #data(bytes: Buffer): WalStreamEvent | undefined {
    if (bytes.length === 0) return undefined
    const startLsn = this.#nextLsn as Lsn
    this.#nextLsn += BigInt(bytes.length)
    return { type: 'data', startLsn, bytes, serverEndLsn: this.#lsnAt(9), serverTime: this.#timeAt(17) }
  }

  #keepalive(): WalStreamEvent {
    return {
      type: 'keepalive',
      serverEndLsn: this.#lsnAt(1),
      serverTime: this.#timeAt(9),
      replyRequested: this.#header[17] === 1,
    }
  }

  #lsnAt(offset: number): Lsn {
    return this.#header.readBigUInt64BE(offset) as Lsn
  }

  #timeAt(offset: number): InstantMicros {
    return (this.#header.readBigInt64BE(offset) + POSTGRES_EPOCH_MICROS) as InstantMicros
  }
}

export interface StandbyStatus {
  /** End of what was received and written, or zero. */
  readonly writeLsn: Lsn
  /** End of what is durable, or zero: the slot moves there, and synchronous commits up to there return. */
  readonly flushLsn: Lsn
  readonly at: InstantMicros
  /** Ask for a keepalive at once. */
  readonly replyRequested: boolean
}

/** A standby status update ('r') in a CopyData message. We apply nothing, so the apply position stays zero. */
export function statusMessage(status: StandbyStatus): Buffer {
  const message = Buffer.alloc(39)
  message[0] = 0x64 // CopyData
  message.writeUInt32BE(38, 1)
  message[5] = 0x72 // 'r'
  message.writeBigUInt64BE(status.writeLsn, 6)
  message.writeBigUInt64BE(status.flushLsn, 14)
  message.writeBigUInt64BE(ZERO_LSN, 22)
  message.writeBigInt64BE(status.at - POSTGRES_EPOCH_MICROS, 30)
  message[38] = status.replyRequested ? 1 : 0
  return message
}

/** A duration as SHOW prints it (`1min`, `2s`, `500ms`, `0`), in milliseconds. */
export function parseDurationMs(text: string): number {
  const match = /^(\d+)\s*(us|ms|s|min|h|d)?$/.exec(text.trim())
  if (!match) throw protocolError(`"${text}" is not a duration`)
  const unit = { us: 0.001, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] ?? 'ms'] ?? 1
  return Number(match[1]) * unit
}
