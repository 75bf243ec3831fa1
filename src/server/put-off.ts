/**
 * Whether a run that is due begins now, or waits until its server has less to do. Pure. Waiting costs nothing that was promised: it ends
 * before the run would count as late, and then the run begins whatever the server does, because a slow backup is better than none.
 */
import type { DueRun } from '../schedules/due.ts'
import type { Schedule } from '../schedules/schedule.ts'

export type Beginning =
  /** `despite`: the stress under which it begins, because it has waited for as long as it may. */
  | { readonly kind: 'now'; readonly despite?: readonly string[] | undefined }
  | { readonly kind: 'put-off'; readonly until: Date; readonly because: readonly string[] }

export interface BeginningFacts {
  readonly schedule: Pick<Schedule, 'graceMs'>
  readonly now: Date
  /** Why the server is under stress; empty: it is not. */
  readonly stress: readonly string[]
  readonly maxDelayMs: number
}

/** From one look at what is due to the next, and until a begun backup has left its mark in the repository. */
const MARGIN_MS = 60_000

export function judgeBeginning(run: Pick<DueRun, 'startAt'>, facts: BeginningFacts): Beginning {
  const { stress, now } = facts
  if (stress.length === 0) return { kind: 'now' }
  const until = latestBeginning(run, facts)
  return now >= until ? { kind: 'now', despite: stress } : { kind: 'put-off', until, because: stress }
}

/** What is late already is not put off. */
export function latestBeginning(
  { startAt }: Pick<DueRun, 'startAt'>,
  { schedule, maxDelayMs }: Pick<BeginningFacts, 'schedule' | 'maxDelayMs'>,
): Date {
  return new Date(startAt.getTime() + Math.max(0, Math.min(maxDelayMs, schedule.graceMs - MARGIN_MS)))
}
