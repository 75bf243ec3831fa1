/**
 * Finds a target in the archived WAL: at which record recovery will stop, and how PostgreSQL is told so. PostgreSQL looks
 * for the target by its own rules during replay, and what it finds is compared with what was found here.
 * https://www.postgresql.org/docs/current/runtime-config-wal.html#RUNTIME-CONFIG-WAL-RECOVERY-TARGET
 */
import { RetakeError } from '../base/errors.ts'
import { formatInstant } from '../base/instant.ts'
import { type BackupChoice, chooseBackup, firstGap, gapError } from '../catalog/choose-backup.ts'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'
import type { WalLandmark } from '../postgres/wal/landmarks.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import { locateTime } from './locate-time.ts'
import type { PlanTransaction } from './plan-types.ts'
import {
  isAbort,
  isCommit,
  type Located,
  type LocateOptions,
  lastRange,
  nothingHeld,
  type StopPoint,
  stopAfter,
  throwIfEndDamaged,
} from './stop-point.ts'
import type { RecoveryTarget } from './targets.ts'
import {
  findLandmarks,
  findLastLandmark,
  firstRecordFrom,
  type LandmarkQuery,
  lastRecord,
  type WalLog,
} from './wal-log.ts'

/**
 * Finds the record where recovery to the target stops, and the backup to begin with.
 * @throws RetakeError `target.outside`, `target.missing`, `wal.gap`, `backup.missing`: the target is not reachable, and why
 */
export async function locateTarget(target: RecoveryTarget, options: LocateOptions): Promise<Located> {
  if (target.kind === 'time') return await locateTime(target.instant, options)
  const stop = await stopOf(target, options)
  const choice = chooseFor(stop, options)
  return {
    stop: await withoutAmbiguity(target, stop, { ...options, startLsn: parseLsn(choice.backup.startLsn) }),
    choice,
  }
}

/** The last commit that a restore to the stop point contains; undefined when there is none since the backup began. */
export async function lastTransaction(
  log: WalLog,
  options: { readonly stop: StopPoint; readonly startLsn: Lsn },
): Promise<PlanTransaction | undefined> {
  const { stop, startLsn } = options
  const range = { beginLsn: startLsn, endLsn: stop.endLsn }
  const isIn = (lsn: Lsn) => (stop.applied ? lsn <= stop.recordLsn : lsn < stop.recordLsn)
  const commit = await findLastLandmark(log, range, {
    mayHold: (meta) => meta.commits > 0,
    matches: (landmark) => isCommit(landmark) && isIn(landmark.lsn),
  })
  if (!commit || !('xid' in commit)) return undefined
  return { xid: commit.xid, at: formatInstant(commit.at), lsn: formatLsn(commit.lsn) }
}

function stopOf(target: Exclude<RecoveryTarget, { kind: 'time' }>, options: LocateOptions): Promise<StopPoint> {
  switch (target.kind) {
    case 'latest':
      return stopAtLatest(options.log)
    case 'lsn':
      return stopAtLsn(options.log, target.lsn)
    case 'xid':
      return stopAtXid(options, target)
    case 'name':
      return stopAtName(options, target.name)
  }
}

function chooseFor(stop: StopPoint, options: LocateOptions): BackupChoice<BackupSummary> {
  const targetLsn = stop.applied ? stop.endLsn : stop.recordLsn
  return chooseBackup(options.backups, { path: options.log.path, coverage: options.log.coverage, targetLsn })
}

async function stopAtLatest(log: WalLog): Promise<StopPoint> {
  const record = await lastRecord(log, lastRange(log))
  if (!record) throw nothingHeld()
  return stopAfter(record, 'the last record that is held whole')
}

async function stopAtLsn(log: WalLog, lsn: Lsn): Promise<StopPoint> {
  const range = log.coverage.ranges.find((one) => one.beginLsn <= lsn && lsn <= one.endLsn)
  if (!range) {
    const last = log.coverage.ranges.at(-1)
    if (last && lsn > last.endLsn) throw beyondEnd(log, lsn)
    const first = log.coverage.ranges[0]
    // Before all coverage: the choice of a backup knows the first moment. Inside a hole: say which.
    if (first && lsn >= first.beginLsn)
      throw gapError(firstGap(log.coverage, { beginLsn: lsn, endLsn: (lsn + 1n) as Lsn }), 'The target lies in a gap')
    return stopAfter({ lsn, endLsn: lsn }, 'the position asked for')
  }
  const record = await firstRecordFrom(log, range, lsn)
  if (!record) {
    const last = await lastRecord(log, range)
    if (!last) throw nothingHeld()
    return stopAfter(
      last,
      `no record begins at ${formatLsn(lsn)} or later, so it is the end of everything held; the last record is ${formatLsn(last.lsn)}`,
    )
  }
  const why = record.lsn === lsn ? 'the record at the position' : 'the first record after the position'
  return {
    setting: { name: 'recovery_target_lsn', value: formatLsn(lsn), inclusive: true },
    recordLsn: record.lsn,
    endLsn: record.endLsn,
    applied: true,
    why,
  }
}

