/** The recovery window: the stretches of the past that can be restored, branch by branch, with the holes between them. */
import { partitionPoint } from '../base/partition-point.ts'
import { type Lsn, parseLsn, ZERO_LSN } from '../postgres/lsn.ts'
import type { TimelineHistory } from '../postgres/timeline.ts'
import { type BackupFacts, newestFirst, onPath } from './choose-backup.ts'
import { coverageOfPath, type LsnRange, rangeHolding, type TimelineCoverage, type WalGap } from './coverage.ts'
import { buildTimelinePath, reachesOnPath, type TimelinePath, targetTimeline } from './timeline-path.ts'

export interface WindowEdge {
  readonly lsn: Lsn
  /** The server's clock, ISO 8601 UTC; undefined when nothing that is known tells it. */
  readonly at?: string | undefined
}

export interface RecoveryWindow {
  readonly timeline: number
  readonly path: TimelinePath
  /** The first consistent moment: the end of the first backup of this stretch. */
  readonly from: WindowEdge
  /** The last moment: the end of the held WAL. */
  readonly to: WindowEdge
  /** Ids of the backups inside, oldest first. */
  readonly backups: readonly string[]
  /** Holes after this window on the same path; the next window of the path begins at a backup after them. */
  readonly gaps: readonly WalGap[]
}

/** A known pair of position and time: a commit, the end of a backup, what the server said when the archive had caught up. */
export interface WalMoment {
  readonly timeline: number
  readonly lsn: Lsn
  readonly at: string
}

export interface WindowInput {
  readonly backups: readonly BackupFacts[]
  readonly coverage: readonly TimelineCoverage[]
  readonly histories: readonly TimelineHistory[]
  readonly segmentSizeBytes: number
  /** Tells the times of the windows' ends; the more, the more exact. */
  readonly moments: readonly WalMoment[]
}

export interface WindowReport {
  readonly windows: readonly RecoveryWindow[]
  /** Timelines that hold WAL or backups but cannot be restored, because their history file is missing. */
  readonly unknownTimelines: readonly number[]
}

/**
 * The windows of every branch, oldest branch first. A timeline whose every reachable moment is also on a newer timeline's
 * path is not listed on its own.
 */
export function recoveryWindow(input: WindowInput): WindowReport {
  const timelines = new Set([...input.coverage.map((one) => one.timeline), ...input.backups.map((one) => one.timeline)])
  const known = new Set(input.histories.map((history) => history.timeline))
  const all = [...timelines].sort((a, b) => a - b)
  const unknownTimelines = all.filter((timeline) => timeline > 1 && !known.has(timeline))
  const paths = all
    .filter((timeline) => timeline === 1 || known.has(timeline))
    .map((timeline) => buildTimelinePath(input.histories, timeline))
  const windows = paths.flatMap((path) => windowsOfPath(input, path))
  const byTimeline = Map.groupBy(windows, ({ timeline }) => timeline)
  return { windows: windows.filter((window) => !isContained(window, byTimeline)), unknownTimelines }
}

function windowsOfPath(input: WindowInput, path: TimelinePath): RecoveryWindow[] {
  const { ranges, gaps } = coverageOfPath(input.coverage, path, { segmentSizeBytes: input.segmentSizeBytes })
  const backups = newestFirst(input.backups.filter((backup) => onPath(backup, path))).reverse()
  const inside = new Map<LsnRange | undefined, BackupFacts[]>()
  for (const backup of backups) {
    const range = rangeHolding(ranges, { beginLsn: parseLsn(backup.startLsn), endLsn: parseLsn(backup.stopLsn) })
    if (!inside.get(range)?.push(backup)) inside.set(range, [backup])
  }
  // Every gap but those at the end lies between two ranges.
  const holes = new Map<Lsn, WalGap>(gaps.map((gap) => [gap.beginLsn, gap]))
  const timeAt = latestMoments(input, path)
  const windows: RecoveryWindow[] = []
  for (const [index, range] of ranges.entries()) {
    const own = inside.get(range)
    const [first] = own ?? []
    if (!own || !first) continue
    const hole = holes.get(range.endLsn)
    const isLast = index === ranges.length - 1
    windows.push({
      timeline: targetTimeline(path),
      path,
      from: { lsn: parseLsn(first.stopLsn), at: first.stoppedAt },
      to: { lsn: range.endLsn, at: timeAt(range.endLsn) },
      backups: own.map((backup) => backup.backupId),
      gaps: isLast ? gaps.filter((gap) => gap.beginLsn >= range.endLsn) : hole ? [hole] : [],
    })
  }
  return windows
}

/** The latest time that is known for a position up to one. */
function latestMoments(input: WindowInput, path: TimelinePath): (endLsn: Lsn) => string | undefined {
  const stops = input.backups.map((one) => ({
    timeline: one.stopTimeline,
    lsn: parseLsn(one.stopLsn),
    at: one.stoppedAt,
  }))
  const moments = [...input.moments, ...stops]
    .filter(({ timeline, lsn }) => reachesOnPath(path, timeline, lsn))
    .sort((a, b) => (a.lsn < b.lsn ? -1 : a.lsn > b.lsn ? 1 : 0))
  const latest: string[] = []
  let latestMs = Number.NEGATIVE_INFINITY
  for (const { at } of moments) {
    const isLater = Date.parse(at) > latestMs
    latest.push(isLater ? at : (latest.at(-1) ?? at))
    if (isLater) latestMs = Date.parse(at)
  }
  return (endLsn) => latest[partitionPoint(moments, ({ lsn }) => lsn <= endLsn) - 1]
}

/** Whether a newer branch shares the window's whole stretch, so that it would only be listed twice. @param windows of each branch, in order */
function isContained(window: RecoveryWindow, windows: ReadonlyMap<number, readonly RecoveryWindow[]>): boolean {
  return [...windows].some(([timeline, others]) => {
    const step =
      timeline === window.timeline ? undefined : others[0]?.path.find((one) => one.timeline === window.timeline)
    if (!step || window.to.lsn > (step.endLsn ?? ZERO_LSN)) return false
    const other = others[partitionPoint(others, ({ from }) => from.lsn <= window.from.lsn) - 1]
    return other !== undefined && window.to.lsn <= other.to.lsn
  })
}
