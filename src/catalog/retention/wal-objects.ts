/**
 * Which objects of the WAL archive go, and what must be recorded before: where held WAL begins anew, a range says that what lay
 * before was given up on purpose. Without it the beginning would look like damage.
 */
import { formatLsn, type Lsn, parseLsn, segmentOf, segmentStart } from '../../postgres/lsn.ts'
import { runsOutside, runsWithin, type SegmentRun, storedBytesOf } from '../../repository/segment-runs.ts'
import { SegmentSet } from '../../repository/segment-set.ts'
import type { HeldPartial, HeldTailPart } from '../../repository/wal-archive.ts'
import { rangeKey, type SegmentStretch } from '../../repository/wal-layout.ts'
import type { WalRange } from '../../repository/wal-records.ts'
import { keptSegments, type WalDecision } from './plan.ts'

export interface WalObjects {
  readonly runs: readonly SegmentRun[]
  readonly partials: readonly HeldPartial[]
  readonly tails: readonly HeldTailPart[]
  readonly ranges: readonly WalRange[]
}

export interface WalSelection {
  /** To be recorded before anything is given up. */
  readonly newRanges: readonly WalRange[]
  readonly segments: readonly SegmentStretch[]
  readonly walKeys: readonly string[]
  readonly bytes: number
}

export interface WalSelectionOptions {
  readonly decisions: readonly WalDecision[]
  readonly cluster: string
  readonly segmentSizeBytes: number
  /** Our clock, ISO 8601 UTC. */
  readonly at: string
}

export function selectWal(objects: WalObjects, options: WalSelectionOptions): WalSelection {
  const selection = { newRanges: [] as WalRange[], segments: [] as SegmentStretch[], walKeys: [] as string[], bytes: 0 }
  for (const decision of options.decisions) {
    if (decision.keep === 'all') continue
    const chosen = selectTimeline(objects, { ...options, decision })
    selection.newRanges.push(...chosen.newRanges)
    selection.segments.push(...chosen.segments)
    for (const key of chosen.walKeys) selection.walKeys.push(key)
    selection.bytes += chosen.bytes
  }
  return selection
}

type TimelineOptions = WalSelectionOptions & { readonly decision: WalDecision }

function selectTimeline(objects: WalObjects, options: TimelineOptions): WalSelection {
  const { decision } = options
  const { timeline } = decision
  const kept = keptSegments(timeline, decision)
  const stays = (segment: bigint) => kept.has(timeline, segment)
  const runs = objects.runs.filter((run) => run.timeline === timeline)
  const partials = objects.partials.filter((partial) => partial.timeline === timeline)
  const tails = objects.tails.filter((tail) => tail.timeline === timeline)
  const goneRuns = runsOutside(runs, kept)
  const gonePartials = partials.filter(({ segment }) => !stays(segment))
  const goneTails = tails.filter(({ segment }) => !stays(segment))
  if (goneRuns.length + gonePartials.length + goneTails.length === 0)
    return { newRanges: [], segments: [], walKeys: [], bytes: 0 }
  const held = segmentsOf(
    runsWithin(runs, kept),
    partials.filter(({ segment }) => stays(segment)),
  )
  const ranges = objects.ranges.filter((range) => range.timeline === timeline)
  const newRanges = recordBeginnings({ held, gone: segmentsOf(goneRuns, gonePartials), ranges }, options)
  const heldTails = tails.filter(({ segment }) => stays(segment)).map(({ segment }) => segment)
  const lastStaying = [held.stretches(timeline).at(-1)?.last, ...heldTails].reduce((a, b) =>
    a === undefined || (b !== undefined && b > a) ? b : a,
  )
  const oldRanges = ranges.filter((range) => !stillSpeaks(range, { stays, lastStaying, options }))
  return {
    newRanges,
    segments: goneRuns.map(({ first, last }) => ({ timeline, first, last })),
    walKeys: [
      ...gonePartials.map(({ key }) => key),
      ...goneTails.map(({ key }) => key),
      ...oldRanges.map((range) => rangeKey(options.cluster, { timeline, begin: parseLsn(range.beginLsn) })),
    ],
    bytes: storedBytesOf(goneRuns) + storedBytesOf(gonePartials),
  }
}

function segmentsOf(runs: readonly SegmentRun[], partials: readonly HeldPartial[]): SegmentSet {
  return new SegmentSet([
    ...runs,
    ...partials.map(({ timeline, segment }) => ({ timeline, first: segment, last: segment })),
  ])
}

/** A range stays while it explains where something that stays begins, or ends. */
function stillSpeaks(
  range: WalRange,
  facts: {
    readonly stays: (segment: bigint) => boolean
    readonly lastStaying: bigint | undefined
    readonly options: TimelineOptions
  },
): boolean {
  const { stays, lastStaying, options } = facts
  const segment = segmentOf(parseLsn(range.beginLsn), options.segmentSizeBytes)
  // Also one whose WAL is only about to be received.
  if (stays(segment)) return true
  // It may say that what lay behind the last kept piece was given up.
  const saysEnd = range.reason === 'pruned' && range.heldUntilLsn !== undefined
  return saysEnd && lastStaying !== undefined && lastStaying < segment
}

interface TimelinePieces {
  /** Finished and partial segments alike. */
  readonly held: SegmentSet
  readonly gone: SegmentSet
  readonly ranges: readonly WalRange[]
}

function recordBeginnings(pieces: TimelinePieces, options: TimelineOptions): WalRange[] {
  const { segmentSizeBytes: size } = options
  const { timeline } = options.decision
  const { gone, ranges } = pieces
  const held = pieces.held.stretches(timeline)
  const explained = new Set(ranges.map((range) => segmentOf(parseLsn(range.beginLsn), size)))
  const records: WalRange[] = []
  for (const [index, { first }] of held.entries()) {
    if (!gone.has(timeline, first - 1n) || explained.has(first)) continue
    const before = held[index - 1]?.last
    const until = before === undefined ? undefined : segmentStart(before + 1n, size)
    records.push(record(options, { begin: segmentStart(first, size), until }))
  }
  const last = held.at(-1)?.last
  const lastGone = gone.stretches(timeline).at(-1)?.last
  // The timeline was left behind what stays of it.
  if (last !== undefined && lastGone !== undefined && lastGone > last)
    records.push(record(options, { begin: segmentStart(lastGone + 1n, size), until: segmentStart(last + 1n, size) }))
  return records
}

function record(options: TimelineOptions, place: { readonly begin: Lsn; readonly until: Lsn | undefined }): WalRange {
  return {
    timeline: options.decision.timeline,
    beginLsn: formatLsn(place.begin),
    reason: 'pruned',
    ...(place.until === undefined ? {} : { heldUntilLsn: formatLsn(place.until) }),
    at: options.at,
    explanation: 'The WAL before it was given up by the retention policy.',
  }
}