async function stopAtXid(
  options: LocateOptions,
  target: { readonly xid: number; readonly inclusive: boolean },
): Promise<StopPoint> {
  const end = await findFromEnd(options.log, endsOf(target.xid))
  if (!end) {
    throwIfEndDamaged(options.log)
    throw new RetakeError('target.missing', `Transaction ${target.xid} did not end in the WAL that is held.`, {
      hint: 'It may still have been open, may have written nothing, or lies outside the recovery window (`retake window`). Subtransactions are found under their top transaction.',
      details: { xid: target.xid },
    })
  }
  if (isAbort(end)) {
    throw new RetakeError(
      'target.missing',
      `Transaction ${target.xid} was rolled back at ${formatLsn(end.lsn)}, so there is no state with it, and the state without it is any other.`,
      { hint: `To recover to that moment, use lsn:${formatLsn(end.lsn)}.`, details: { xid: target.xid } },
    )
  }
  return {
    setting: { name: 'recovery_target_xid', value: String(target.xid), inclusive: target.inclusive },
    recordLsn: end.lsn,
    endLsn: end.endLsn,
    applied: target.inclusive,
    why: `transaction ${target.xid} committed at ${'at' in end ? formatInstant(end.at) : formatLsn(end.lsn)}`,
  }
}

async function stopAtName(options: LocateOptions, name: string): Promise<StopPoint> {
  const point = await findFromEnd(options.log, pointsNamed(name))
  if (!point) {
    throwIfEndDamaged(options.log)
    throw new RetakeError('target.missing', `There is no restore point named "${name}" in the WAL that is held.`, {
      hint: 'Restore points are made with pg_create_restore_point; the name is case-sensitive. See `retake window` for what is held.',
      details: { name },
    })
  }
  return {
    setting: { name: 'recovery_target_name', value: name, inclusive: true },
    recordLsn: point.lsn,
    endLsn: point.endLsn,
    applied: true,
    why: `the restore point made at ${'at' in point ? formatInstant(point.at) : formatLsn(point.lsn)}`,
  }
}

/**
 * PostgreSQL stops at the first match after the backup's start. When an earlier one lies between (a name used twice, a
 * transaction id that came round again), it is told the position instead.
 */
async function withoutAmbiguity(
  target: RecoveryTarget,
  stop: StopPoint,
  options: LocateOptions & { readonly startLsn: Lsn },
): Promise<StopPoint> {
  if (target.kind !== 'xid' && target.kind !== 'name') return stop
  const query = target.kind === 'xid' ? endsOf(target.xid) : pointsNamed(target.name)
  for await (const first of findLandmarks(options.log, { beginLsn: options.startLsn, endLsn: stop.endLsn }, query)) {
    if (first.lsn >= stop.recordLsn) return stop
    return {
      ...stop,
      setting: { name: 'recovery_target_lsn', value: formatLsn(stop.recordLsn), inclusive: stop.applied },
      why: `${stop.why}; the same ${target.kind} occurs before, at ${formatLsn(first.lsn)}, and the latest is taken`,
    }
  }
  throw new RetakeError('wal.damaged', `The record at ${formatLsn(stop.recordLsn)} cannot be read again.`)
}

function endsOf(xid: number): LandmarkQuery {
  return {
    // Facts without transaction ids say nothing.
    mayHold: (meta) =>
      meta.minXid === undefined || meta.maxXid === undefined || (meta.minXid <= xid && xid <= meta.maxXid),
    matches: (landmark) => (isCommit(landmark) || isAbort(landmark)) && 'xid' in landmark && landmark.xid === xid,
  }
}

function pointsNamed(name: string): LandmarkQuery {
  return {
    mayHold: (meta) => meta.restorePoints.some((point) => point.name === name),
    matches: (landmark) => landmark.type === 'restore-point' && landmark.name === name,
  }
}

async function findFromEnd(log: WalLog, query: LandmarkQuery): Promise<WalLandmark | undefined> {
  for (const range of [...log.coverage.ranges].reverse()) {
    const found = await findLastLandmark(log, range, query)
    if (found) return found
  }
  return undefined
}

function beyondEnd(log: WalLog, lsn: Lsn): RetakeError {
  const last = lastRange(log)
  return new RetakeError(
    'target.outside',
    `The position ${formatLsn(lsn)} lies beyond the WAL that is held, which ends at ${formatLsn(last.endLsn)}.`,
    {
      hint: 'Use --at latest for everything that is held, or let the receiver catch up: retake wal receive --until-lsn.',
      details: { lastLsn: formatLsn(last.endLsn) },
    },
  )
}
