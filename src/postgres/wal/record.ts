/** WAL records (src/include/access/xlogrecord.h): a header of 24 bytes, headers of the parts, the parts, the main data last. */
import type { Lsn } from '../lsn.ts'

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
