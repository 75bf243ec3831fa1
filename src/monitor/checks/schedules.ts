/** Whether what is scheduled came. Of what nobody configured, and nobody keeps, nothing is expected. */
import type { SchedulesReport } from '../../engine/schedules.ts'
import { scheduledHistory } from '../health/history.ts'
import type { Measurements, MissedRun } from './measurements.ts'
import { failed, type Outcome, passed, skipped, unknown } from './result.ts'
import type { HealthCheck } from './run-checks.ts'

export const schedules: HealthCheck<'schedules'> = {
  name: 'schedules',
  title: 'On schedule',
  patience: 3,
  run: async (sources) => {
    const { config } = sources.settings
    if (config.schedules === undefined && sources.keptSince.size === 0) {
      return skipped('No schedules are configured, so it is not known when something is due.', {
        fix: 'retake schedules   # proposes some',
      })
    }
    if (config.schedules?.length === 0) return skipped('The configuration says that nothing is scheduled.')
    return judgeSchedules(await sources.schedules())
  },
}

type Report = Pick<SchedulesReport, 'at'> & {
  readonly schedules: readonly Pick<
    SchedulesReport['schedules'][number],
    'name' | 'task' | 'verdict' | 'settled' | 'runs'
  >[]
}

const KEPT_DAYS = 30
const MOST_RUNS = 50
const MISSED: readonly MissedRun['outcome'][] = ['late', 'failed', 'missed']

function missedRunsOf(schedules: Report['schedules'], now: string): MissedRun[] {
  const earliestMs = Date.parse(now) - KEPT_DAYS * 86_400_000
  const runs = schedules.flatMap(({ name, task, runs: all }) =>
    all
      .filter(({ at, outcome }) => MISSED.includes(outcome) && Date.parse(at) >= earliestMs)
      .map(({ at, outcome }): MissedRun => ({ schedule: name, task, outcome, at })),
  )
  return runs.sort((left, right) => Date.parse(left.at) - Date.parse(right.at)).slice(-MOST_RUNS)
}

export function judgeSchedules({ at, schedules }: Report): Outcome<Measurements['schedules']> {
  const missed = schedules.flatMap(({ name, task, verdict, settled }): MissedRun[] =>
    verdict === 'missed' && settled ? [{ schedule: name, task, outcome: settled.outcome, at: settled.at }] : [],
  )
  const notKnown = schedules.filter(({ verdict }) => verdict === 'unknown').map(({ name }) => name)
  const history = scheduledHistory(
    schedules.filter(({ task }) => task === 'backup'),
    new Date(at),
  )
  const measured = {
    missed,
    missedRuns: missedRunsOf(schedules, at),
    unknown: notKnown,
    ...(history ? { history } : {}),
  }
  if (missed.length > 0) {
    const words = missed.map(({ schedule, outcome, at: due }) => `${schedule}, due at ${due}: ${outcome}`)
    const severity = missed.some(({ task }) => task === 'backup') ? 'danger' : 'warning'
    return failed(`Not on schedule: ${words.join('; ')}.`, {
      severity,
      fix: 'retake schedules   # says what to run',
      measured,
    })
  }
  if (notKnown.length > 0) {
    return unknown(`Whether the last run came cannot be told: ${notKnown.join(', ')}.`, {
      fix: 'retake schedules',
      measured,
    })
  }
  const count = schedules.length === 1 ? 'The schedule is' : `All ${schedules.length} schedules are`
  return passed(`${count} kept.`, measured)
}
