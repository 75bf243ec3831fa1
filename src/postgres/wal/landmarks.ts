/**
 * The records at which a recovery can stop, or which say something about what can be recovered: ends of transactions,
 * restore points, checkpoints, changes of timeline (src/include/access/xact.h, src/include/catalog/pg_control.h).
 */

import { RetakeError } from '../../base/errors.ts'
import { type InstantMicros, POSTGRES_EPOCH_MICROS } from '../../base/instant.ts'
import { formatLsn, type Lsn } from '../lsn.ts'
import { i64, u32, u64 } from './bytes.ts'
import { majorOfPageMagic } from './page-header.ts'
import { INFO_MASK, RMGR_XACT, RMGR_XLOG, type WalRecord, XLOG_SWITCH } from './record.ts'

interface Place {
  readonly lsn: Lsn
  readonly endLsn: Lsn
}

export interface TransactionEnd extends Place {
  readonly type: 'commit' | 'abort' | 'commit-prepared' | 'abort-prepared'
  /** The transaction that ended; 0 when the record is longer than what the reader kept of it. */
  readonly xid: number
  /** The server's clock. */
  readonly at: InstantMicros
}

export interface RestorePoint extends Place {
  readonly type: 'restore-point'
  readonly name: string
  readonly at: InstantMicros
}

export interface Checkpoint extends Place {
  readonly type: 'checkpoint'
  readonly kind: 'online' | 'shutdown'
  /** Where a replay from this checkpoint begins. */
  readonly redoLsn: Lsn
  readonly timeline: number
  readonly previousTimeline: number
  readonly fullPageWrites: boolean
  /** Whole seconds. */
  readonly at: InstantMicros
}

export interface EndOfRecovery extends Place {
  readonly type: 'end-of-recovery'
  readonly timeline: number
  readonly previousTimeline: number
  readonly at: InstantMicros
}

export interface SegmentSwitch extends Place {
  readonly type: 'switch'
}

export interface FullPageWritesChange extends Place {
  readonly type: 'full-page-writes'
  readonly fullPageWrites: boolean
}

export type WalLandmark =
  | TransactionEnd
  | RestorePoint
  | Checkpoint
  | EndOfRecovery
  | SegmentSwitch
  | FullPageWritesChange

const XACT_TYPES: ReadonlyMap<number, TransactionEnd['type']> = new Map([
  [0x00, 'commit'],
  [0x20, 'abort'],
  [0x30, 'commit-prepared'],
  [0x40, 'abort-prepared'],
])
/** Above the four bits that name the kind of record. */
const XACT_KIND_MASK = 0x70
const XACT_HAS_INFO = 0x80

const XLOG = {
  checkpointShutdown: 0x00,
  checkpointOnline: 0x10,
  switch: XLOG_SWITCH,
  restorePoint: 0x70,
  fullPageWrites: 0x80,
  endOfRecovery: 0x90,
} as const
const XLOG_LANDMARKS: ReadonlySet<number> = new Set(Object.values(XLOG))

/** For {@link WalReaderOptions.wanted}: true for the records that {@link landmarkOf} knows. */
export function isLandmarkRecord(rmgr: number, info: number): boolean {
  if (rmgr === RMGR_XACT) return XACT_TYPES.has(info & XACT_KIND_MASK)
  return rmgr === RMGR_XLOG && XLOG_LANDMARKS.has(info & INFO_MASK)
}

/**
 * What the record means, if it is a landmark.
 * @param version the major version, or the magic of the record's page
 * @throws RetakeError `wal.damaged` when its data is too short
 */
export function landmarkOf(record: WalRecord, version: number): WalLandmark | undefined {
  if (!isLandmarkRecord(record.rmgr, record.info)) return undefined
  const place: Place = { lsn: record.lsn, endLsn: record.endLsn }
  if (record.rmgr === RMGR_XACT) return transactionEnd(record, place, majorOfPageMagic(version) ?? version)
  return logLandmark(record, place)
}

