/** The run of a schedule whose time has come, and the id under which it is begun. Pure: whoever asks, and whenever, it is the same run. */
import { type DueRun, dueAfter, lastDue } from '../schedules/due.ts'
import type { Schedule } from '../schedules/schedule.ts'

export interface NewestDue {
  /** `CLUSTER~SCHEDULE~TIME`. */
  readonly id: string
  readonly schedule: Schedule
  readonly run: DueRun
}

/** Undefined: none was due yet. Of what was due while nobody was there, only the newest is left to do. */
export function newestDue(
  schedule: Schedule,
  { cluster, now }: { readonly cluster: string; readonly now: Date },
): NewestDue | undefined {
  // The newest may wait for its jitter, or for the end of a blackout.
  const candidates = lastDue(schedule, { cluster, now, count: 2, fromMs: schedule.sinceMs ?? 0 })
  const run = candidates.findLast(({ startAt }) => startAt <= now)
  return run && { id: `${cluster}~${schedule.name}~${run.at.toISOString()}`, schedule, run }
}

/** When the next one begins, in milliseconds since 1970; infinite: none does. */
export function nextDueMs(
  schedule: Schedule,
  { cluster, now }: { readonly cluster: string; readonly now: Date },
): number {
  const { value } = dueAfter(schedule, { cluster, after: now }).next()
  return value?.startAt.getTime() ?? Number.POSITIVE_INFINITY
}
