/**
 * A moment in the log. PostgreSQL stops before the first transaction end (commit or abort) that is later than the target;
 * with none it fails, which on an idle server is the usual case. So: with a later one, the time is given; without, but with
 * the archive known to reach beyond the moment, the position of the last record.
 */
import { RetakeError } from '../base/errors.ts'
import { formatInstant, type InstantMicros, parseInstant } from '../base/instant.ts'
import { firstGap, gapError, newestFirst, onPath, type RejectedBackup } from '../catalog/choose-backup.ts'
import { type LsnRange, rangeHolding } from '../catalog/coverage.ts'
import { targetTimeline } from '../catalog/timeline-path.ts'
import { type Lsn, parseLsn } from '../postgres/lsn.ts'
import type { WalLandmark } from '../postgres/wal/landmarks.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import {
  isAbort,
  isCommit,
  type Located,
  type LocateOptions,
  lastRange,
  latestInstant,
  nothingHeld,
  type StopPoint,
  stopAfter,
} from './stop-point.ts'
import { findLandmarks, findLastLandmark, lastRecord, type WalLog } from './wal-log.ts'

export async function locateTime(instant: InstantMicros, options: LocateOptions): Promise<Located> {
  const { log, backups } = options
  const rejected: RejectedBackup[] = []
  for (const backup of newestFirst(backups)) {
    const why = await rejectFor(backup, { instant, log })
    if (typeof why === 'string') {
      rejected.push({ backupId: backup.backupId, why })
      continue
    }
    const reason = `the newest backup that was complete (${backup.stoppedAt}) before the target, with all WAL from ${backup.startLsn} held`
    return { stop: why, choice: { backup, why: reason, rejected } }
  }
  throw tooEarly(instant, { log, backups, rejected })
}

/** Why the backup cannot be used for the instant, or the point where recovery from it stops. */
async function rejectFor(
  backup: BackupSummary,
  options: { readonly instant: InstantMicros; readonly log: WalLog },
): Promise<string | StopPoint> {
  const { instant, log } = options
  if (!onPath(backup, log.path)) {
    return `taken on timeline ${backup.timeline} at ${backup.startLsn}, which is not on the way to timeline ${targetTimeline(log.path)}`
  }
  if (parseInstant(backup.stoppedAt) > instant) return `complete only at ${backup.stoppedAt}, after the target`
  const startLsn = parseLsn(backup.startLsn)
  const stopLsn = parseLsn(backup.stopLsn)
  const range = rangeHolding(log.coverage.ranges, { beginLsn: startLsn, endLsn: stopLsn })
  if (!range) {
    // An older backup could not cross the hole either.
    const gap = firstGap(log.coverage, { beginLsn: startLsn, endLsn: stopLsn })
    throw gapError(gap, `Backup ${backup.backupId}, the newest before the target, cannot become consistent`)
  }
  const later = await firstEndAfter(log, { beginLsn: startLsn, endLsn: range.endLsn }, instant)
  if (!later) return await stopAtEnd(log, { instant, range })
  if (later.lsn < stopLsn) return 'a transaction that ended before the backup was complete is later than the target'
  return {
    setting: { name: 'recovery_target_time', value: formatForServer(instant), inclusive: true },
    recordLsn: later.lsn,
    endLsn: later.endLsn,
    applied: false,
    why: `the first transaction that ended later (${describeEnd(later)}) is not applied any more`,
  }
}

async function firstEndAfter(log: WalLog, range: LsnRange, instant: InstantMicros): Promise<WalLandmark | undefined> {
  const query = {
    mayHold: (meta: Parameters<typeof latestInstant>[0]) => {
      const latest = latestInstant(meta)
      return latest !== undefined && latest > instant
    },
    matches: (landmark: WalLandmark) =>
      (isCommit(landmark) || isAbort(landmark)) && 'at' in landmark && landmark.at > instant,
  }
  for await (const landmark of findLandmarks(log, range, query)) return landmark
  return undefined
}

