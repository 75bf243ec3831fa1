/** Writes a log of its own for tests: pages and records as PostgreSQL lays them out, and the ways in which a log can end. */
import { crc32c } from '../../crc32c.ts'
import type { Lsn } from '../../lsn.ts'
import { align8 } from '../bytes.ts'

const BLOCK_BYTES = 8192
const PAGE_MAGIC = 0xd116

export interface BuiltRecord {
  readonly lsn: Lsn
  readonly endLsn: Lsn
  readonly rmgr: number
  readonly info: number
  readonly xid: number
  readonly data: Uint8Array
}

export interface WalBuilderOptions {
  /** Must be the beginning of a segment. */
  readonly startLsn: bigint
  readonly segmentSizeBytes: number
  readonly timeline?: number
  readonly systemIdentifier?: bigint
}

export class WalBuilder {
  readonly records: BuiltRecord[] = []
  readonly startLsn: Lsn
  readonly #options: WalBuilderOptions
  readonly #parts: Buffer[] = []
  #lengthBytes = 0
  #previousLsn = 0n

  constructor(options: WalBuilderOptions) {
    this.#options = options
    this.startLsn = options.startLsn as Lsn
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }

  get endLsn(): Lsn {
    return (this.startLsn + BigInt(this.#lengthBytes)) as Lsn
  }

  /** A record whose only part is its main data. */
  add(record: { rmgr: number; info: number; xid?: number; data: Uint8Array }): BuiltRecord {
    const { bytes, lsn } = this.#begin(record)
    this.#write(bytes)
    return this.#finish(record, lsn)
  }

  /**
   * A record that the server did not finish writing before it crashed: only what fits on its first page, after which the next
   * page says that it begins anew. `data` must be longer than a page.
   */
  addAbandoned(data: Uint8Array): void {
    const previous = this.#previousLsn
    const { bytes } = this.#begin({ rmgr: 1, info: 0, data })
    this.#previousLsn = previous
    this.#put(bytes.subarray(0, BLOCK_BYTES - (this.#lengthBytes % BLOCK_BYTES)))
    this.#pageHeader(0, 0x08)
  }

  /** XLOG_SWITCH: the rest of the segment is left as zeros. */
  addSwitch(): BuiltRecord {
    const record = { rmgr: 0, info: 0x40, data: new Uint8Array(0) }
    const { bytes, lsn } = this.#begin(record)
    this.#write(bytes)
    const rest = this.#lengthBytes % this.#options.segmentSizeBytes
    if (rest > 0) this.#put(Buffer.alloc(this.#options.segmentSizeBytes - rest))
    return this.#finish(record, lsn)
  }

  /** Zeros to the end of the segment, as where nothing was written yet. */
  padded(): Buffer {
    const rest = this.#lengthBytes % this.#options.segmentSizeBytes
    return Buffer.concat([...this.#parts, Buffer.alloc(rest === 0 ? 0 : this.#options.segmentSizeBytes - rest)])
  }

  #begin(record: { rmgr: number; info: number; xid?: number; data: Uint8Array }): { bytes: Buffer; lsn: Lsn } {
    if (this.#lengthBytes % BLOCK_BYTES === 0) this.#pageHeader(0, 0)
    const lsn = this.endLsn
    const bytes = encodeRecord(record, this.#previousLsn)
    this.#previousLsn = lsn
    return { bytes, lsn }
  }

  #finish(record: { rmgr: number; info: number; xid?: number; data: Uint8Array }, lsn: Lsn): BuiltRecord {
    this.#put(Buffer.alloc(align8(this.#lengthBytes) - this.#lengthBytes))
    const built = { xid: 0, ...record, lsn, endLsn: this.endLsn }
    this.records.push(built)
    return built
  }

  #write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#lengthBytes % BLOCK_BYTES === 0) this.#pageHeader(bytes.length - at, 0x01)
      const room = BLOCK_BYTES - (this.#lengthBytes % BLOCK_BYTES)
      const piece = bytes.subarray(at, at + room)
      this.#put(piece)
      at += piece.length
    }
  }

  #pageHeader(remainingBytes: number, flags: number): void {
    const { segmentSizeBytes, timeline = 1, systemIdentifier = 77n } = this.#options
    const isFirst = this.#lengthBytes % segmentSizeBytes === 0
    const header = Buffer.alloc(isFirst ? 40 : 24)
    header.writeUInt16LE(PAGE_MAGIC, 0)
    header.writeUInt16LE(flags | (isFirst ? 0x02 : 0), 2)
    header.writeUInt32LE(timeline, 4)
    header.writeBigUInt64LE(this.endLsn, 8)
    header.writeUInt32LE(remainingBytes, 16)
    if (isFirst) {
      header.writeBigUInt64LE(systemIdentifier, 24)
      header.writeUInt32LE(segmentSizeBytes, 32)
      header.writeUInt32LE(BLOCK_BYTES, 36)
    }
    this.#put(header)
  }

  #put(bytes: Buffer): void {
    this.#parts.push(bytes)
    this.#lengthBytes += bytes.length
  }
}

function encodeRecord(
  record: { rmgr: number; info: number; xid?: number; data: Uint8Array },
  previousLsn: bigint,
): Buffer {
  const { data } = record
  const partHeader = data.length === 0 ? [] : data.length < 256 ? [255, data.length] : [254, 0, 0, 0, 0]
  const body = Buffer.concat([Buffer.from(partHeader), data])
  if (data.length >= 256) body.writeUInt32LE(data.length, 1)
  const header = Buffer.alloc(24)
  header.writeUInt32LE(header.length + body.length, 0)
  header.writeUInt32LE(record.xid ?? 0, 4)
  header.writeBigUInt64LE(previousLsn, 8)
  header.writeUInt8(record.info, 16)
  header.writeUInt8(record.rmgr, 17)
  header.writeUInt32LE(crc32c(header.subarray(0, 20), crc32c(body)), 20)
  return Buffer.concat([header, body])
}
