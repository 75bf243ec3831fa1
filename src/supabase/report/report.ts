/** Puts the report together: asks, derives, scores, recommends. */
import { type HealthScore, type Measured, scoreHealth } from '../health-score.ts'
import {
  type BackupAnswers,
  deriveAge,
  deriveLastBackup,
  derivePointInTime,
  deriveRestorable,
  deriveSuccess,
  deriveWindows,
  unknownTrace,
} from './backups.ts'
import { deriveConnectivity, deriveTables } from './database.ts'
import type { Facts } from './facts.ts'
import type { Answer } from './project-facts.ts'
import { recommend } from './recommend.ts'
import type { BackupReport, PointInTimeReport, RetentionReport, Thresholds, Trace } from './types.ts'

export async function askAboutBackups(facts: Facts): Promise<BackupAnswers> {
  const [native, retake] = await Promise.all([facts.platform.backups(), facts.retake()])
  return { native, retake, hasRetake: facts.settings.retake !== undefined }
}

export function viewRetention(answer: Answer<number>, { retentionDays }: Thresholds): RetentionReport {
  if ('unknown' in answer) return { days: 'unknown', adequate: 'unknown', trace: unknownTrace(answer.unknown) }
  return { days: answer.value, adequate: answer.value >= retentionDays, trace: answer.trace }
}

export async function makeReport(facts: Facts): Promise<BackupReport> {
  const { clock, projectId, rest, thresholds } = facts.settings
  const [answers, project, retention, schedule, database] = await Promise.all([
    askAboutBackups(facts),
    facts.platform.project(),
    facts.platform.retention(),
    facts.platform.schedule(),
    facts.database(),
  ])
  const isPitr = 'value' in answers.native && answers.native.value.mode === 'pitr'
  const archiver = isPitr ? await facts.platform.archiver() : undefined
  const now = clock.now()
  const pointInTime = derivePointInTime(answers)
  const kept = viewRetention(retention, thresholds)
  const age = deriveAge(answers, { archiver, now })
  const health = judge(answers, {
    age,
    pointInTime,
    kept,
    thresholds,
    success: deriveSuccess(answers.native, { archiver, now }),
  })
  const last = deriveLastBackup(answers)
  const connectivity = deriveConnectivity(database)
  const criticalTables = deriveTables(database, rest.role)
  const fields = {
    schemaVersion: 1 as const,
    generatedAt: now.toISOString(),
    projectId,
    projectName: valueOr(project, ({ name }) => name),
    region: valueOr(project, ({ region }) => region, answers.native),
    ...(last.value === undefined ? {} : { lastBackup: last.value }),
    backupRetentionDays: kept.days,
    pointInTimeRecoveryEnabled: pointInTime.enabled,
    healthScore: health.score,
    health,
    projectStatus: valueOr(project, ({ status }) => status),
    connectivity,
    criticalTables,
    recoveryWindows: deriveWindows(answers),
    backupSchedule: 'value' in schedule ? schedule.value : ('unknown' as const),
    native: 'value' in answers.native ? answers.native.value : ('unknown' as const),
    retake: 'value' in answers.retake ? answers.retake.value : ('unknown' as const),
  }
  return {
    ...fields,
    recommendations: recommend(fields, { thresholds, age, lastBackupReason: last.trace.reason }),
    sources: {
      ...sourcesOf({ project, schedule, answers }),
      lastBackup: last.trace,
      backupRetentionDays: kept.trace,
      pointInTimeRecoveryEnabled: pointInTime.trace,
      healthScore: scoreTrace(health),
      connectivity: connectivity.trace,
      criticalTables: criticalTables.trace,
    },
  }
}

function judge(
  answers: BackupAnswers,
  facts: {
    readonly age: Measured<number>
    readonly success: Measured<number>
    readonly pointInTime: PointInTimeReport
    readonly kept: RetentionReport
    readonly thresholds: Thresholds
  },
): HealthScore {
  const { age, success, pointInTime, kept, thresholds } = facts
  const { retake } = answers
  return scoreHealth({
    restorable: deriveRestorable(answers),
    ageHours: age,
    successShare: success,
    pointInTime:
      pointInTime.enabled === 'unknown'
        ? { unknown: pointInTime.trace.reason ?? '' }
        : {
            value: pointInTime.enabled,
            explanation: pointInTime.enabled
              ? `Point-in-time recovery is enabled (${pointInTime.by}).`
              : 'Point-in-time recovery is not enabled.',
          },
    retentionDays:
      kept.days === 'unknown'
        ? { unknown: kept.trace.reason ?? '' }
        : { value: kept.days, explanation: `Backups are kept for ${kept.days} days.` },
    openGap:
      'value' in retake &&
      retake.value.reasons.some(({ code, severity }) => code === 'wal.gap' && severity === 'danger'),
    targets: thresholds,
  })
}

/** From the first that knows: of two answers that hold the same fact the second is asked when the first is silent. */
function valueOr<T>(
  answer: Answer<T>,
  pick: (value: T) => string,
  other?: Answer<{ readonly region: string }>,
): string {
  if ('value' in answer) return pick(answer.value)
  return other && 'value' in other ? other.value.region : 'unknown'
}

const scoreTrace = ({ formula, reason }: HealthScore): Trace => ({
  source: 'computed',
  detail: `formula ${formula}, from the parts in health`,
  ...(reason === undefined ? {} : { reason }),
})

function sourcesOf(facts: {
  readonly project: Answer<unknown>
  readonly schedule: Answer<unknown>
  readonly answers: BackupAnswers
}): Record<string, Trace> {
  const { project, schedule, answers } = facts
  const field = (answer: Answer<unknown>, name?: string): Trace => {
    if ('unknown' in answer) return unknownTrace(answer.unknown)
    return name === undefined ? answer.trace : { ...answer.trace, detail: `${answer.trace.detail}: ${name}` }
  }
  const windows = [answers.native, answers.retake].filter((answer) => 'value' in answer)
  return {
    generatedAt: { source: 'caller', detail: 'the clock of this machine' },
    projectId: { source: 'caller', detail: 'given' },
    projectName: field(project, 'name'),
    projectStatus: field(project, 'status'),
    region: 'value' in project ? field(project, 'region') : field(answers.native, 'region'),
    backupSchedule: field(schedule),
    native: field(answers.native),
    retake: field(answers.retake),
    health: { source: 'computed', detail: 'from lastBackup, native, retake, backupRetentionDays' },
    recommendations: { source: 'computed', detail: 'from the lost points of health and from what the checks found' },
    recoveryWindows:
      windows.length === 0
        ? field(answers.native)
        : { source: 'computed', detail: windows.map(({ trace }) => trace.detail).join('; ') },
  }
}
