/**
 * Which backups the promised window stands on, and which WAL it needs. A window of N days needs, on every branch that was still
 * written within these days, the newest backup that is older than N days and all WAL from its start. Where the WAL has a gap, what
 * lies behind it stands on the first backup after the gap.
 */
import { partitionPoint } from '../../base/partition-point.ts'
import { type Lsn, segmentOf, segmentStart } from '../../postgres/lsn.ts'
import type { LsnRange } from '../coverage.ts'
import { type Branch, backupsByRange, type HeldBackup, type RetentionHoldings } from './holdings.ts'

export interface Anchor {
  readonly backup: HeldBackup
  readonly timeline: number
  readonly why: string
}

/** WAL that stays: `[beginLsn, endLsn)`, open at the end for a timeline that is being written. */
export interface WalNeed {
  readonly timeline: number
  readonly beginLsn: Lsn
  readonly endLsn?: Lsn | undefined
  readonly why: string
}

/** @param cutoff where the promised window begins */
export function findAnchors(holdings: RetentionHoldings, cutoff: Date): Anchor[] {
  return promisedBranches(holdings, cutoff).flatMap((branch) => anchorsOf(holdings, branch, cutoff))
}

/** Branches that have moments inside the window. */
function promisedBranches(holdings: RetentionHoldings, cutoff: Date): Branch[] {
  return holdings.branches.filter(({ endedMs }) => endedMs === undefined || endedMs >= cutoff.getTime())
}

function anchorsOf(holdings: RetentionHoldings, branch: Branch, cutoff: Date): Anchor[] {
  const { timeline } = branch
  const cutoffMs = cutoff.getTime()
  const inside = backupsByRange(holdings, branch)
  // Everything before the last stretch that began before the window ended before it, too.
  const first = inside.findLastIndex((backups) => backups.some(({ stoppedMs }) => stoppedMs <= cutoffMs))
  const anchors: Anchor[] = []
  for (const [index, backups] of inside.entries()) {
    if (index < first) continue
    const older = index === first ? backups.findLast(({ stoppedMs }) => stoppedMs <= cutoffMs) : undefined
    const backup = older ?? backups[0]
    if (!backup) continue
    const where = holdings.branches.length > 1 ? ` on timeline ${timeline}` : ''
    const why = older
      ? `the window since ${cutoff.toISOString()}${where} stands on it`
      : index > 0
        ? `the window${where} goes on with it after a gap in the WAL`
        : `the window${where} begins with it; nothing older can be restored`
    anchors.push({ backup, timeline, why })
  }
  return anchors
}

/** The WAL that the promised window needs, and what makes each backup that is kept consistent. */
export function findWalNeeds(
  holdings: RetentionHoldings,
  options: { readonly cutoff: Date; readonly kept: readonly HeldBackup[]; readonly segmentSizeBytes: number },
): WalNeed[] {
  const { cutoff, kept, segmentSizeBytes } = options
  const needs: WalNeed[] = []
  for (const branch of promisedBranches(holdings, cutoff)) {
    const starts = anchorsOf(holdings, branch, cutoff).map(({ backup }) => backup)
    const [begin] = starts.sort((left, right) => (left.start < right.start ? -1 : 1))
    if (begin) needs.push(...alongPath(branch, begin))
    // Nothing leads to this branch yet; the next backup of the server will need what is being written.
    else if (branch.endedMs === undefined) needs.push(ownPart(branch))
  }
  for (const backup of kept) needs.push(...forConsistency(backup, segmentSizeBytes))
  return needs
}

function alongPath(branch: Branch, { start, backupId }: HeldBackup): WalNeed[] {
  const why = `every moment from backup ${backupId} on can be restored`
  return branch.path
    .filter(({ endLsn }) => endLsn === undefined || endLsn > start)
    .map(({ timeline, beginLsn, endLsn }) => ({ timeline, beginLsn: start > beginLsn ? start : beginLsn, endLsn, why }))
}

