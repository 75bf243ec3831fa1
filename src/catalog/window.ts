/** The recovery window: the stretches of the past that can be restored, branch by branch, with the holes between them. */
import { type Lsn, parseLsn, ZERO_LSN } from '../postgres/lsn.ts'
import type { TimelineHistory } from '../postgres/timeline.ts'
import { type BackupFacts, newestFirst, onPath } from './choose-backup.ts'
import { coverageOfPath, rangeHolding, type TimelineCoverage, type WalGap } from './coverage.ts'
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
  return { windows: windows.filter((window) => !isContained(window, windows)), unknownTimelines }
}

function windowsOfPath(input: WindowInput, path: TimelinePath): RecoveryWindow[] {
  const { ranges, gaps } = coverageOfPath(input.coverage, path, { segmentSizeBytes: input.segmentSizeBytes })
  const backups = newestFirst(input.backups.filter((backup) => onPath(backup, path))).reverse()
  const windows: RecoveryWindow[] = []
  for (const [index, range] of ranges.entries()) {
    const inside = backups.filter((backup) =>
      rangeHolding([range], { beginLsn: parseLsn(backup.startLsn), endLsn: parseLsn(backup.stopLsn) }),
    )
    const first = inside[0]
    if (!first) continue
    const nextBegin = ranges[index + 1]?.beginLsn
    windows.push({
      timeline: targetTimeline(path),
      path,
      from: { lsn: parseLsn(first.stopLsn), at: first.stoppedAt },
      to: { lsn: range.endLsn, at: latestMoment(input, { path, endLsn: range.endLsn }) },
      backups: inside.map((backup) => backup.backupId),
      gaps: gaps.filter((gap) => gap.beginLsn >= range.endLsn && (nextBegin === undefined || gap.endLsn <= nextBegin)),
    })
  }
  return windows
}

/** The latest time that is known for a position inside the window. */
function latestMoment(
  input: WindowInput,
  options: { readonly path: TimelinePath; readonly endLsn: Lsn },
): string | undefined {
  const stops = input.backups.map((one) => ({
    timeline: one.stopTimeline,
    lsn: parseLsn(one.stopLsn),
    at: one.stoppedAt,
  }))
  let latest: string | undefined
  for (const moment of [...input.moments, ...stops]) {
    if (moment.lsn > options.endLsn || !reachesOnPath(options.path, moment.timeline, moment.lsn)) continue
    if (latest === undefined || Date.parse(moment.at) > Date.parse(latest)) latest = moment.at
  }
  return latest
}

/** Whether a newer branch shares the window's whole stretch, so that it would only be listed twice. */
function isContained(window: RecoveryWindow, all: readonly RecoveryWindow[]): boolean {
  return all.some((other) => {
    if (other.timeline === window.timeline) return false
    const step = other.path.find((one) => one.timeline === window.timeline)
    if (!step) return false
    const sharedEnd = step.endLsn ?? ZERO_LSN
    return other.from.lsn <= window.from.lsn && window.to.lsn <= sharedEnd && window.to.lsn <= other.to.lsn
  })
}
