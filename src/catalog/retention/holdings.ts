/** The facts that retention decides on, joined once: which backups can be restored, along which branches, and which branches live. */
import { type Lsn, parseLsn } from '../../postgres/lsn.ts'
import { type BackupFacts, onPath, placeOnPath } from '../choose-backup.ts'
import { coverageOfPath, type LsnRange, type RecordedRange, rangeHolding } from '../coverage.ts'
import { buildTimelinePath, type TimelinePath } from '../timeline-path.ts'
import type { WindowInput } from '../window.ts'

export interface HeldBackup extends BackupFacts {
  readonly start: Lsn
  readonly stop: Lsn
  readonly stoppedMs: number
  /** Its WAL from start to stop is held. */
  readonly restorable: boolean
  /** The way on which that is so; empty when nothing is known of its timeline. */
  readonly path: TimelinePath
  /** The history of its timeline is missing, so nothing can be said about it. */
  readonly unknown: boolean
}

/** One way through the timelines, as far as it was written. */
export interface Branch {
  readonly timeline: number
  readonly path: TimelinePath
  readonly ranges: readonly LsnRange[]
  /** When the archive went on to a newer timeline; undefined: this is the one that is being written. */
  readonly endedMs?: number | undefined
}

export interface RetentionHoldings {
  /** Oldest first, by the time at which they ended. */
  readonly backups: readonly HeldBackup[]
  /** In the order of timelines; those whose history is missing are in {@link unknownTimelines}. */
  readonly branches: readonly Branch[]
  readonly unknownTimelines: ReadonlySet<number>
}

export interface HoldingsInput extends WindowInput {
  readonly ranges: readonly RecordedRange[]
  /** The timeline that the archive is on. */
  readonly positionTimeline?: number | undefined
}

export function joinHoldings(input: HoldingsInput): RetentionHoldings {
  const known = new Set(input.histories.map(({ timeline }) => timeline))
  const timelines = new Set(input.coverage.map(({ timeline }) => timeline))
  for (const { timeline, stopTimeline } of input.backups) timelines.add(timeline).add(stopTimeline)
  const sorted = [...timelines].sort((left, right) => left - right)
  const branches = sorted
    .filter((timeline) => timeline === 1 || known.has(timeline))
    .map((timeline) => branchOf(input, timeline))
  const unknownTimelines = new Set(sorted.filter((timeline) => timeline > 1 && !known.has(timeline)))
  const byTimeline = new Map(branches.map((branch) => [branch.timeline, branch]))
  const backups = input.backups.map((backup) => holdBackup(backup, byTimeline))
  backups.sort((left, right) => left.stoppedMs - right.stoppedMs || (left.backupId < right.backupId ? -1 : 1))
  return { backups, branches, unknownTimelines }
}

function branchOf(input: HoldingsInput, timeline: number): Branch {
  const path = buildTimelinePath(input.histories, timeline)
  const { ranges } = coverageOfPath(input.coverage, path, { segmentSizeBytes: input.segmentSizeBytes })
  return { timeline, path, ranges, endedMs: endOf(input, timeline) }
}

/** A timeline is over when the archive has seen a newer one; the earliest sign of that counts. */
function endOf(input: HoldingsInput, timeline: number): number | undefined {
  if (input.positionTimeline === timeline) return undefined
  const signs = [
    ...input.ranges.filter((range) => range.timeline > timeline).map(({ at }) => Date.parse(at)),
    ...input.backups.filter((backup) => backup.timeline > timeline).map(({ startedAt }) => Date.parse(startedAt)),
  ].filter((ms) => Number.isFinite(ms))
  return signs.length > 0 ? signs.reduce((left, right) => Math.min(left, right)) : undefined
}

function holdBackup(backup: BackupFacts, branches: ReadonlyMap<number, Branch>): HeldBackup {
  const start = parseLsn(backup.startLsn)
  const stop = parseLsn(backup.stopLsn)
  const own = branches.get(backup.stopTimeline)
  // Its own timeline first; a newer one carries the segment in which it branched off.
  const branch = [own, ...branches.values()].find(
    (one) =>
      one !== undefined &&
      onPath(backup, one.path) &&
      rangeHolding(one.ranges, { beginLsn: start, endLsn: stop }) !== undefined,
  )
  return {
    ...backup,
    ...{ start, stop, stoppedMs: Date.parse(backup.stoppedAt) },
    restorable: branch !== undefined,
    path: (branch ?? own)?.path ?? [],
    unknown: own === undefined,
  }
}

/** For each range of a branch, in their order, the restorable backups whose WAL lies in it, oldest first. */
export function backupsByRange(holdings: RetentionHoldings, { path, ranges }: Branch): HeldBackup[][] {
  const inside = new Map<LsnRange | undefined, HeldBackup[]>(ranges.map((range) => [range, []]))
  const usable = holdings.backups.filter((backup) => backup.restorable && placeOnPath(backup, path))
  usable.sort((left, right) => compare(left.stop, right.stop) || compare(left.backupId, right.backupId))
  for (const backup of usable)
    inside.get(rangeHolding(ranges, { beginLsn: backup.start, endLsn: backup.stop }))?.push(backup)
  return ranges.map((range) => inside.get(range) ?? [])
}

function compare<T extends bigint | string>(left: T, right: T): number {
  return left === right ? 0 : left < right ? -1 : 1
}
