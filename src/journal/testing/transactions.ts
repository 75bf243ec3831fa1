/** Transactions that were committed, with what a test says of them. */
import type { InstantMicros } from '../../base/instant.ts'
import type { Lsn } from '../../postgres/lsn.ts'
import type { FileChanges } from '../../postgres/wal/transactions/transaction.ts'
import type { JournalTransaction } from '../block.ts'

export const fileOf = (relfilenode: number) => ({ tablespace: 1663, database: 5, relfilenode })

export const changesOf = (relfilenode: number, counts: Partial<FileChanges>): FileChanges => ({
  ...{ file: fileOf(relfilenode), inserted: 0, updated: 0, deleted: 0, movedAway: 0, newPages: 0, isToast: false },
  ...counts,
})

export const transaction = (more: Partial<JournalTransaction>): JournalTransaction => ({
  ...{ xid: 7, subxids: [], outcome: 'committed', prepared: undefined, isFromBegin: true, isExact: true },
  end: { lsn: 90n as Lsn, endLsn: 98n as Lsn, at: 0n as InstantMicros },
  ...{ firstLsn: 1n as Lsn, lastLsn: 90n as Lsn, records: 1, walBytes: 1, files: [], otherFiles: undefined },
  ...{ wholeFiles: [], wholeFilesLeftOut: 0, droppedFiles: [], changedRelations: [], rolledBackRows: 0 },
  ...more,
})
