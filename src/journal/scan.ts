/** Transactions and marks out of the WAL that is held, without a server. */
import type { LsnRange } from '../catalog/coverage.ts'
import type { Lsn } from '../postgres/lsn.ts'
import { decodeRecord } from '../postgres/wal/decode/decode.ts'
import type { WalEvent } from '../postgres/wal/decode/event.ts'
import { RMGR } from '../postgres/wal/decode/resource-managers.ts'
import { INFO_MASK } from '../postgres/wal/record.ts'
import type { WalRecordView } from '../postgres/wal/record-view.ts'
import { TransactionAssembler } from '../postgres/wal/transactions/assembler.ts'
import { visitRecords, type WalLog } from '../recovery/wal-log.ts'
import type { JournalTransaction } from './block.ts'

/** What stands in the log for people, or changes what a recovery can do. */
export type JournalMark = Extract<WalEvent, { readonly type: 'restore-point' | 'message' | 'end-of-recovery' }>

export interface ScanOptions {
  /** In the order in which they were over. */
  readonly onTransaction: (transaction: JournalTransaction) => void
  readonly onMark?: ((mark: JournalMark) => void) | undefined
  /** With the position that was reached. */
  readonly onProgress?: ((lsn: Lsn) => void) | undefined
}

export interface Scanned {
  /** The end of the last record. */
  readonly endLsn: Lsn
  /** Of the transactions that are still open there: where a later scan begins that shall know all of them. */
  readonly restartLsn: Lsn
}

/** @throws RetakeError `wal.damaged`, `wal.gap`, `aborted` */
export async function scanLog(log: WalLog, range: LsnRange, options: ScanOptions): Promise<Scanned> {
  const { onTransaction, onMark, onProgress } = options
  const assembler = new TransactionAssembler({ onTransaction: (one) => onTransaction(one as JournalTransaction) })
  let segment = -1
  const endLsn = await visitRecords(log, range, (view) => {
    assembler.add(view)
    if (onMark && mayBeMark(view)) tellMark(decodeRecord(view), onMark)
    const now = Math.floor(view.beginLow / log.segmentSizeBytes)
    if (onProgress && now !== segment) onProgress(view.lsn)
    segment = now
  })
  const open = assembler.openTransactions().map(({ firstLsn }) => firstLsn)
  return { endLsn, restartLsn: open.reduce((least, lsn) => (lsn < least ? lsn : least), endLsn) }
}

/** XLOG_RESTORE_POINT and XLOG_END_OF_RECOVERY (src/include/catalog/pg_control.h): most of the log's own records are whole pages. */
const MARKS_OF_LOG: ReadonlySet<number> = new Set([0x70, 0x90])

function mayBeMark({ rmgr, info }: WalRecordView): boolean {
  return rmgr === RMGR.logicalMessage || (rmgr === RMGR.log && MARKS_OF_LOG.has(info & INFO_MASK))
}

function tellMark(event: WalEvent, onMark: (mark: JournalMark) => void): void {
  if (event.type === 'restore-point' || event.type === 'message' || event.type === 'end-of-recovery') onMark(event)
}
