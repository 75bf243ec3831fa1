/**
 * Which WAL is held, as ranges of positions. Coverage comes from the bytes that exist, never from what a record claims:
 * the recorded ranges only explain a hole that is there anyway (invariant F6 of the repository format).
 */
import { partitionPoint } from '../base/partition-point.ts'
import { formatLsn, type Lsn, parseLsn, segmentOf, segmentStart } from '../postgres/lsn.ts'
import { SegmentSet } from '../repository/segment-set.ts'
import type { SegmentStretch } from '../repository/wal-layout.ts'
import type { TimelinePath } from './timeline-path.ts'

/** `[beginLsn, endLsn)` */
export interface LsnRange {
  readonly beginLsn: Lsn
  readonly endLsn: Lsn
}

/** A stretch of one segment that is held: a partial one, the joined parts of a tail, or all of it. */
export interface HeldPiece {
  readonly timeline: number
  readonly segment: bigint
  /** Where in the segment it begins; default 0. */
  readonly beginBytes?: number | undefined
  /** Where in the segment it ends. */
  readonly validBytes: number
}

/** Says from where WAL is held, and why not before (the archive's `ranges/` objects). */
export interface RecordedRange {
  readonly timeline: number
  readonly beginLsn: string
  readonly reason: 'first-contact' | 'gap' | 'new-timeline' | 'pruned'
  readonly heldUntilLsn?: string | undefined
  readonly at: string
  readonly explanation: string
}

export interface HeldWal {
  /** Finished segments: a million of them are the rule and not the exception. */
  readonly runs?: readonly SegmentStretch[] | undefined
  readonly pieces: readonly HeldPiece[]
  readonly ranges: readonly RecordedRange[]
  /** How far the archive said it was durable; less than this held is a loss. */
  readonly position?: { readonly timeline: number; readonly flushLsn: string } | undefined
}

export interface WalGap extends LsnRange {
  readonly timeline: number
  /** True when the receiver recorded the loss when it happened; false means that stored WAL has disappeared since. */
  readonly recorded: boolean
  /** It was given up on purpose: no loss. */
  readonly givenUp?: true | undefined
  readonly explanation: string
}

export interface TimelineCoverage {
  readonly timeline: number
  /** Ordered; neither overlapping nor adjoining. */
  readonly ranges: readonly LsnRange[]
  /** The holes between the ranges, and the missing end if more was once acknowledged than is held. */
  readonly gaps: readonly WalGap[]
}

/** Per timeline, in ascending order of timelines, what is held and what is missing in between. */
export function computeCoverage(held: HeldWal, segmentSizeBytes: number): TimelineCoverage[] {
  const pieces = groupByTimeline(held.pieces)
  const runs = groupByTimeline(held.runs ?? [])
  const timelines = new Set([...pieces.keys(), ...runs.keys(), ...held.ranges.map((range) => range.timeline)])
  if (held.position) timelines.add(held.position.timeline)
  return [...timelines]
    .sort((a, b) => a - b)
    .map((timeline) => {
      const own = { pieces: pieces.get(timeline) ?? [], runs: runs.get(timeline) ?? [] }
      return coverTimeline(held, { timeline, segmentSizeBytes, ...own })
    })
}

function groupByTimeline<T extends { readonly timeline: number }>(items: readonly T[]): Map<number, T[]> {
  const groups = new Map<number, T[]>()
  for (const item of items) if (!groups.get(item.timeline)?.push(item)) groups.set(item.timeline, [item])
  return groups
}

/** The coverage along a path, as if the log were one: ranges may run across switches of timeline. */
export function coverageOfPath(
  coverage: readonly TimelineCoverage[],
  path: TimelinePath,
  options: { readonly segmentSizeBytes: number },
): { readonly ranges: readonly LsnRange[]; readonly gaps: readonly WalGap[] } {
  const pieces: LsnRange[] = []
  const gaps: WalGap[] = []
  for (const step of path) {
    const own = coverage.find((one) => one.timeline === step.timeline)
    if (!own) continue
    // The first segment of a timeline carries the parent's WAL from the segment's start, byte for byte.
    const from = segmentStart(segmentOf(step.beginLsn, options.segmentSizeBytes), options.segmentSizeBytes)
    for (const range of own.ranges) pieces.push(...clip(range, { beginLsn: from, endLsn: step.endLsn }))
    for (const gap of own.gaps) {
      for (const part of clip(gap, step)) gaps.push({ ...gap, ...part })
    }
  }
  const ranges = mergeRanges(pieces)
  return { ranges, gaps: holesOf(ranges, { path, known: gaps }) }
}

