import type { Lsn } from '../lsn.ts'
import { u32 } from './bytes.ts'
import type { WalRecord } from './record.ts'
import { RecordParts } from './record-parts.ts'

const NOTHING = new Uint8Array(0)

/**
 * The record that a reader has just checked. There is one for all records, filled anew for each: what is wanted of it must be
 * taken out while its visitor runs. Positions are halves of 32 bits, because a bigint for each record is slow.
 */
export class WalRecordView {
  /** Of the server that wrote it; 0 where no page header was seen yet. */
  major = 0
  /** Resource manager: 0 is the log itself, 1 transactions; see src/include/access/rmgrlist.h. */
  rmgr = 0
  info = 0
  /** 0 when the record belongs to no transaction. */
  xid = 0
  totalBytes = 0
  readonly parts = new RecordParts()
  /** Holds the main data from `mainBegin` to `mainEnd`: cut to `maxDataBytes` of the reader, `parts.mainBytes` is its full length. */
  main: Uint8Array = NOTHING
  mainBegin = 0
  mainEnd = 0
  /** Where in `main` begins what the record holds of its blocks, images and data, which stands before the main data; -1: it is not at hand. */
  blocksBegin = -1

  beginHigh = 0
  beginLow = 0
  endHigh = 0
  /** May be 2^32, where the record ends at such a border. */
  endLow = 0
  previousHigh = 0
  previousLow = 0

  /** XLogRecord, at `at`. */
  readHeader(header: Uint8Array, at: number): void {
    this.totalBytes = u32(header, at)
    this.xid = u32(header, at + 4)
    this.previousLow = u32(header, at + 8)
    this.previousHigh = u32(header, at + 12)
    this.info = header[at + 16] as number
    this.rmgr = header[at + 17] as number
  }

  get lsn(): Lsn {
    return lsnOf(this.beginHigh, this.beginLow)
  }

  /** Where the next record can begin at the earliest; it does, unless a page header stands there. */
  get endLsn(): Lsn {
    return lsnOf(this.endHigh, this.endLow)
  }

  get previousLsn(): Lsn {
    return lsnOf(this.previousHigh, this.previousLow)
  }

  /** Whether less of the main data is at hand than the record holds. */
  get isCut(): boolean {
    return this.mainEnd - this.mainBegin < this.parts.mainBytes
  }
}

export function lsnOf(high: number, low: number): Lsn {
  return ((BigInt(high) << 32n) + BigInt(low)) as Lsn
}

/** An object of its own, with a copy of the data: slice() of a Buffer would only be a view. */
export function copyRecord(view: WalRecordView): WalRecord {
  const { main, mainBegin, mainEnd, parts } = view
  return {
    lsn: view.lsn,
    endLsn: view.endLsn,
    rmgr: view.rmgr,
    info: view.info,
    xid: view.xid,
    totalBytes: view.totalBytes,
    data: new Uint8Array(main.subarray(mainBegin, mainEnd)),
    dataBytes: parts.mainBytes,
  }
}
