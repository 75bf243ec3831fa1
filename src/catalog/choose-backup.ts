/** Which backup a restore starts from: the newest one that the log leads to the target from, without a hole. */
import { RetakeError } from '../base/errors.ts'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import { type LsnRange, rangeHolding, type WalGap } from './coverage.ts'
import { reachesOnPath, stepAt, type TimelinePath, targetTimeline } from './timeline-path.ts'

/** The facts of a backup that decide; a {@link BackupSummary} has them all. */
export type BackupFacts = Pick<
  BackupSummary,
  'backupId' | 'timeline' | 'startLsn' | 'stopTimeline' | 'stopLsn' | 'startedAt' | 'stoppedAt'
>

export interface RejectedBackup {
  readonly backupId: string
  readonly why: string
}

export interface BackupChoice<B extends BackupFacts> {
  readonly backup: B
  readonly why: string
  readonly rejected: readonly RejectedBackup[]
}

export interface PathCoverage {
  readonly ranges: readonly LsnRange[]
  readonly gaps: readonly WalGap[]
}

type Unfit = { readonly reason: 'path' | 'later' | 'gap'; readonly why: string; readonly gap?: WalGap | undefined }

/**
 * Why a backup cannot lead to `targetLsn` (the end of the last WAL that is needed), or undefined when it can.
 * The reasons: it was taken on another branch of the past, it became consistent only later, or WAL between is missing.
 */
export function whyUnfit(
  backup: BackupFacts,
  options: { readonly path: TimelinePath; readonly coverage: PathCoverage; readonly targetLsn: Lsn },
): Unfit | undefined {
  const { path, coverage, targetLsn } = options
  const startLsn = parseLsn(backup.startLsn)
  const stopLsn = parseLsn(backup.stopLsn)
  if (!onPath(backup, path)) {
    return {
      reason: 'path',
      why: `taken on timeline ${backup.timeline} at ${backup.startLsn}, which is not on the way to timeline ${targetTimeline(path)}`,
    }
  }
  if (stopLsn > targetLsn) {
    return { reason: 'later', why: `consistent only from ${backup.stopLsn} on (${backup.stoppedAt}), after the target` }
  }
  if (!rangeHolding(coverage.ranges, { beginLsn: startLsn, endLsn: targetLsn })) {
    const gap = firstGap(coverage, { beginLsn: startLsn, endLsn: targetLsn })
    return { reason: 'gap', why: `WAL ${describeRange(gap)} between its start and the target is missing`, gap }
  }
  return undefined
}

/** Whether the backup was taken on the path, so that replay along the path continues from it. */
export function onPath(backup: BackupFacts, path: TimelinePath): boolean {
  return placeOnPath({ ...backup, start: parseLsn(backup.startLsn), stop: parseLsn(backup.stopLsn) }, path)
}

/** As {@link onPath}, of one whose positions are known already. */
export function placeOnPath(
  backup: Pick<BackupFacts, 'timeline' | 'stopTimeline'> & { readonly start: Lsn; readonly stop: Lsn },
  path: TimelinePath,
): boolean {
  const step = stepAt(path, backup.start)
  return step?.timeline === backup.timeline && reachesOnPath(path, backup.stopTimeline, backup.stop)
}

/**
 * The newest fit backup, with the reason and why each newer one was passed over.
 *
 * @throws RetakeError `backup.missing` (none at all), `target.outside` (all are later than the target; names the first
 * moment that can be reached) or `wal.gap` (WAL that is needed is missing; names it).
 */
export function chooseBackup<B extends BackupFacts>(
  backups: readonly B[],
  options: { readonly path: TimelinePath; readonly coverage: PathCoverage; readonly targetLsn: Lsn },
): BackupChoice<B> {
  const rejected: (RejectedBackup & Unfit)[] = []
  for (const backup of newestFirst(backups)) {
    const unfit = whyUnfit(backup, options)
    if (!unfit) {
      const why = `the newest backup that is consistent before the target (${backup.stopLsn}) with all WAL from ${backup.startLsn} held`
      return { backup, why, rejected: rejected.map(({ backupId, why: reason }) => ({ backupId, why: reason })) }
    }
    rejected.push({ backupId: backup.backupId, ...unfit })
  }
  throw refusal(backups, { ...options, rejected })
}

