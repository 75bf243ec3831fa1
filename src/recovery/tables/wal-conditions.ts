/**
 * Whether the WAL of a replay allows that files are holes. A page that was never fetched is replaced as a whole by the first change
 * after the backup's start, because that change carries the whole page: always, unless full_page_writes was off. And a database that
 * is copied as files takes the holes along.
 */
import { RetakeError } from '../../base/errors.ts'
import { formatLsn, parseLsn, segmentOf } from '../../postgres/lsn.ts'
import { isLandmarkRecord, landmarkOf } from '../../postgres/wal/landmarks.ts'
import type { WalRecord } from '../../postgres/wal/record.ts'
import type { RestorePlan } from '../plan-types.ts'
import { majorOf, readRecords, type WalLog } from '../wal-log.ts'

const RMGR_DATABASE = 4
const CREATE_FROM_FILES = 0x00
const DATABASE_KIND_MASK = 0x70

/** A database whose directory was copied as files, at this position. */
export interface CopiedDatabase {
  readonly oid: number
  readonly lsn: string
}

/**
 * Reads the WAL of the plan once.
 * @throws RetakeError `restore.refused` when full_page_writes was off anywhere in it; `wal.damaged`, `wal.gap`
 */
export async function checkWalForHoles(log: WalLog, plan: RestorePlan): Promise<readonly CopiedDatabase[]> {
  const [beginLsn, endLsn] = [parseLsn(plan.wal.beginLsn), parseLsn(plan.wal.endLsn)]
  const copied: CopiedDatabase[] = []
  const records = readRecords(log, {
    beginLsn,
    endLsn,
    firstSegment: segmentOf(beginLsn, log.segmentSizeBytes),
    lastSegment: segmentOf(endLsn > beginLsn ? endLsn - 1n : endLsn, log.segmentSizeBytes),
    wanted: (rmgr, info) => isLandmarkRecord(rmgr, info) || isFileCopy(rmgr, info),
  })
  for await (const record of records) {
    const lsn = formatLsn(record.lsn)
    if (isFileCopy(record.rmgr, record.info)) copied.push({ oid: copiedOid(record), lsn })
    const landmark = landmarkOf(record, majorOf(log.cluster))
    if (landmark?.type === 'full-page-writes' || (landmark?.type === 'checkpoint' && !landmark.fullPageWrites))
      throw fullPageWritesOff(lsn)
  }
  return copied
}

function isFileCopy(rmgr: number, info: number): boolean {
  return rmgr === RMGR_DATABASE && (info & DATABASE_KIND_MASK) === CREATE_FROM_FILES
}

/** `xl_dbase_create_file_copy_rec` begins with the new database. */
function copiedOid({ data }: WalRecord): number {
  return data.length < 4 ? 0 : new DataView(data.buffer, data.byteOffset, 4).getUint32(0, true)
}

/** Changed to on means that it was off before. */
function fullPageWritesOff(lsn: string): RetakeError {
  return new RetakeError(
    'restore.refused',
    `full_page_writes was off on the server between the backup and the target (seen at ${lsn}), so single tables cannot be taken out of this backup.`,
    {
      hint: 'Restore the whole cluster: retake restore apply --at TARGET --to DIR. For the next time: ALTER SYSTEM RESET full_page_writes, and make a backup.',
      details: { lsn },
    },
  )
}
