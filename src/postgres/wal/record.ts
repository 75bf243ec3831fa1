/** WAL records (src/include/access/xlogrecord.h): a header of 24 bytes, headers of the parts, the parts, the main data last. */
import type { Lsn } from '../lsn.ts'
import { u16, u32 } from './bytes.ts'

export interface WalRecord {
  readonly lsn: Lsn
  /** Where the next record can begin at the earliest; it does, unless a page header stands there. */
  readonly endLsn: Lsn
  /** Resource manager: 0 is the log itself, 1 transactions; see src/include/access/rmgrlist.h. */
  readonly rmgr: number
  readonly info: number
  /** 0 when the record belongs to no transaction. */
  readonly xid: number
  readonly totalBytes: number
  /** The main data, a copy; cut to `maxDataBytes` of the reader. */
  readonly data: Uint8Array
  /** The length of the main data before it was cut. */
  readonly dataBytes: number
}

export const RECORD_HEADER_BYTES = 24
/** Of the header, what goes into the checksum: all but the checksum itself, which is last. */
export const RECORD_CHECKED_HEADER_BYTES = 20
/** Nothing that a server accepts is longer (XLogRecordMaxSize is a little less). */
export const RECORD_LIMIT_BYTES = 1 << 30

export const RMGR_XLOG = 0
export const RMGR_XACT = 1
const RMGR_LAST_BUILT_IN = 21
const RMGR_FIRST_CUSTOM = 128

export function isResourceManager(rmgr: number): boolean {
  return rmgr <= RMGR_LAST_BUILT_IN || rmgr >= RMGR_FIRST_CUSTOM
}

/** The upper half of `info` is the resource manager's; the lower is the log's own. */
export const INFO_MASK = 0xf0
export const XLOG_SWITCH = 0x40

/** More than the headers of all 33 possible blocks, origin, transaction and main data can take. */
export const PART_HEADERS_LIMIT_BYTES = 1024

const PART = { lastBlock: 32, topTransaction: 252, origin: 253, dataLong: 254, dataShort: 255 } as const
const BLOCK = { hasImage: 0x10, sameRelation: 0x80 } as const
const IMAGE = { hasHole: 0x01, compressed: 0x04 | 0x08 | 0x10 } as const

/**
 * How long the main data is, from the part headers at the beginning of a record's body; undefined when they do not decode.
 * The main data is the last part, so it begins that far before the record's end.
 * @param range where the body begins, how much of it is at hand (all part headers), how long it is
 */
export function mainDataBytes(
  bytes: Uint8Array,
  range: { readonly begin: number; readonly end: number; readonly bodyBytes: number },
): number | undefined {
  let at = range.begin
  let partBytes = 0
  let mainBytes = 0
  // The headers end where what they announce fills the rest of the body.
  while (range.bodyBytes - (at - range.begin) > partBytes + mainBytes) {
    const headerBytes = partHeaderBytes(bytes, at, range.end)
    if (headerBytes === undefined || at + headerBytes > range.end) return undefined
    const id = bytes[at] as number
    if (id <= PART.lastBlock) partBytes += blockBytes(bytes, at)
    else if (id === PART.dataShort) mainBytes = bytes[at + 1] as number
    else if (id === PART.dataLong) mainBytes = u32(bytes, at + 1)
    at += headerBytes
  }
  return range.bodyBytes - (at - range.begin) === partBytes + mainBytes ? mainBytes : undefined
}

/** The data and page image that a block header announces. */
function blockBytes(bytes: Uint8Array, at: number): number {
  const hasImage = ((bytes[at + 1] as number) & BLOCK.hasImage) !== 0
  return u16(bytes, at + 2) + (hasImage ? u16(bytes, at + 4) : 0)
}

/** Undefined for an unknown part, and when too little is at hand to tell. */
function partHeaderBytes(bytes: Uint8Array, at: number, end: number): number | undefined {
  if (at + 2 > end) return undefined
  const id = bytes[at] as number
  if (id === PART.dataShort) return 2
  if (id === PART.dataLong) return 5
  if (id === PART.origin) return 3
  if (id === PART.topTransaction) return 5
  if (id > PART.lastBlock) return undefined
  const flags = bytes[at + 1] as number
  const place = (flags & BLOCK.sameRelation ? 0 : 12) + 4
  if ((flags & BLOCK.hasImage) === 0) return 4 + place
  if (at + 9 > end) return undefined
  const image = bytes[at + 8] as number
  return 4 + 5 + (image & IMAGE.hasHole && image & IMAGE.compressed ? 2 : 0) + place
}
