/**
 * When the runs of a schedule are due: the times of its expression, postponed by jitter and blackouts. What several times come to
 * at once is one run. The same for everyone who asks, so that two servers agree and nothing runs twice.
 */
import { createHash } from 'node:crypto'
import { beginOfBlackouts, endOfBlackouts } from './blackouts.ts'
import { occurrencesAfter, occurrencesBefore } from './occurrences.ts'
import type { Schedule } from './schedule.ts'

export interface DueRun {
  /** The time of the expression; of several that came to one run, the first. */
  readonly at: Date
  /** When it begins: later by the jitter, and after any blackout. */
  readonly startAt: Date
}

export interface DueOptions {
  /** The jitter depends on it, so that clusters with the same schedule begin at different times. */
  readonly cluster: string
}

/** The runs that begin after an instant, without end. Times that blackouts swallow for ever are left out. */
export function* dueAfter(schedule: Schedule, options: DueOptions & { readonly after: Date }): Generator<DueRun> {
  const jitterMs = jitterOf(schedule, options.cluster)
  const afterMs = options.after.getTime()
  // What was due in a blackout that reaches beyond `after` begins after it.
  const fromMs = beginOfBlackouts(schedule, afterMs + 1) - jitterMs - 1
  let pending: DueRun | undefined
  for (const at of occurrencesAfter(schedule.cron, { zone: schedule.zone, after: new Date(fromMs) })) {
    const startMs = endOfBlackouts(schedule, at.getTime() + jitterMs)
    if (startMs === undefined) break
    if (startMs <= afterMs) continue
    if (pending && pending.startAt.getTime() !== startMs) {
      yield pending
      pending = undefined
    }
    pending ??= { at, startAt: new Date(startMs) }
    // Without blackouts no two times come to one run.
    if (schedule.blackouts.length === 0) {
      yield pending
      pending = undefined
    }
  }
  if (pending) yield pending
}

/** The last runs whose time has come, at most `count` and not from before `fromMs`, the oldest first. The newest may still wait for its jitter or a blackout. */
export function lastDue(
  schedule: Schedule,
  options: DueOptions & { readonly now: Date; readonly count: number; readonly fromMs: number },
): DueRun[] {
  const { now, count, fromMs } = options
  const jitterMs = jitterOf(schedule, options.cluster)
  const runs: DueRun[] = []
  for (const at of occurrencesBefore(schedule.cron, { zone: schedule.zone, before: new Date(now.getTime() + 1) })) {
    const startMs = endOfBlackouts(schedule, at.getTime() + jitterMs)
    if (startMs === undefined || at.getTime() < fromMs) break
    const newest = runs.at(-1)
    if (newest?.startAt.getTime() === startMs) runs[runs.length - 1] = { ...newest, at }
    else if (runs.length === count) break
    else runs.push({ at, startAt: new Date(startMs) })
  }
  return runs.reverse()
}

/** Whole seconds below the configured jitter, the same at every run. */
export function jitterOf({ name, jitterMs }: Pick<Schedule, 'name' | 'jitterMs'>, cluster: string): number {
  const seconds = Math.floor(jitterMs / 1000)
  if (seconds === 0) return 0
  const digest = createHash('sha256').update(`${cluster}/${name}`).digest()
  return (digest.readUInt32BE(0) % seconds) * 1000
}
