/** Where recovery stops in the log, and the questions about the log's end that every kind of target asks. */
import { RetakeError } from '../base/errors.ts'
import { type InstantMicros, parseInstant } from '../base/instant.ts'
import { type BackupChoice, gapError } from '../catalog/choose-backup.ts'
import type { LsnRange, WalGap } from '../catalog/coverage.ts'
import { formatLsn, type Lsn, segmentStart } from '../postgres/lsn.ts'
import type { WalLandmark } from '../postgres/wal/landmarks.ts'
import type { WalRecord } from '../postgres/wal/record.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import type { StopSetting } from './settings.ts'
import type { WalLog } from './wal-log.ts'

/** A record of the log where recovery stops. */
export interface StopPoint {
  readonly setting: StopSetting
  readonly recordLsn: Lsn
  /** The end of that record; WAL is needed up to here whether it is applied or not. */
  readonly endLsn: Lsn
  /** Whether the record itself is applied. */
  readonly applied: boolean
  readonly why: string
}

export interface Located {
  readonly stop: StopPoint
  readonly choice: BackupChoice<BackupSummary>
}

export interface LocateOptions {
  readonly log: WalLog
  /** The backups to choose from. */
  readonly backups: readonly BackupSummary[]
}

export function isCommit(landmark: WalLandmark): boolean {
  return landmark.type === 'commit' || landmark.type === 'commit-prepared'
}

export function isAbort(landmark: WalLandmark): boolean {
  return landmark.type === 'abort' || landmark.type === 'abort-prepared'
}

/** Recovery up to the last whole record: said as its LSN, so that WAL that is missing can never shorten the recovery silently. */
export function stopAfter(record: Pick<WalRecord, 'lsn' | 'endLsn'>, why: string): StopPoint {
  return {
    setting: { name: 'recovery_target_lsn', value: formatLsn(record.lsn), inclusive: true },
    recordLsn: record.lsn,
    endLsn: record.endLsn,
    applied: true,
    why,
  }
}

/** The last stretch of held WAL. @throws RetakeError `wal.gap` when its end was lost, `backup.missing` when nothing is held */
export function lastRange(log: WalLog): LsnRange {
  const range = log.coverage.ranges.at(-1)
  throwIfEndDamaged(log)
  const lost = lostEnd(log)
  if (lost) throw gapError(lost, 'The end of the archived WAL has been lost')
  if (range) return range
  throw new RetakeError('wal.gap', 'No WAL of this timeline is held, so no backup of it can become consistent.', {
    hint: 'Run `retake wal receive`, then make a backup.',
  })
}

/**
 * An unreadable end must not pass for the end of the archive; nor can it be told, without the position, whether the end is
 * complete.
 */
export function throwIfEndDamaged(log: WalLog): void {
  const timelines = new Set(log.path.map((step) => step.timeline))
  const end = log.coverage.ranges.at(-1)?.endLsn
  const hit = log.held.damage.find(
    ({ timeline, segment }) =>
      timeline !== undefined &&
      segment !== undefined &&
      timelines.has(timeline) &&
      (end === undefined || segmentStart(segment + 1n, log.segmentSizeBytes) > end),
  )
  if (hit) throw hit.error
  const position = log.held.damage.find(({ what }) => what === 'position')
  if (position) throw endUnknown(position.error)
}

function endUnknown(cause: RetakeError): RetakeError {
  return new RetakeError(
    'repo.damaged',
    `${cause.message} It says how far the archive was acknowledged, so whether the newest WAL is complete cannot be told.`,
    {
      hint: 'Connect the receiver to the server (retake wal receive --until-caught-up), which writes it anew; or restore to a moment, a position or a transaction that lies before the end of the WAL held (`retake window`).',
      details: cause.details,
      cause,
    },
  )
}

function lostEnd(log: WalLog): WalGap | undefined {
  const end = log.coverage.ranges.at(-1)?.endLsn
  return log.coverage.gaps.find((gap) => end === undefined || gap.beginLsn >= end)
}

export function nothingHeld(): RetakeError {
  return new RetakeError('wal.damaged', 'The held WAL contains no whole record.', {
    hint: 'Run `retake verify` to see what is damaged.',
  })
}

/** The later of what the segment's facts say of times; undefined when no transaction ended in it. */
export function latestInstant(meta: {
  readonly firstAt?: string | undefined
  readonly lastAt?: string | undefined
}): InstantMicros | undefined {
  const instants = [meta.firstAt, meta.lastAt].filter((one) => one !== undefined).map(parseInstant)
  return instants.reduce<InstantMicros | undefined>(
    (best, one) => (best === undefined || one > best ? one : best),
    undefined,
  )
}
