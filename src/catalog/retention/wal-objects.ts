/**
 * Which objects of the WAL archive go, and what must be recorded before: where held WAL begins anew, a range says that what lay
 * before was given up on purpose. Without it the beginning would look like damage.
 */
import { formatLsn, type Lsn, parseLsn, segmentOf, segmentStart } from '../../postgres/lsn.ts'
import type { SegmentStretch } from '../../repository/condemned.ts'
import type { HeldSegment, HeldTailPart } from '../../repository/wal-archive.ts'
import { rangeKey } from '../../repository/wal-layout.ts'
import type { WalRange } from '../../repository/wal-records.ts'
import { segmentFilter, type WalDecision } from './plan.ts'

export interface WalObjects {
  readonly segments: readonly HeldSegment[]
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
  const stays = segmentFilter(decision)
  const held: bigint[] = []
  const gone: HeldSegment[] = []
  for (const one of objects.segments) {
    if (one.timeline !== timeline) continue
    if (stays(one.segment)) held.push(one.segment)
    else gone.push(one)
  }
  const tails = objects.tails.filter((tail) => tail.timeline === timeline)
  const goneTails = tails.filter(({ segment }) => !stays(segment))
  if (gone.length === 0 && goneTails.length === 0) return { newRanges: [], segments: [], walKeys: [], bytes: 0 }
  const ranges = objects.ranges.filter((range) => range.timeline === timeline)
  const newRanges = recordBeginnings({ held, gone: gone.map(({ segment }) => segment), ranges }, options)
  const heldTails = tails.filter(({ segment }) => stays(segment)).map(({ segment }) => segment)
  const lastStaying = [held.at(-1), ...heldTails].reduce((a, b) =>
    a === undefined || (b !== undefined && b > a) ? b : a,
  )
  const oldRanges = ranges.filter((range) => !stillSpeaks(range, { stays, lastStaying, options }))
  return {
    newRanges,
    segments: stretchesOf(gone, timeline),
    walKeys: [
      ...gone.filter(({ partial }) => partial).map(({ key }) => key),
      ...goneTails.map(({ key }) => key),
      ...oldRanges.map((range) => rangeKey(options.cluster, { timeline, begin: parseLsn(range.beginLsn) })),
    ],
    bytes: gone.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
  }
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
  /** Numbers of the segments that stay, ascending; a partial one may come beside a whole one. */
  readonly held: readonly bigint[]
  readonly gone: readonly bigint[]
  readonly ranges: readonly WalRange[]
}

function recordBeginnings(pieces: TimelinePieces, options: TimelineOptions): WalRange[] {
  const { segmentSizeBytes: size } = options
  const { held, gone, ranges } = pieces
  const explained = new Set(ranges.map((range) => segmentOf(parseLsn(range.beginLsn), size)))
  const records: WalRange[] = []
  let removed: ReadonlySet<bigint> | undefined
  for (const [index, segment] of held.entries()) {
    const before = held[index - 1]
    if (before !== undefined && segment <= before + 1n) continue
    removed ??= new Set(gone)
    if (!removed.has(segment - 1n) || explained.has(segment)) continue
    const until = before === undefined ? undefined : segmentStart(before + 1n, size)
    records.push(record(options, { begin: segmentStart(segment, size), until }))
  }
  const last = held.at(-1)
  const lastGone = gone.at(-1)
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

function stretchesOf(segments: readonly HeldSegment[], timeline: number): SegmentStretch[] {
  const stretches: { timeline: number; first: bigint; last: bigint }[] = []
  for (const { segment, partial } of segments) {
    if (partial) continue
    const open = stretches.at(-1)
    if (open && segment === open.last + 1n) open.last = segment
    else stretches.push({ timeline, first: segment, last: segment })
  }
  return stretches
}