/** The range that holds every byte of `[beginLsn, endLsn)`, if one does. @param ranges as coverage has them: ordered and apart */
export function rangeHolding(ranges: readonly LsnRange[], wanted: LsnRange): LsnRange | undefined {
  const candidate = ranges[partitionPoint(ranges, ({ beginLsn }) => beginLsn <= wanted.beginLsn) - 1]
  return candidate && wanted.endLsn <= candidate.endLsn ? candidate : undefined
}

/** Sorted union; ranges that overlap or adjoin become one, empty ones vanish. */
export function mergeRanges(ranges: readonly LsnRange[]): LsnRange[] {
  const merged: { beginLsn: Lsn; endLsn: Lsn }[] = []
  const sorted = ranges.filter((range) => range.beginLsn < range.endLsn).sort((a, b) => compare(a.beginLsn, b.beginLsn))
  for (const range of sorted) {
    const last = merged.at(-1)
    if (last && range.beginLsn <= last.endLsn) {
      if (range.endLsn > last.endLsn) last.endLsn = range.endLsn
    } else merged.push({ beginLsn: range.beginLsn, endLsn: range.endLsn })
  }
  return merged
}

function coverTimeline(
  held: HeldWal,
  options: {
    readonly timeline: number
    readonly segmentSizeBytes: number
    readonly runs: readonly SegmentStretch[]
    readonly pieces: readonly HeldPiece[]
  },
): TimelineCoverage {
  const { timeline, segmentSizeBytes } = options
  const recorded = held.ranges
    .filter((range) => range.timeline === timeline)
    .map((range) => ({ ...range, begin: parseLsn(range.beginLsn) }))
    .sort((a, b) => compare(a.begin, b.begin))
  const begins = recorded.filter((range) => range.reason !== 'new-timeline').map(({ begin }) => begin)
  const ranges = mergeRanges(stretchesOf(options, begins))
  const gaps = ranges.slice(1).map((range, index) => {
    const beginLsn = ranges[index]?.endLsn ?? range.beginLsn
    return describeGap({ beginLsn, endLsn: range.beginLsn }, { timeline, recorded })
  })
  const flushed = held.position?.timeline === timeline ? parseLsn(held.position.flushLsn) : undefined
  const end = ranges.at(-1)?.endLsn
  if (flushed !== undefined && (end === undefined || end < flushed)) {
    const beginLsn = end ?? segmentStart(segmentOf(flushed, segmentSizeBytes), segmentSizeBytes)
    if (beginLsn < flushed) gaps.push(lostEnd({ beginLsn, endLsn: flushed }, timeline))
  }
  return { timeline, ranges, gaps }
}

function stretchesOf(
  held: {
    readonly timeline: number
    readonly segmentSizeBytes: number
    readonly runs: readonly SegmentStretch[]
    readonly pieces: readonly HeldPiece[]
  },
  begins: readonly Lsn[],
): LsnRange[] {
  const { timeline, segmentSizeBytes, runs, pieces } = held
  const present = new SegmentSet([
    ...runs,
    ...pieces.map(({ segment }) => ({ timeline, first: segment, last: segment })),
  ])
  const options = { begins, segmentSizeBytes, present }
  return [
    // Within a run something is held before every segment but the first.
    ...runs.map(({ first, last }): LsnRange => {
      const { beginLsn } = pieceRange({ timeline, segment: first, validBytes: segmentSizeBytes }, options)
      return { beginLsn, endLsn: segmentStart(last + 1n, segmentSizeBytes) }
    }),
    ...pieces.map((piece) => pieceRange(piece, options)),
  ]
}

