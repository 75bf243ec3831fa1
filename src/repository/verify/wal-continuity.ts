/**
 * Whether the WAL that is held is what the archive's own records say. Pure. A hole is fine only where a range says that WAL
 * begins anew; everything else that is missing was held once.
 */
import { formatLsn, type Lsn, parseLsn, segmentOf, segmentStart } from '../../postgres/lsn.ts'
import type { TimelineHistory } from '../../postgres/timeline.ts'
import type { BackupSummary } from '../manifest.ts'
import type { WalPosition, WalRange } from '../wal-records.ts'
import type { WalSpan } from './findings.ts'

/** A stretch inside one segment. */
export interface HeldStretch {
  readonly timeline: number
  readonly segment: bigint
  readonly beginBytes: number
  readonly endBytes: number
}

export interface WalFacts {
  readonly segmentSizeBytes: number
  readonly stretches: readonly HeldStretch[]
  readonly ranges: readonly WalRange[]
  readonly histories: readonly TimelineHistory[]
  readonly position?: WalPosition | undefined
}

export interface WalProblem {
  /** What is missing. */
  readonly what: 'wal' | 'range' | 'history' | 'position'
  readonly span: WalSpan
  readonly problem: string
}

interface Interval {
  readonly begin: Lsn
  readonly end: Lsn
}

/** The facts with what is held joined per timeline: once, because there may be a million stretches, and ten thousand backups. */
type JoinedFacts = Omit<WalFacts, 'stretches'> & {
  /** Sorted, neither overlapping nor adjoining. Of the timelines of which anything is held. */
  readonly held: ReadonlyMap<number, readonly Interval[]>
}

export function findWalProblems(given: WalFacts): WalProblem[] {
  const facts = joinFacts(given)
  const timelines = new Set([...facts.held.keys(), ...facts.ranges.map(({ timeline }) => timeline)])
  const problems: WalProblem[] = []
  for (const timeline of [...timelines].sort((left, right) => left - right)) {
    const held = facts.held.get(timeline) ?? []
    problems.push(...beginProblems(facts, { timeline, held }), ...endProblems(facts, { timeline, held }))
    const first = held[0]
    if (timeline > 1 && !facts.histories.some((history) => history.timeline === timeline)) {
      const span = spanOf(timeline, { begin: first?.begin ?? (0n as Lsn), end: held.at(-1)?.end ?? (0n as Lsn) })
      problems.push({
        what: 'history',
        span,
        problem: `it is missing; without it nothing on timeline ${timeline} can be restored`,
      })
    }
  }
  if (facts.position === undefined && facts.held.size > 0) {
    const newest = Math.max(...timelines)
    const end = facts.held.get(newest)?.at(-1)?.end ?? (0n as Lsn)
    const problem = 'it is missing, though WAL is held; whether the newest WAL is complete cannot be told'
    problems.push({ what: 'position', span: spanOf(newest, { begin: end, end }), problem })
  }
  return problems
}

/** The backups that cannot be restored yet or any more, with the WAL between their start and their stop that is not held. */
export function findBackupGaps(given: WalFacts, backups: readonly BackupSummary[]): Map<string, WalSpan> {
  const facts = joinFacts(given)
  const gaps = new Map<string, WalSpan>()
  for (const backup of backups) {
    const gap = findBackupGap(facts, backup)
    if (gap) gaps.set(backup.backupId, gap)
  }
  return gaps
}

function findBackupGap({ held }: JoinedFacts, backup: BackupSummary): WalSpan | undefined {
  const [start, stop] = [parseLsn(backup.startLsn), parseLsn(backup.stopLsn)]
  // A backup from a standby may end on a later timeline than it began on: both are needed, joined at the switch.
  const timelines = new Set([backup.timeline, backup.stopTimeline])
  const intervals = [...timelines].flatMap((timeline) => held.get(timeline) ?? [])
  let reached = start
  for (const { begin, end } of intervals.sort((left, right) => (left.begin < right.begin ? -1 : 1))) {
    if (begin <= reached && end > reached) reached = end
  }
  return reached >= stop ? undefined : spanOf(backup.stopTimeline, { begin: reached, end: stop })
}

function joinFacts({ stretches, ...facts }: WalFacts): JoinedFacts {
  const own = new Map<number, Interval[]>()
  for (const { timeline, segment, beginBytes, endBytes } of stretches) {
    const start = segmentStart(segment, facts.segmentSizeBytes)
    const interval = { begin: (start + BigInt(beginBytes)) as Lsn, end: (start + BigInt(endBytes)) as Lsn }
    if (!own.get(timeline)?.push(interval)) own.set(timeline, [interval])
  }
  return { ...facts, held: new Map([...own].map(([timeline, intervals]) => [timeline, join(intervals)])) }
}

function join(intervals: Interval[]): Interval[] {
  const joined: { begin: Lsn; end: Lsn }[] = []
  for (const { begin, end } of intervals.sort((left, right) => (left.begin < right.begin ? -1 : 1))) {
    const last = joined.at(-1)
    if (last && begin <= last.end) last.end = laterOf(end, last.end)
    else joined.push({ begin, end })
  }
  return joined
}

