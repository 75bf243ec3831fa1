/** The metrics of a health report: verdict, score, states of the checks, objectives, and what the checks have measured. */
import { type HealthCheckResult, resultOf } from '../checks/result.ts'
import type { HealthReport } from '../read-health.ts'
import { eachState, inSeconds, type MetricsWriter } from './families.ts'
import { putKept } from './from-kept.ts'
import { putNative } from './from-native.ts'
import { putNow } from './from-now.ts'
import { measuredBy } from './measured.ts'

const CHECK_STATES = ['passed', 'warning', 'danger', 'skipped', 'unknown'] as const
const VERDICTS = ['ok', 'endangered', 'unknown'] as const
const BANDS = ['good', 'attention', 'at-risk', 'unknown'] as const
const OBJECTIVE_STATES = ['met', 'missed', 'unknown'] as const

export function putHealth(writer: MetricsWriter, report: HealthReport): void {
  const { put, putLabelled } = writer
  for (const [verdict, value] of eachState(VERDICTS, report.verdict)) {
    putLabelled('retake_verdict', { verdict }, value)
  }
  putScore(writer, report.score)
  for (const check of report.checks) {
    for (const [state, value] of eachState(CHECK_STATES, stateOf(check))) {
      putLabelled('retake_check_state', { check: check.name, state }, value)
    }
    putLabelled('retake_check_duration_seconds', { check: check.name }, check.durationMs / 1000)
  }
  for (const { name: objective, kind, targetMs, measuredMs, state: current } of report.objectives) {
    putLabelled('retake_objective_target_seconds', { kind, objective }, targetMs / 1000)
    putLabelled('retake_objective_measured_seconds', { kind, objective }, inSeconds(measuredMs))
    for (const [state, value] of eachState(OBJECTIVE_STATES, current)) {
      putLabelled('retake_objective_state', { kind, objective, state }, value)
    }
  }
  put('retake_server_up', isUp(resultOf(report.checks, 'connectivity')))
  put('retake_repo_up', isUp(resultOf(report.checks, 'repository')))
  put('retake_pitr_available', pitrAvailable(report))
  const { slots, missed, share } = report.headline.runs
  put('retake_backup_slots', share === undefined ? undefined : slots)
  put('retake_backup_slots_missed', share === undefined ? undefined : missed)
  const measured = measuredBy(report.checks)
  putNow(writer, measured)
  putKept(writer, measured)
  putNative(writer, report.checks)
}

function putScore(
  { put, putLabelled }: MetricsWriter,
  { value, band, formula, parts, caps }: HealthReport['score'],
): void {
  put('retake_health_score', value)
  put('retake_health_formula_version', formula)
  for (const [name, at] of eachState(BANDS, band === 'at risk' ? 'at-risk' : band)) {
    putLabelled('retake_health_band', { band: name }, at)
  }
  for (const { name: part, items } of parts) {
    for (const { name: item, points, weight, isUnknown } of items) {
      putLabelled('retake_health_points', { part, item }, isUnknown ? undefined : points)
      putLabelled('retake_health_points_max', { part, item }, weight)
    }
  }
  for (const { name, limit } of caps) putLabelled('retake_health_cap', { cap: name }, limit)
}

function stateOf({ state, severity = 'danger' }: HealthCheckResult): (typeof CHECK_STATES)[number] {
  return state === 'failed' ? severity : state
}

function isUp(result: HealthCheckResult | undefined): boolean | undefined {
  if (result?.state === 'passed') return true
  return result?.state === 'failed' ? false : undefined
}

/** The score's own judgement, so that the two never contradict each other. */
function pitrAvailable({ score }: HealthReport): boolean | undefined {
  const item = score.parts.flatMap(({ items }) => items).find(({ name }) => name === 'pitr-availability')
  return item === undefined || item.isUnknown ? undefined : item.points > 0
}
