/** Views of records that no server wrote. */
import { WalRecordView } from '../record-view.ts'

export interface RecordShape {
  readonly rmgr: number
  readonly info: number
  readonly xid?: number
  readonly topXid?: number
  readonly major?: number
  readonly lsn?: number
  readonly main?: Uint8Array
  /** Of the main data, what the reader has kept; default all. */
  readonly keptBytes?: number
  readonly blocks?: readonly { readonly relfilenode: number; readonly block: number; readonly database?: number }[]
}

/** The parts are read from their encoding, as the reader does it. */
export function viewOf(shape: RecordShape): WalRecordView {
  const { rmgr, info, xid = 0, topXid = 0, major = 17, lsn = 4096, main = new Uint8Array(0), blocks = [] } = shape
  const headers = [
    ...blocks.map(({ relfilenode, block, database = 5 }, id) =>
      Buffer.concat([Buffer.from([id, 0, 0, 0]), words(1663, database, relfilenode, block)]),
    ),
    topXid === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([252]), words(topXid)]),
    main.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([254]), words(main.length)]),
  ]
  const body = Buffer.concat([...headers, main])
  const view = new WalRecordView()
  if (!view.parts.read(body, { begin: 0, end: body.length, bodyBytes: body.length })) throw new Error('parts')
  view.rmgr = rmgr
  view.info = info
  view.xid = xid
  view.major = major
  view.totalBytes = 24 + body.length
  view.beginLow = lsn
  view.endLow = lsn + view.totalBytes
  view.main = main
  view.mainEnd = Math.min(main.length, shape.keptBytes ?? main.length)
  return view
}

/** 32 bits each, as the server writes them. */
export function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value >>> 0, index * 4)
  return bytes
}

/** What the records that tests are made of look like. */
export const record = {
  insert: (offset: number, flags = 0) => Buffer.from([offset & 0xff, offset >> 8, flags]),
  delete: (offset: number, flags = 0) => Buffer.concat([words(0), Buffer.from([offset & 0xff, offset >> 8, 0, flags])]),
  /** A commit or an abort with its subtransactions. */
  end: (subxids: readonly number[] = []) =>
    subxids.length === 0 ? Buffer.alloc(8) : Buffer.concat([Buffer.alloc(8), words(2, subxids.length, ...subxids)]),
  endOfPrepared: (xid: number) => Buffer.concat([Buffer.alloc(8), words(16, xid)]),
  assignment: (topXid: number, subxids: readonly number[]) => words(topXid, subxids.length, ...subxids),
  running: (nextXid: number, oldestXid: number, xids: readonly number[] = []) =>
    words(xids.length, 0, 0, nextXid, oldestXid, nextXid - 1, ...xids),
  checkpoint: (nextXid: number) => {
    const bytes = Buffer.alloc(88)
    bytes.writeUInt32LE(nextXid, 24)
    return bytes
  },
} as const