function ownPart(branch: Branch): WalNeed {
  const own = branch.path.at(-1)
  const why = 'it is being written, and no backup leads to it yet'
  return { timeline: branch.timeline, beginLsn: own?.beginLsn ?? (0n as Lsn), why }
}

/** From its start to its stop, with the whole of the last segment, on every timeline that its way leads over. */
function forConsistency(backup: HeldBackup, segmentSizeBytes: number): WalNeed[] {
  const { start, stop, timeline } = backup
  const endLsn = segmentStart(segmentOf(stop, segmentSizeBytes) + 1n, segmentSizeBytes)
  const why = `backup ${backup.backupId} is not consistent without it`
  return backup.path
    .filter((step) => step.beginLsn < endLsn && (step.endLsn === undefined || step.endLsn > start))
    .filter((step) => step.timeline >= timeline)
    .map((step) => ({
      timeline: step.timeline,
      beginLsn: step.beginLsn > start ? step.beginLsn : start,
      endLsn,
      why,
    }))
}

export interface NeededStretch {
  readonly first: bigint
  readonly last: bigint | undefined
  /** Of each need that is in it, once, in the order in which they were given. */
  readonly why: readonly string[]
}

/** Needs as whole segments: sorted, neither overlapping nor adjoining; the last one may be open. */
export function segmentsNeeded(
  needs: readonly WalNeed[],
  options: { readonly timeline: number; readonly segmentSizeBytes: number },
): NeededStretch[] {
  const { timeline, segmentSizeBytes: size } = options
  const stretches = needs
    .filter((need) => need.timeline === timeline)
    .map(({ beginLsn, endLsn, why }, order) => ({
      first: segmentOf(beginLsn, size),
      // A timeline that was left ends inside a segment, which is wanted whole.
      last: endLsn === undefined ? undefined : segmentOf(endLsn > 0n ? endLsn - 1n : 0n, size),
      reason: { order, why },
    }))
    .sort((left, right) => (left.first < right.first ? -1 : left.first > right.first ? 1 : 0))
  const joined: { first: bigint; last: bigint | undefined; reasons: { order: number; why: string }[] }[] = []
  for (const { first, last, reason } of stretches) {
    const open = joined.at(-1)
    if (open === undefined || (open.last !== undefined && first > open.last + 1n)) {
      joined.push({ first, last, reasons: [reason] })
      continue
    }
    open.reasons.push(reason)
    if (open.last !== undefined) open.last = last === undefined || last > open.last ? last : open.last
  }
  return joined.map(({ first, last, reasons }) => {
    const ordered = reasons.sort((left, right) => left.order - right.order)
    return { first, last, why: [...new Set(ordered.map(({ why }) => why))] }
  })
}

/** What remains of coverage when only these segments stay. Both are in order, and apart. */
export function clipCoverage(
  ranges: readonly LsnRange[],
  stretches: readonly { readonly first: bigint; readonly last: bigint | undefined }[],
  segmentSizeBytes: number,
): LsnRange[] {
  const bounds = stretches.map(({ first, last }) => ({
    beginLsn: segmentStart(first, segmentSizeBytes),
    endLsn: last === undefined ? undefined : segmentStart(last + 1n, segmentSizeBytes),
  }))
  return ranges.flatMap((range) => {
    const clipped: LsnRange[] = []
    const from = partitionPoint(bounds, ({ endLsn }) => endLsn !== undefined && endLsn <= range.beginLsn)
    for (let at = from; at < bounds.length; at += 1) {
      const { beginLsn, endLsn } = bounds[at] ?? range
      if (beginLsn >= range.endLsn) break
      clipped.push({
        beginLsn: beginLsn > range.beginLsn ? beginLsn : range.beginLsn,
        endLsn: endLsn !== undefined && endLsn < range.endLsn ? endLsn : range.endLsn,
      })
    }
    return clipped
  })
}
