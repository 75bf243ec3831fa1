/** What stands in the log for people, or changes what a recovery can do. */
import type { InstantMicros } from '../base/instant.ts'
import type { Lsn } from '../postgres/lsn.ts'
import type { WalEvent } from '../postgres/wal/decode/event.ts'
import { RMGR } from '../postgres/wal/decode/resource-managers.ts'
import { INFO_MASK } from '../postgres/wal/record.ts'
import type { WalRecordView } from '../postgres/wal/record-view.ts'

export const MARK_TYPES = ['restore-point', 'message', 'end-of-recovery'] as const

export interface JournalMark {
  readonly type: (typeof MARK_TYPES)[number]
  readonly lsn: Lsn
  readonly endLsn: Lsn
  /** A logical message has none. */
  readonly at?: InstantMicros | undefined
  /** Of a restore point; of a message its prefix. */
  readonly name?: string | undefined
}

/** XLOG_RESTORE_POINT and XLOG_END_OF_RECOVERY (src/include/catalog/pg_control.h): most of the log's own records are whole pages. */
const MARKS_OF_LOG: ReadonlySet<number> = new Set([0x70, 0x90])

/** Whether the record is worth decoding. */
export function mayBeMark({ rmgr, info }: WalRecordView): boolean {
  return rmgr === RMGR.logicalMessage || (rmgr === RMGR.log && MARKS_OF_LOG.has(info & INFO_MASK))
}

export function markOf(event: WalEvent): JournalMark | undefined {
  const { type, lsn, endLsn } = event
  if (type === 'restore-point') return { type, lsn, endLsn, at: event.at, name: event.name }
  if (type === 'message') return { type, lsn, endLsn, name: event.prefix }
  if (type === 'end-of-recovery') return { type, lsn, endLsn, at: event.at }
  return undefined
}