function logLandmark(record: WalRecord, place: Place): WalLandmark {
  const { data } = record
  switch (record.info & INFO_MASK) {
    case XLOG.switch:
      return { type: 'switch', ...place }
    case XLOG.restorePoint:
      requireLength(record, 72)
      return { type: 'restore-point', name: zeroEnded(data, 8, 64), at: instant(data, 0), ...place }
    case XLOG.fullPageWrites:
      requireLength(record, 1)
      return { type: 'full-page-writes', fullPageWrites: data[0] !== 0, ...place }
    case XLOG.endOfRecovery:
      requireLength(record, 16)
      return {
        type: 'end-of-recovery',
        at: instant(data, 0),
        timeline: u32(data, 8),
        previousTimeline: u32(data, 12),
        ...place,
      }
    default:
      requireLength(record, 72)
      return {
        type: 'checkpoint',
        kind: (record.info & INFO_MASK) === XLOG.checkpointOnline ? 'online' : 'shutdown',
        redoLsn: u64(data, 0) as Lsn,
        timeline: u32(data, 8),
        previousTimeline: u32(data, 12),
        fullPageWrites: data[16] !== 0,
        at: (i64(data, 64) * 1_000_000n) as InstantMicros,
        ...place,
      }
  }
}

function transactionEnd(record: WalRecord, place: Place, major: number): TransactionEnd {
  requireLength(record, 8)
  const type = XACT_TYPES.get(record.info & XACT_KIND_MASK) ?? 'commit'
  const prepared = type === 'commit-prepared' || type === 'abort-prepared'
  return { type, xid: prepared ? preparedXid(record, major) : record.xid, at: instant(record.data, 0), ...place }
}

/** The parts that may stand before the prepared transaction's id, in order: a flag, and how long the part is. */
const XINFO = { database: 1, subtransactions: 2, relations: 4, invalidations: 8, prepared: 16, droppedStatistics: 256 }

/** The end of a prepared transaction is written by another one, so its own id is among the data. */
function preparedXid(record: WalRecord, major: number): number {
  const { data } = record
  if ((record.info & XACT_HAS_INFO) === 0) throw tooShort(record)
  requireLength(record, 12)
  const xinfo = u32(data, 8)
  // A dropped object's statistics are named by a 64-bit id since 18.
  const lists: readonly (readonly [flag: number, itemBytes: number])[] = [
    [XINFO.subtransactions, 4],
    [XINFO.relations, 12],
    [XINFO.droppedStatistics, major >= 18 ? 16 : 12],
    [XINFO.invalidations, 16],
  ]
  if ((xinfo & XINFO.prepared) === 0) throw tooShort(record)
  let at = 12 + (xinfo & XINFO.database ? 8 : 0)
  for (const [flag, itemBytes] of lists) {
    if ((xinfo & flag) === 0) continue
    if (at + 4 > data.length) return cutOrDamaged(record)
    at += 4 + u32(data, at) * itemBytes
  }
  return at + 4 > data.length ? cutOrDamaged(record) : u32(data, at)
}

function cutOrDamaged(record: WalRecord): 0 {
  if (record.data.length === record.dataBytes) throw tooShort(record)
  return 0
}

function instant(data: Uint8Array, at: number): InstantMicros {
  return (i64(data, at) + POSTGRES_EPOCH_MICROS) as InstantMicros
}

function zeroEnded(data: Uint8Array, at: number, limit: number): string {
  const field = data.subarray(at, at + limit)
  const end = field.indexOf(0)
  return Buffer.from(end < 0 ? field : field.subarray(0, end)).toString('utf8')
}

function requireLength(record: WalRecord, bytes: number): void {
  if (record.data.length < bytes) throw tooShort(record)
}

function tooShort(record: WalRecord): RetakeError {
  return new RetakeError(
    'wal.damaged',
    `The WAL record at ${formatLsn(record.lsn)} does not hold what its kind must hold.`,
    {
      details: { lsn: formatLsn(record.lsn), rmgr: record.rmgr, info: record.info },
    },
  )
}