export function newestFirst<B extends BackupFacts>(backups: readonly B[]): B[] {
  return backups
    .map((backup) => ({ backup, stop: parseLsn(backup.stopLsn) }))
    .sort((a, b) => {
      if (a.stop !== b.stop) return a.stop < b.stop ? 1 : -1
      return a.backup.backupId < b.backup.backupId ? 1 : -1
    })
    .map(({ backup }) => backup)
}

/** The first hole that `wanted` meets; what is beyond all coverage counts as one. */
export function firstGap(coverage: PathCoverage, wanted: LsnRange): WalGap {
  const recorded = coverage.gaps.find((gap) => gap.beginLsn < wanted.endLsn && wanted.beginLsn < gap.endLsn)
  if (recorded) return recorded
  const containing = coverage.ranges.find(
    (range) => range.beginLsn <= wanted.beginLsn && wanted.beginLsn < range.endLsn,
  )
  const next = coverage.ranges.find((range) => range.beginLsn > wanted.beginLsn)
  const beginLsn = containing?.endLsn ?? wanted.beginLsn
  const endLsn = !containing && next && next.beginLsn < wanted.endLsn ? next.beginLsn : wanted.endLsn
  return { timeline: 0, beginLsn, endLsn, recorded: false, explanation: 'No WAL of this stretch is held.' }
}

export function gapError(gap: WalGap, what: string): RetakeError {
  return new RetakeError('wal.gap', `${what}: WAL ${describeRange(gap)} is missing. ${gap.explanation}`, {
    hint: 'Run `retake window` to see which moments can be restored, and choose a target before the gap or after the next backup.',
    details: {
      beginLsn: formatLsn(gap.beginLsn),
      endLsn: formatLsn(gap.endLsn),
      recorded: gap.recorded,
      ...(gap.timeline > 0 ? { timeline: gap.timeline } : {}),
    },
  })
}

function describeRange(range: LsnRange): string {
  return `${formatLsn(range.beginLsn)} to ${formatLsn(range.endLsn)}`
}

function refusal(
  backups: readonly BackupFacts[],
  options: {
    readonly path: TimelinePath
    readonly targetLsn: Lsn
    readonly rejected: readonly (RejectedBackup & Unfit)[]
  },
): RetakeError {
  const { rejected, targetLsn, path } = options
  const details = { rejected: rejected.map(({ backupId, why }) => ({ backupId, why })) }
  if (backups.length === 0) {
    return new RetakeError('backup.missing', 'There is no backup of this cluster, so nothing can be restored.', {
      hint: 'Run `retake backup` to make one.',
    })
  }
  const gap = rejected.find((one) => one.reason === 'gap')?.gap
  if (gap) return gapError(gap, `The target at ${formatLsn(targetLsn)} cannot be reached from any backup`)
  const first = newestFirst(backups.filter((backup) => onPath(backup, path))).at(-1)
  if (!first) {
    return new RetakeError(
      'target.outside',
      `No backup lies on the way to timeline ${targetTimeline(path)}, so nothing on it can be restored.`,
      { hint: 'Run `retake window` to see the timelines that can be restored, and name one with --timeline.', details },
    )
  }
  return new RetakeError(
    'target.outside',
    `The target at ${formatLsn(targetLsn)} lies before the first moment that can be restored: ${first.stoppedAt} (${first.stopLsn}), when backup ${first.backupId} became consistent.`,
    {
      hint: `Choose a target at or after ${first.stoppedAt}.`,
      details: { ...details, firstAt: first.stoppedAt, firstLsn: first.stopLsn },
    },
  )
}
