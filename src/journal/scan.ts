/** Transactions and marks out of the WAL that is held, without a server. */
import type { LsnRange } from '../catalog/coverage.ts'
import type { Lsn } from '../postgres/lsn.ts'
import { isNamingCatalog } from '../postgres/wal/decode/catalog-row.ts'
import { decodeRecord } from '../postgres/wal/decode/decode.ts'
import type { WalRecordView } from '../postgres/wal/record-view.ts'
import { type AssemblerState, TransactionAssembler } from '../postgres/wal/transactions/assembler.ts'
import { visitRecords, type WalLog } from '../recovery/wal-log.ts'
import type { JournalTransaction } from './block.ts'
import { type JournalMark, markOf, mayBeMark } from './mark.ts'

export interface ScanOptions {
  /** In the order in which they were over. */
  readonly onTransaction: (transaction: JournalTransaction) => void
  readonly onMark?: ((mark: JournalMark) => void) | undefined
  /** With the position that was reached. */
  readonly onProgress?: ((lsn: Lsn) => void) | undefined
  /** What was open where the range begins; default: not known. */
  readonly state?: AssemblerState | undefined
  /** Positions to stop at for a moment, ascending. */
  readonly borders?: readonly Lsn[] | undefined
  /** Every record that ends up to the border was given out, and none after it. The last border is told of when all was read. */
  readonly onBorder?: ((border: Border) => void) | undefined
  /** Awaited now and then. */
  readonly afterPiece?: (() => Promise<void>) | undefined
}

/** What is needed to go on from a border. */
export interface Border {
  readonly lsn: Lsn
  /** Where the next record begins; it ends behind the border. */
  readonly resumeLsn: Lsn
  readonly state: AssemblerState
}

/** @throws RetakeError `wal.damaged`, `wal.gap`, `aborted` */
export async function scanLog(log: WalLog, range: LsnRange, options: ScanOptions): Promise<void> {
  const { onTransaction, onMark, onProgress, state, borders = [], onBorder, afterPiece } = options
  const assembler = new TransactionAssembler({
    onTransaction: (one) => onTransaction(one as JournalTransaction),
    state,
  })
  let next = 0
  // Numbers, because a bigint for each record is slow.
  let [borderHigh, borderLow] = halvesOf(borders[0])
  const tellBorder = (lsn: Lsn, resumeLsn: Lsn) => {
    onBorder?.({ lsn, resumeLsn, state: assembler.state })
    next += 1
    ;[borderHigh, borderLow] = halvesOf(borders[next])
  }
  let segment = -1
  const visitor = (view: WalRecordView) => {
    while (view.endHigh > borderHigh || (view.endHigh === borderHigh && view.endLow > borderLow)) {
      tellBorder(borders[next] as Lsn, view.lsn)
    }
    const now = Math.floor(view.beginLow / log.segmentSizeBytes)
    if (onProgress && now !== segment) onProgress(view.lsn)
    segment = now
    assembler.add(view)
    if (onMark && mayBeMark(view)) {
      const mark = markOf(decodeRecord(view))
      if (mark) onMark(mark)
    }
  }
  const endLsn = await visitRecords(log, range, { visitor, afterPiece, keepsBlocks: isNamingCatalog })
  for (const lsn of borders.slice(next)) tellBorder(lsn, endLsn)
}

const halvesOf = (lsn: Lsn | undefined): readonly [number, number] =>
  lsn === undefined ? [Number.POSITIVE_INFINITY, 0] : [Number(lsn >> 32n), Number(lsn & 0xffff_ffffn)]
