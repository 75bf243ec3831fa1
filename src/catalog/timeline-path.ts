/**
 * The way through the timelines to a target: which timeline each stretch of the log is read from.
 * https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES
 */
import { RetakeError } from '../base/errors.ts'
import { type Lsn, timelineName, ZERO_LSN } from '../postgres/lsn.ts'
import { type TimelineHistory, timelineRanges } from '../postgres/timeline.ts'

/** One timeline's share of the path: `[beginLsn, endLsn)`; the last step has no end. */
export interface PathStep {
  readonly timeline: number
  readonly beginLsn: Lsn
  readonly endLsn?: Lsn | undefined
}

/** Oldest ancestor first; never empty. */
export type TimelinePath = readonly PathStep[]

/**
 * The path that ends on `timeline`. A `.history` file lists every ancestor, so one file is enough; only timeline 1 has none.
 *
 * @throws RetakeError `wal.history-missing` when the history of a timeline above 1 is not held: where it left its parent
 * is then unknown, and guessing would mix two different pasts.
 */
export function buildTimelinePath(histories: readonly TimelineHistory[], timeline: number): TimelinePath {
  if (timeline === 1) return [{ timeline: 1, beginLsn: ZERO_LSN }]
  const history = histories.find((one) => one.timeline === timeline)
  if (!history) throw historyMissing(timeline)
  return timelineRanges(history)
}

/** The step that a position belongs to. A switch point belongs to the newer timeline. */
export function stepAt(path: TimelinePath, lsn: Lsn): PathStep | undefined {
  return path.find((step) => step.beginLsn <= lsn && (step.endLsn === undefined || lsn < step.endLsn))
}

/** Whether WAL of `timeline` ending at `endLsn` is part of the path; the switch point itself is still the old timeline's end. */
export function reachesOnPath(path: TimelinePath, timeline: number, endLsn: Lsn): boolean {
  const step = path.find((one) => one.timeline === timeline)
  return step !== undefined && step.beginLsn <= endLsn && (step.endLsn === undefined || endLsn <= step.endLsn)
}

/** The timeline at the end of the path. */
export function targetTimeline(path: TimelinePath): number {
  return path.at(-1)?.timeline ?? 1
}

function historyMissing(timeline: number): RetakeError {
  const name = `${timelineName(timeline)}.history`
  return new RetakeError(
    'wal.history-missing',
    `The history file of timeline ${timeline} (${name}) is not in the archive, so where this timeline left its parent is unknown and no target on it can be restored.`,
    {
      hint: `Copy ${name} from pg_wal of the server or of a standby into the archive (the receiver does it when it connects), or name an older timeline with --timeline.`,
      details: { timeline },
    },
  )
}
