/**
 * What the archive answers when a recovering server asks for a file by name. Pure: the same names and facts give the same
 * answer, so that `absent` (exit status 1, after which PostgreSQL may promote) is said only when it is certain.
 */

import type { TimelinePath } from '../catalog/timeline-path.ts'
import { parseSegmentName, segmentName, segmentOf, segmentStart } from '../postgres/lsn.ts'

export interface SupplyFacts {
  readonly path: TimelinePath
  readonly segmentSizeBytes: number
  /** The range that the plan serves, both inclusive. */
  readonly firstSegment: bigint
  readonly lastSegment: bigint
  /** Whether the archive holds anything of this segment: whole, partial, or a tail. */
  readonly holds: (timeline: number, segment: bigint) => boolean
  readonly histories: ReadonlySet<number>
}

export type SupplyAnswer =
  | { readonly kind: 'segment'; readonly timeline: number; readonly segment: bigint }
  | { readonly kind: 'history'; readonly timeline: number }
  | { readonly kind: 'absent' }
  /** Inside the promised range and not there: recovery must stop. */
  | { readonly kind: 'missing' }

export function answerRequest(name: string, facts: SupplyFacts): SupplyAnswer {
  const history = /^([0-9A-F]{8})\.history$/.exec(name)
  if (history) {
    const timeline = Number.parseInt(history[1] ?? '', 16)
    // All histories are served, also of other branches, so that a promotion picks a number that nobody has used.
    return facts.histories.has(timeline) ? { kind: 'history', timeline } : { kind: 'absent' }
  }
  const position = parseSegmentName(name, facts.segmentSizeBytes)
  if (!position || position.segment > facts.lastSegment) return { kind: 'absent' }
  const candidates = timelinesOf(position.segment, facts)
  if (!candidates.includes(position.timeline)) return { kind: 'absent' }
  if (facts.holds(position.timeline, position.segment)) return { kind: 'segment', ...position }
  // PostgreSQL asks the newest timeline first and then its ancestors.
  return candidates.some((timeline) => facts.holds(timeline, position.segment))
    ? { kind: 'absent' }
    : { kind: 'missing' }
}

/** The files of the range in the order in which replay will ask for them; one per segment, from the newest timeline that has it. */
export function* expectedRequests(facts: SupplyFacts): Generator<string> {
  for (let segment = facts.firstSegment; segment <= facts.lastSegment; segment += 1n) {
    const timeline = timelinesOf(segment, facts).find((one) => facts.holds(one, segment))
    if (timeline !== undefined) yield segmentName({ timeline, segment }, facts.segmentSizeBytes)
  }
}

/** The timelines of the path that a segment may belong to, newest first; two or more where the timeline was switched inside it. */
export function timelinesOf(
  segment: bigint,
  options: { readonly path: TimelinePath; readonly segmentSizeBytes: number },
): number[] {
  const { path, segmentSizeBytes } = options
  const start = segmentStart(segment, segmentSizeBytes)
  return path
    .filter(
      (step) =>
        segmentOf(step.beginLsn, segmentSizeBytes) <= segment && (step.endLsn === undefined || start < step.endLsn),
    )
    .map((step) => step.timeline)
    .reverse()
}
