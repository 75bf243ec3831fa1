/** What a hot standby is told, and logical messages (src/include/storage/standbydefs.h, replication/message.h; alike from 15 to 18). */
import type { WalRecordView } from '../record-view.ts'
import { type EventBody, Fields, type Unknown } from './fields.ts'
import { readInvalidations } from './invalidations.ts'

const OPERATION_MASK = 0xf0
const STANDBY = { locks: 0x00, runningTransactions: 0x10, invalidations: 0x20 } as const
const LOCK_BYTES = 12
const RUNNING_HEADER_BYTES = 24
const MESSAGE_HEADER_BYTES = 24

export function decodeStandby(view: WalRecordView): EventBody | Unknown {
  const fields = new Fields(view)
  switch (view.info & OPERATION_MASK) {
    case STANDBY.locks: {
      if (fields.size < 4 || fields.fullSize !== 4 + fields.u32(0) * LOCK_BYTES) return fields.shortage
      if (fields.size < fields.fullSize) return 'cut'
      const shape = { count: fields.u32(0), itemBytes: LOCK_BYTES }
      const lock = (at: number) => ({
        xid: fields.u32(at),
        database: fields.u32(at + 4),
        relationOid: fields.u32(at + 8),
      })
      return { type: 'exclusive-locks', locks: fields.list(4, shape, lock) }
    }
    case STANDBY.runningTransactions:
      return runningTransactions(fields)
    case STANDBY.invalidations: {
      if (fields.size < 16) return fields.shortage
      const invalidations = readInvalidations(fields, 16, { count: fields.u32(12), initFile: fields.u8(8) !== 0 })
      return typeof invalidations === 'string' ? invalidations : { type: 'invalidations', invalidations }
    }
    default:
      return 'operation'
  }
}

function runningTransactions(fields: Fields): EventBody | Unknown {
  if (fields.size < RUNNING_HEADER_BYTES) return fields.shortage
  const count = fields.u32(0)
  const subCount = fields.u32(4)
  if (fields.fullSize !== RUNNING_HEADER_BYTES + (count + subCount) * 4) return 'content'
  if (fields.size < fields.fullSize) return 'cut'
  const xids = (at: number, length: number) =>
    fields.list(at, { count: length, itemBytes: 4 }, (one) => fields.u32(one))
  return {
    type: 'running-transactions',
    nextXid: fields.u32(12),
    oldestRunningXid: fields.u32(16),
    latestCompletedXid: fields.u32(20),
    xids: xids(RUNNING_HEADER_BYTES, count),
    subxids: xids(RUNNING_HEADER_BYTES + count * 4, subCount),
    isOverflowed: fields.u8(8) !== 0,
  }
}

export function decodeMessage(view: WalRecordView): EventBody | Unknown {
  const fields = new Fields(view)
  if ((view.info & OPERATION_MASK) !== 0) return 'operation'
  if (fields.size < MESSAGE_HEADER_BYTES) return fields.shortage
  const prefixBytes = fields.u64(8)
  const contentBytes = fields.u64(16)
  if (prefixBytes === 0n || BigInt(MESSAGE_HEADER_BYTES) + prefixBytes + contentBytes !== BigInt(fields.fullSize)) {
    return 'content'
  }
  const contentAt = MESSAGE_HEADER_BYTES + Number(prefixBytes)
  if (contentAt > fields.size) return 'cut'
  if (fields.u8(contentAt - 1) !== 0) return 'content'
  return {
    type: 'message',
    database: fields.u32(0),
    isTransactional: fields.u8(4) !== 0,
    prefix: fields.text(MESSAGE_HEADER_BYTES, contentAt),
    contentBytes: Number(contentBytes),
    content: fields.bytes(contentAt, fields.size),
  }
}
