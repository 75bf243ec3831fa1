/**
 * Where the WAL receiver goes on. Pure: what is held, what the server says about its timelines, and the decision with its reason.
 *
 * The rule is to continue at the end of the durable bytes of the latest timeline on the *server's own path* that is held.
 * WAL of a timeline that the server did not come along is no coverage, however far it reaches, and a hole is never stepped over.
 */
import { formatLsn, type Lsn, segmentOf, segmentStart } from '../../postgres/lsn.ts'

/** One timeline of the server's path; `endLsn` is where it was left, absent for the present one. */
export interface TimelineStep {
  readonly timeline: number
  readonly endLsn?: Lsn | undefined
}

/** How far a timeline is durable in the archive, without a hole, from the beginning of its last range. */
export interface HeldTimeline {
  readonly timeline: number
  readonly beginLsn: Lsn
  readonly endLsn: Lsn
}

export type ResumeDecision =
  /** Nothing is held: begin where the slot does. */
  | { readonly kind: 'first-contact' }
  /** Stream on at `startLsn`; for a timeline that the server left, until the switch. */
  | { readonly kind: 'continue'; readonly timeline: number; readonly startLsn: Lsn }
  /** Everything up to the switch is held: begin the next timeline at the start of the segment that contains the switch. */
  | { readonly kind: 'next-timeline'; readonly leftTimeline: number; readonly timeline: number; readonly startLsn: Lsn }
  /** What the server has cannot be the continuation of what is held. */
  | { readonly kind: 'diverged'; readonly explanation: string }

export interface ResumeFacts {
  /** Oldest first; the last one is the server's present timeline. */
  readonly path: readonly TimelineStep[]
  readonly held: readonly HeldTimeline[]
  readonly segmentSizeBytes: number
}

export function decideResume(facts: ResumeFacts): ResumeDecision {
  const present = facts.path.at(-1)
  if (facts.held.length === 0 || present === undefined) return { kind: 'first-contact' }
  const newest = Math.max(...facts.held.map((held) => held.timeline))
  if (newest > present.timeline) {
    return {
      kind: 'diverged',
      explanation:
        `the archive already holds timeline ${newest}, and this server is on the older timeline ${present.timeline}. ` +
        'It was left behind by a promotion, or was set back to an older state',
    }
  }
  for (let index = facts.path.length - 1; index >= 0; index--) {
    const step = facts.path[index]
    const held = facts.held.find((candidate) => candidate.timeline === step?.timeline)
    if (step === undefined || held === undefined) continue
    const next = facts.path[index + 1]
    if (step.endLsn === undefined || next === undefined || held.endLsn < step.endLsn) {
      return { kind: 'continue', timeline: step.timeline, startLsn: held.endLsn }
    }
    return {
      kind: 'next-timeline',
      leftTimeline: step.timeline,
      timeline: next.timeline,
      startLsn: firstLsnOf(step.endLsn, facts.segmentSizeBytes),
    }
  }
  return {
    kind: 'diverged',
    explanation:
      `none of the timelines that the archive holds (${facts.held.map((held) => held.timeline).join(', ')}) ` +
      `is an ancestor of the server's timeline ${present.timeline}`,
  }
}

/** WAL of a timeline begins with the whole segment that contains the switch: the server copied it under the new name. */
export function firstLsnOf(switchLsn: Lsn, segmentSizeBytes: number): Lsn {
  return segmentStart(segmentOf(switchLsn, segmentSizeBytes), segmentSizeBytes)
}

/** What a server says about the end of its own log, against what is held of the same timeline. */
export function explainServerBehind(server: { flushLsn: Lsn }, held: { timeline: number; endLsn: Lsn }): string {
  return (
    `the archive holds timeline ${held.timeline} up to ${formatLsn(held.endLsn)}, and the server's log ends earlier, at ` +
    `${formatLsn(server.flushLsn)}. It was set back to an older state (a snapshot, a copy of its files)`
  )
}