/** No later transaction is held. That is the truth only if the archive is known to reach beyond the moment. */
async function stopAtEnd(
  log: WalLog,
  options: { readonly instant: InstantMicros; readonly range: LsnRange },
): Promise<StopPoint> {
  const { instant, range } = options
  const next = log.coverage.ranges.find((one) => one.beginLsn > range.endLsn)
  if (next) {
    const gap = firstGap(log.coverage, { beginLsn: range.endLsn, endLsn: next.beginLsn })
    throw gapError(
      gap,
      `No transaction after ${formatInstant(instant)} is held before a gap, so the moment may lie inside it`,
    )
  }
  // Refuses when the end of the archive was lost or cannot be read.
  lastRange(log)
  const caughtUpAt = knownUntil(log, range.endLsn)
  if (caughtUpAt === undefined || caughtUpAt < instant) throw await tooLate(log, { instant, range, caughtUpAt })
  const record = await lastRecord(log, range)
  if (!record) throw nothingHeld()
  return stopAfter(
    record,
    `no transaction ended after the target, and the archive had everything at ${formatInstant(caughtUpAt)}: the last record held`,
  )
}

/** Until when the archive is known to hold everything the server had. */
function knownUntil(log: WalLog, endLsn: Lsn): InstantMicros | undefined {
  const { position } = log.held
  if (!position?.caughtUpAt || position.timeline !== targetTimeline(log.path)) return undefined
  return parseLsn(position.flushLsn) <= endLsn ? parseInstant(position.caughtUpAt) : undefined
}

async function tooLate(
  log: WalLog,
  options: {
    readonly instant: InstantMicros
    readonly range: LsnRange
    readonly caughtUpAt: InstantMicros | undefined
  },
): Promise<RetakeError> {
  const { instant, range, caughtUpAt } = options
  const end = await findLastLandmark(log, range, {
    mayHold: (meta) => latestInstant(meta) !== undefined,
    matches: (landmark) => isCommit(landmark) || isAbort(landmark),
  })
  const lastEnd = end && 'at' in end ? end.at : undefined
  const last = lastEnd !== undefined && (caughtUpAt === undefined || lastEnd > caughtUpAt) ? lastEnd : caughtUpAt
  const lastAt = last === undefined ? undefined : formatInstant(last)
  const known = lastAt === undefined ? 'nothing is known of any time' : `the last moment that is known is ${lastAt}`
  return new RetakeError('target.outside', `${formatInstant(instant)} lies after the WAL that is held: ${known}.`, {
    hint: `Use --at latest for everything that is held${lastAt === undefined ? '' : `, or a moment up to ${lastAt}`}; or let the receiver catch up first (retake wal receive --until-caught-up).`,
    details: lastAt === undefined ? {} : { lastAt },
  })
}

function tooEarly(
  instant: InstantMicros,
  options: LocateOptions & { readonly rejected: readonly RejectedBackup[] },
): RetakeError {
  const { log, backups, rejected } = options
  const first = newestFirst(backups.filter((backup) => onPath(backup, log.path))).at(-1)
  if (!first) {
    const none = backups.length === 0
    return new RetakeError(
      none ? 'backup.missing' : 'target.outside',
      none
        ? 'There is no backup of this cluster, so nothing can be restored.'
        : `No backup lies on the way to timeline ${targetTimeline(log.path)}, so nothing on it can be restored.`,
      {
        hint: none
          ? 'Run `retake backup` to make one.'
          : 'Name another timeline with --timeline; `retake window` lists them.',
      },
    )
  }
  return new RetakeError(
    'target.outside',
    `${formatInstant(instant)} lies before the first moment that can be restored: ${first.stoppedAt}, when backup ${first.backupId} became complete.`,
    {
      hint: `Choose a target at or after ${first.stoppedAt}.`,
      details: { firstAt: first.stoppedAt, firstLsn: first.stopLsn, rejected },
    },
  )
}

/** In UTC, with its offset: the server's own time zone must not matter. */
function formatForServer(instant: InstantMicros): string {
  return formatInstant(instant).replace('T', ' ').replace('Z', '+00')
}

function describeEnd(landmark: WalLandmark): string {
  const at = 'at' in landmark ? ` at ${formatInstant(landmark.at)}` : ''
  return 'xid' in landmark ? `transaction ${landmark.xid}${at}` : landmark.type
}
