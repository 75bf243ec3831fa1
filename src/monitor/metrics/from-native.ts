/** What Supabase itself holds, where a project is configured. */
import { type HealthCheckResult, resultOf } from '../checks/result.ts'
import { epochSeconds, inSeconds, type MetricsWriter } from './families.ts'

const DAY_SECONDS = 86_400

export function putNative({ put, putLabelled }: MetricsWriter, checks: readonly HealthCheckResult[]): void {
  const result = resultOf(checks, 'native-backups')
  if (result === undefined || result.state === 'skipped') return
  const { measured } = result
  put('retake_native_up', measured !== undefined)
  if (!measured) return
  // What was measured holds, also where its judgement needs more than is known.
  const { project, projectStatus: status, pitr, count, failed, from, to, ageMs, maxAgeMs, retentionDays } = measured
  putLabelled('retake_native_info', { project, status }, 1)
  put('retake_native_pitr', pitr)
  putLabelled('retake_native_backups', { state: 'restorable' }, count)
  putLabelled('retake_native_backups', { state: 'failed' }, failed)
  put('retake_native_window_begin_timestamp_seconds', epochSeconds(from))
  put('retake_native_window_end_timestamp_seconds', epochSeconds(to))
  put('retake_native_age_seconds', inSeconds(ageMs))
  put('retake_native_max_age_seconds', maxAgeMs / 1000)
  put('retake_native_retention_seconds', retentionDays === undefined ? undefined : retentionDays * DAY_SECONDS)
}
