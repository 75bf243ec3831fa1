/**
 * `global/pg_control`: what a cluster says of itself (src/include/catalog/pg_control.h). The layout is that of a little-endian
 * machine with 8-byte alignment, which is every platform PostgreSQL is commonly built for today.
 */
import { RetakeError } from '../base/errors.ts'
import { crc32c } from './crc32c.ts'
import type { Lsn } from './lsn.ts'

export type ClusterState =
  | 'starting up'
  | 'shut down'
  | 'shut down in recovery'
  | 'shutting down'
  | 'in crash recovery'
  | 'in archive recovery'
  | 'in production'

export type WalLevel = 'minimal' | 'replica' | 'logical'

export interface ControlFile {
  /** Decimal, as PostgreSQL prints it; it does not fit a JavaScript number. */
  readonly systemIdentifier: string
  readonly controlVersion: number
  readonly catalogVersion: number
  /** From the catalog version; undefined for a build that is not a release of 13 to 18. */
  readonly major: number | undefined
  readonly state: ClusterState
  readonly checkpointLsn: Lsn
  /** Where a replay from the last checkpoint begins. */
  readonly redoLsn: Lsn
  readonly checkpointTimeline: number
  readonly fullPageWrites: boolean
  /** 0/0 when no minimum applies. */
  readonly minRecoveryLsn: Lsn
  readonly minRecoveryTimeline: number
  /** 0/0 unless the cluster is a restored backup that has not reached consistency. */
  readonly backupStartLsn: Lsn
  readonly backupEndLsn: Lsn
  readonly backupEndRequired: boolean
  readonly walLevel: WalLevel
  readonly walLogHints: boolean
  readonly maxConnections: number
  readonly maxWorkerProcesses: number
  readonly maxWalSenders: number
  readonly maxPreparedTransactions: number
  readonly maxLocksPerTransaction: number
  readonly trackCommitTimestamp: boolean
  readonly blockSizeBytes: number
  /** Blocks in one file of a relation; 131,072 of 8 KiB make 1 GiB. */
  readonly relationSegmentBlocks: number
  readonly walBlockSizeBytes: number
  readonly walSegmentSizeBytes: number
  /** 0 when pages carry no checksum. */
  readonly dataChecksumVersion: number
}

const STATES: readonly ClusterState[] = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
]

const WAL_LEVELS: readonly WalLevel[] = ['minimal', 'replica', 'logical']

/** Where the checksum of the structure is: its last field. 18 added the signedness of `char` before the nonce. */
const CRC_OFFSETS: ReadonlyMap<number, number> = new Map([
  [1300, 288],
  [1700, 288],
  [1800, 292],
])

/** The catalog version of each released major; 13 to 16 share one control version. */
const MAJORS: ReadonlyMap<number, number> = new Map([
  [202007201, 13],
  [202107181, 14],
  [202209061, 15],
  [202307071, 16],
  [202406281, 17],
  [202506291, 18],
])

/**
 * Reads a control file of PostgreSQL 13 to 18 and checks its CRC.
 * @throws RetakeError `postgres.unsupported` for another layout, `postgres.protocol` for a damaged file
 */
export function parseControlFile(bytes: Uint8Array): ControlFile {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  requireIntact(bytes, view)
  const u32 = (offset: number) => view.getUint32(offset, true)
  const lsn = (offset: number) => view.getBigUint64(offset, true) as Lsn
  const flag = (offset: number) => view.getUint8(offset) !== 0
  const catalogVersion = u32(12)
  return {
    systemIdentifier: view.getBigUint64(0, true).toString(),
    controlVersion: u32(8),
    catalogVersion,
    major: MAJORS.get(catalogVersion),
    state: oneOf(STATES, u32(16), 'state'),
    checkpointLsn: lsn(32),
    redoLsn: lsn(40),
    checkpointTimeline: u32(48),
    fullPageWrites: flag(56),
    minRecoveryLsn: lsn(136),
    minRecoveryTimeline: u32(144),
    backupStartLsn: lsn(152),
    backupEndLsn: lsn(160),
    backupEndRequired: flag(168),
    walLevel: oneOf(WAL_LEVELS, u32(172), 'wal_level'),
    walLogHints: flag(176),
    maxConnections: u32(180),
    maxWorkerProcesses: u32(184),
    maxWalSenders: u32(188),
    maxPreparedTransactions: u32(192),
    maxLocksPerTransaction: u32(196),
    trackCommitTimestamp: flag(200),
    blockSizeBytes: u32(216),
    relationSegmentBlocks: u32(220),
    walBlockSizeBytes: u32(224),
    walSegmentSizeBytes: u32(228),
    dataChecksumVersion: u32(252),
  }
}

function requireIntact(bytes: Uint8Array, view: DataView): void {
  if (bytes.length < 296) throw damaged(`it is only ${bytes.length} bytes long`)
  const version = view.getUint32(8, true)
  const crcOffset = CRC_OFFSETS.get(version)
  if (crcOffset === undefined) {
    const swapped = CRC_OFFSETS.has(view.getUint32(8, false))
    throw new RetakeError(
      'postgres.unsupported',
      swapped
        ? 'This cluster comes from a big-endian machine, which is not supported.'
        : `pg_control has version ${version}; this Retake reads 1300, 1700 and 1800 (PostgreSQL 13 to 18).`,
      { details: { controlVersion: version } },
    )
  }
  const stored = view.getUint32(crcOffset, true)
  if (crc32c(bytes.subarray(0, crcOffset)) !== stored) throw damaged('its checksum does not match')
  // A known number in the machine's own format: the layout of everything around it is then what is assumed here.
  if (view.getUint32(204, true) !== 8 || view.getFloat64(208, true) !== 1234567) {
    throw new RetakeError(
      'postgres.unsupported',
      'This cluster comes from a machine with another data alignment, which is not supported.',
    )
  }
}

function oneOf<T>(names: readonly T[], index: number, field: string): T {
  const name = names[index]
  if (name === undefined) throw damaged(`its ${field} is ${index}`)
  return name
}

function damaged(reason: string): RetakeError {
  return new RetakeError('postgres.protocol', `pg_control is damaged: ${reason}. A server does not start from it.`)
}
