/** Records of the log itself (src/include/catalog/pg_control.h, src/include/access/xlog_internal.h). */
import type { WalRecordView } from '../record-view.ts'
import { type EventBody, Fields, type Unknown } from './fields.ts'

const OPERATION_MASK = 0xf0
const LOG = {
  checkpointShutdown: 0x00,
  checkpointOnline: 0x10,
  noOperation: 0x20,
  nextOid: 0x30,
  switch: 0x40,
  backupEnd: 0x50,
  parameterChange: 0x60,
  restorePoint: 0x70,
  fullPageWrites: 0x80,
  endOfRecovery: 0x90,
  imageForHint: 0xa0,
  image: 0xb0,
  abandonedRecord: 0xd0,
  /** Since 17. */
  checkpointRedo: 0xe0,
} as const

const CHECKPOINT_BYTES = 88
const RESTORE_POINT_NAME_BYTES = 64
const WAL_LEVELS = ['minimal', 'replica', 'logical'] as const

/** Whether the record is nothing but whole pages that a transaction wrote, such as those of a new index. */
export function isNewPages(view: WalRecordView): boolean {
  return (view.info & OPERATION_MASK) === LOG.image
}

export function decodeLog(view: WalRecordView): EventBody | Unknown {
  const fields = new Fields(view)
  switch (view.info & OPERATION_MASK) {
    case LOG.checkpointShutdown:
      return checkpoint(fields, 'shutdown')
    case LOG.checkpointOnline:
      return checkpoint(fields, 'online')
    case LOG.noOperation:
      return { type: 'no-operation' }
    case LOG.nextOid:
      return { type: 'next-oid' }
    case LOG.switch:
      return { type: 'switch' }
    case LOG.backupEnd:
      return fields.size === 8 ? { type: 'backup-end', startLsn: fields.lsn(0) } : 'content'
    case LOG.parameterChange:
      return parameterChange(fields)
    case LOG.restorePoint: {
      if (fields.size !== 8 + RESTORE_POINT_NAME_BYTES) return 'content'
      const name = fields.text(8, 8 + RESTORE_POINT_NAME_BYTES)
      return { type: 'restore-point', name, at: fields.instant(0) }
    }
    case LOG.fullPageWrites:
      return fields.size === 1 ? { type: 'full-page-writes', fullPageWrites: fields.u8(0) !== 0 } : 'content'
    case LOG.endOfRecovery:
      return endOfRecovery(fields)
    case LOG.imageForHint:
    case LOG.image:
      if (view.parts.blockCount === 0) return 'content'
      return { type: 'page-images', isForHint: !isNewPages(view) }
    case LOG.abandonedRecord:
      if (fields.size !== 16) return 'content'
      return { type: 'abandoned-record', abandonedLsn: fields.lsn(0), at: fields.instant(8) }
    case LOG.checkpointRedo:
      return view.major >= 17 ? { type: 'checkpoint-redo' } : 'operation'
    default:
      return 'operation'
  }
}

function checkpoint(fields: Fields, kind: 'online' | 'shutdown'): EventBody | Unknown {
  if (fields.size !== CHECKPOINT_BYTES) return 'content'
  return {
    type: 'checkpoint',
    kind,
    redoLsn: fields.lsn(0),
    timeline: fields.u32(8),
    previousTimeline: fields.u32(12),
    fullPageWrites: fields.u8(16) !== 0,
    nextXid: fields.u32(24),
    xidEpoch: fields.u32(28),
    nextOid: fields.u32(32),
    oldestXid: fields.u32(44),
    at: fields.seconds(64),
    oldestActiveXid: fields.u32(80),
  }
}

/** Newer servers say the level of the log behind the timelines. */
function endOfRecovery(fields: Fields): EventBody | Unknown {
  if (fields.size < 16) return 'content'
  return {
    type: 'end-of-recovery',
    at: fields.instant(0),
    timeline: fields.u32(8),
    previousTimeline: fields.u32(12),
  }
}

function parameterChange(fields: Fields): EventBody | Unknown {
  const walLevel = fields.size === 28 ? WAL_LEVELS[fields.u32(20)] : undefined
  if (walLevel === undefined) return 'content'
  return {
    type: 'parameter-change',
    maxConnections: fields.i32(0),
    maxWorkerProcesses: fields.i32(4),
    maxWalSenders: fields.i32(8),
    maxPreparedTransactions: fields.i32(12),
    maxLocksPerTransaction: fields.i32(16),
    walLevel,
    walLogHints: fields.u8(24) !== 0,
    trackCommitTimestamp: fields.u8(25) !== 0,
  }
}
