/**
 * What became of each run that was due: the schedule beside what is known of runs. Pure. Only what is certain is said: a run of which
 * nothing is known counts as missed only where every run leaves something that would still be there.
 */
import { type DueRun, lastDue } from './due.ts'
import type { Schedule } from './schedule.ts'

/** A run that the repository tells of. */
export interface KnownRun {
  readonly id?: string | undefined
  /** Undefined: only its end is known. */
  readonly beganAt?: Date | undefined
  readonly endedAt?: Date | undefined
  readonly outcome: 'succeeded' | 'failed' | 'running'
}

export interface Evidence {
  /** What satisfies this schedule. */
  readonly runs: readonly KnownRun[]
  /** Nothing was due before: the cluster was not there. Undefined: not known. */
  readonly begin?: Date | undefined
  /** A run that began from here on is certainly among `runs`. Before it, one may have left nothing. */
  readonly knownFrom: Date
  /** Nobody is known to have kept the schedule before, so of what was due earlier only that is said which came. Undefined: it was kept. */
  readonly keptFrom?: Date | undefined
  /** Since then a run would have found nothing to do, or there was one: such runs leave nothing behind. */
  readonly idleFrom?: Date | undefined
}

/**
 * `succeeded`: also after a failure, as long as the next one was not due. `running`. `due`: its time has come, and it is not late.
 * `late`: it has not begun within the grace, and may still. `failed`: it began and left nothing. `missed`: the next one was due, and it had
 * never begun. `idle`: there was nothing to do, or it was done without leaving anything. `unknown`: it is too long ago to tell.
 */
export type RunOutcome = 'succeeded' | 'running' | 'due' | 'late' | 'failed' | 'missed' | 'idle' | 'unknown'

export interface JudgedRun extends DueRun {
  readonly outcome: RunOutcome
  readonly runId?: string | undefined
  readonly beganAt?: Date | undefined
  readonly endedAt?: Date | undefined
  /** It began after the grace. */
  readonly beganLate: boolean
}

export interface JudgedSchedule {
  /** Runs that were due, oldest first; those of the last 30 days, at most 100, and at least the last two. */
  readonly runs: readonly JudgedRun[]
  /** The newest one about which something can be said: not `due`, and not `running`. */
  readonly settled?: JudgedRun | undefined
  /** Of `settled`; `ok` where nothing was due yet. */
  readonly verdict: 'ok' | 'missed' | 'unknown'
}

export interface JudgeOptions {
  readonly cluster: string
  readonly evidence: Evidence
  readonly now: Date
}

const DAY_MS = 86_400_000
const MOST_RUNS = 100
const CAME: readonly RunOutcome[] = ['succeeded', 'running', 'failed']

/** Each due run of a schedule with its outcome, and what they come to. */
export function judgeSchedule(schedule: Schedule, options: JudgeOptions): JudgedSchedule {
  const { evidence, now } = options
  const due = recentlyDue(schedule, options)
  const { keptFrom } = evidence
  const runs = due
    .map((run, index) => judgeRun(run, { schedule, evidence, now, next: due[index + 1] }))
    .filter(({ at, outcome }) => !keptFrom || at >= keptFrom || CAME.includes(outcome))
  const settled = runs.findLast(({ outcome }) => outcome !== 'due' && outcome !== 'running')
  return { runs, ...(settled ? { settled } : {}), verdict: verdictOf(settled?.outcome) }
}

/** Something is wrong as long as nothing newer has come; that the next one is due or running makes nothing good. */
function verdictOf(outcome: RunOutcome | undefined): JudgedSchedule['verdict'] {
  if (outcome === 'late' || outcome === 'failed' || outcome === 'missed') return 'missed'
  return outcome === 'unknown' ? 'unknown' : 'ok'
}

function recentlyDue(schedule: Schedule, { cluster, evidence, now }: JudgeOptions): DueRun[] {
  const beginMs = Math.max(evidence.begin?.getTime() ?? 0, schedule.sinceMs ?? 0)
  const recent = lastDue(schedule, {
    cluster,
    now,
    count: MOST_RUNS,
    fromMs: Math.max(beginMs, now.getTime() - 30 * DAY_MS),
  })
  return recent.length > 1 ? recent : lastDue(schedule, { cluster, now, count: 2, fromMs: beginMs })
}

interface RunFacts {
  readonly schedule: Schedule
  readonly evidence: Evidence
  readonly now: Date
  readonly next: DueRun | undefined
}

/** What began from its time on until the next one's is its run. */
function judgeRun(due: DueRun, { schedule, evidence, now, next }: RunFacts): JudgedRun {
  const untilMs = next?.at.getTime() ?? Number.POSITIVE_INFINITY
  const own = evidence.runs.filter((run) => {
    const atMs = (run.beganAt ?? run.endedAt)?.getTime() ?? Number.NaN
    return due.at.getTime() <= atMs && atMs < untilMs
  })
  // A timer may spread the runs in its own way, so all of the jitter is allowed for.
  const graceEndMs = Math.max(due.startAt.getTime(), due.at.getTime() + schedule.jitterMs) + schedule.graceMs
  const of = (outcome: KnownRun['outcome']) => own.find((run) => run.outcome === outcome)
  const run = of('succeeded') ?? of('running') ?? own.findLast(({ outcome }) => outcome === 'failed')
  if (run) {
    const { id, beganAt, endedAt, outcome } = run
    const beganLate = beganAt !== undefined && beganAt.getTime() > graceEndMs
    return {
      ...due,
      outcome,
      beganLate,
      ...(id === undefined ? {} : { runId: id }),
      ...(beganAt ? { beganAt } : {}),
      ...(endedAt ? { endedAt } : {}),
    }
  }
  return { ...due, beganLate: false, outcome: absent(due, { evidence, now, graceEndMs, isLast: next === undefined }) }
}

function absent(
  due: DueRun,
  facts: { readonly evidence: Evidence; readonly now: Date; readonly graceEndMs: number; readonly isLast: boolean },
): RunOutcome {
  const { evidence, now, graceEndMs, isLast } = facts
  if (evidence.idleFrom && due.at >= evidence.idleFrom) return 'idle'
  if (isLast && now.getTime() <= graceEndMs) return 'due'
  if (due.at < evidence.knownFrom) return 'unknown'
  return isLast ? 'late' : 'missed'
}