/** A piece counts from its segment's start, unless holding began inside the segment and nothing of it was held before. */
function pieceRange(
  piece: HeldPiece,
  options: {
    /** Ascending. */
    readonly begins: readonly Lsn[]
    readonly segmentSizeBytes: number
    readonly present: SegmentSet
  },
): LsnRange {
  const start = segmentStart(piece.segment, options.segmentSizeBytes)
  const endLsn = (start + BigInt(piece.validBytes)) as Lsn
  if (piece.beginBytes) return { beginLsn: (start + BigInt(piece.beginBytes)) as Lsn, endLsn }
  const inside = options.begins[partitionPoint(options.begins, (begin) => begin <= start)]
  const beginLsn =
    inside !== undefined && inside < endLsn && !options.present.has(piece.timeline, piece.segment - 1n) ? inside : start
  return { beginLsn, endLsn }
}

type SortedRange = RecordedRange & { readonly begin: Lsn }

/** @param options.recorded in the order of where they begin */
function describeGap(
  hole: LsnRange,
  options: { readonly timeline: number; readonly recorded: readonly SortedRange[] },
): WalGap {
  const { recorded } = options
  let record: SortedRange | undefined
  for (let at = partitionPoint(recorded, ({ begin }) => begin <= hole.beginLsn); at < recorded.length; at += 1) {
    const range = recorded[at]
    if (!range || range.begin > hole.endLsn) break
    if (range.reason !== 'gap' && range.reason !== 'pruned') continue
    record = range
    break
  }
  return {
    ...hole,
    timeline: options.timeline,
    recorded: record !== undefined,
    ...(record?.reason === 'pruned' ? { givenUp: true } : {}),
    explanation: record
      ? `${record.explanation} (recorded ${record.at})`
      : 'Not recorded when it was received: stored WAL has been lost or removed since.',
  }
}

function lostEnd(hole: LsnRange, timeline: number): WalGap {
  return {
    ...hole,
    timeline,
    recorded: false,
    explanation: `The archive had acknowledged WAL up to ${formatLsn(hole.endLsn)}, but it is no longer there.`,
  }
}

/** What lies between the ranges of a path, with the explanation of the timeline's own gap where one is known. */
function holesOf(
  ranges: readonly LsnRange[],
  options: { readonly path: TimelinePath; readonly known: readonly WalGap[] },
): WalGap[] {
  const holes: WalGap[] = []
  const open = [...options.known].sort((a, b) => compare(b.beginLsn, a.beginLsn))
  // Gaps of several timelines may lie over each other; those behind us are behind every later hole, too.
  let near: WalGap[] = []
  for (const [index, range] of ranges.slice(1).entries()) {
    const hole = { beginLsn: ranges[index]?.endLsn ?? range.beginLsn, endLsn: range.beginLsn }
    for (let next = open.at(-1); next && next.beginLsn < hole.endLsn; next = open.at(-1)) {
      near.push(next)
      open.pop()
    }
    near = near.filter((gap) => hole.beginLsn < gap.endLsn)
    const known = near
    const step = options.path.findLast((one) => one.beginLsn <= hole.beginLsn)
    holes.push({
      ...hole,
      timeline: known[0]?.timeline ?? step?.timeline ?? 1,
      recorded: known.length > 0 && known.every((gap) => gap.recorded),
      ...(known.length > 0 && known.every((gap) => gap.givenUp) ? { givenUp: true } : {}),
      explanation:
        known.map((gap) => gap.explanation).join(' ') || 'No WAL of this stretch is held on any timeline of the path.',
    })
  }
  const end = ranges.at(-1)?.endLsn
  for (const gap of options.known) if (end === undefined || gap.beginLsn >= end) holes.push(gap)
  return holes
}

function clip(range: LsnRange, bounds: { readonly beginLsn: Lsn; readonly endLsn?: Lsn | undefined }): LsnRange[] {
  const beginLsn = later(range.beginLsn, bounds.beginLsn)
  const endLsn = bounds.endLsn !== undefined && bounds.endLsn < range.endLsn ? bounds.endLsn : range.endLsn
  return beginLsn < endLsn ? [{ beginLsn, endLsn }] : []
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function later(a: Lsn, b: Lsn): Lsn {
  if (a > b) return a
  return b
}