interface TimelineView {
  readonly timeline: number
  readonly held: readonly Interval[]
}

/** Every interval begins where a range says so, and every range has its WAL. */
function beginProblems(facts: JoinedFacts, view: TimelineView): WalProblem[] {
  const { timeline, held } = view
  const size = facts.segmentSizeBytes
  const begins = facts.ranges.filter((range) => range.timeline === timeline).map((range) => parseLsn(range.beginLsn))
  const problems: WalProblem[] = []
  let previousEnd: Lsn | undefined
  for (const { begin, end } of held) {
    // The first segment is held from its start, even if the range begins inside it.
    const explained = begins.some(
      (lsn) => lsn === begin || (lsn < end && segmentOf(lsn, size) === segmentOf(begin, size)),
    )
    if (!explained && previousEnd !== undefined) {
      const problem = `WAL from ${formatLsn(previousEnd)} to ${formatLsn(begin)} is missing, and no record explains the hole`
      problems.push({ what: 'wal', span: spanOf(timeline, { begin: previousEnd, end: begin }), problem })
    } else if (!explained) {
      const problem = `WAL is held from ${formatLsn(begin)} on, but the record of where it begins is missing`
      problems.push({ what: 'range', span: spanOf(timeline, { begin, end: begin }), problem })
    }
    previousEnd = end
  }
  for (const begin of begins) {
    const until = neededUntil(facts, { timeline, begin })
    if (until <= begin || held.some((interval) => interval.begin <= begin && begin < interval.end)) continue
    if (isPruned(facts, { timeline, begin, end: until })) continue
    const next = held.find((interval) => interval.begin > begin)?.begin ?? until
    const problem = `WAL from ${formatLsn(begin)} to ${formatLsn(next)} is missing, though the archive says that it is held`
    problems.push({ what: 'wal', span: spanOf(timeline, { begin, end: next }), problem })
  }
  return problems
}

/** How far the WAL that a range begins must reach at least: something is held behind it, or was acknowledged. */
function neededUntil(facts: JoinedFacts, place: { readonly timeline: number; readonly begin: Lsn }): Lsn {
  const { position } = facts
  if (position?.timeline === place.timeline) return parseLsn(position.flushLsn)
  const left = switchPoint(facts, place.timeline)
  return left ?? place.begin
}

/** A timeline is held up to what was acknowledged; one that was left, up to where it was left. */
function endProblems(facts: JoinedFacts, view: TimelineView): WalProblem[] {
  const { timeline, held } = view
  const end = held.at(-1)?.end
  if (end === undefined) return []
  const { position } = facts
  const flushed = position?.timeline === timeline ? parseLsn(position.flushLsn) : undefined
  const required = flushed ?? leftAt(facts, timeline)
  if (required === undefined || end >= required || isPruned(facts, { timeline, begin: end, end: required })) return []
  const problem =
    flushed !== undefined
      ? `WAL from ${formatLsn(end)} to ${formatLsn(required)} is missing, though it had been acknowledged`
      : `WAL from ${formatLsn(end)} to ${formatLsn(required)} is missing, where timeline ${timeline} was left`
  return [{ what: 'wal', span: spanOf(timeline, { begin: end, end: required }), problem }]
}

/** Whether a stretch was given up: ranges say from where to where, and may adjoin when that happened little by little. */
function isPruned(facts: JoinedFacts, place: Interval & { readonly timeline: number }): boolean {
  const holes = facts.ranges
    .flatMap(({ timeline, reason, beginLsn, heldUntilLsn }) =>
      timeline === place.timeline && reason === 'pruned' && heldUntilLsn !== undefined
        ? [{ begin: parseLsn(heldUntilLsn), end: parseLsn(beginLsn) }]
        : [],
    )
    .sort((left, right) => (left.begin < right.begin ? -1 : 1))
  let reached = place.begin
  for (const { begin, end } of holes) if (begin <= reached && end > reached) reached = end
  return reached >= place.end
}

/** Where a timeline was left for one whose beginning we hold; earlier when the record of the switch says that less was held. */
function leftAt(facts: JoinedFacts, timeline: number): Lsn | undefined {
  const point = switchPoint(facts, timeline)
  if (point === undefined) return undefined
  const children = facts.histories.filter((history) => history.entries.at(-1)?.timeline === timeline)
  const until = facts.ranges
    .filter((range) => children.some((child) => child.timeline === range.timeline) && range.heldUntilLsn !== undefined)
    .map((range) => parseLsn(range.heldUntilLsn ?? '0/0'))
  return until.length > 0 && until.every((lsn) => lsn < point) ? until.reduce(laterOf) : point
}

function switchPoint(facts: JoinedFacts, timeline: number): Lsn | undefined {
  for (const history of facts.histories) {
    const last = history.entries.at(-1)
    if (last?.timeline === timeline && facts.held.has(history.timeline)) return last.switchLsn
  }
  return undefined
}

function spanOf(timeline: number, interval: Interval): WalSpan {
  return { timeline, beginLsn: formatLsn(interval.begin), endLsn: formatLsn(interval.end) }
}

function laterOf(left: Lsn, right: Lsn): Lsn {
  if (left > right) return left
  return right
}
