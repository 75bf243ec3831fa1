/** What to do, the most urgent first: what the strategy alarms about, then what the score lost points for. Pure. */
import type { Measured } from '../health-score.ts'
import type { BackupReport, Thresholds } from './types.ts'

type Reported = Omit<BackupReport, 'recommendations' | 'sources'>

export function recommend(
  report: Reported,
  facts: {
    readonly thresholds: Thresholds
    readonly age: Measured<number>
    readonly lastBackupReason: string | undefined
  },
): readonly string[] {
  const lost = report.health.parts.flatMap(({ points, weight, reason, fix }) =>
    fix === undefined
      ? []
      : [
          points === 'unknown'
            ? `Not known: ${reason} ${fix}`
            : `${reason} ${fix} (${Math.round((weight - points) * 10) / 10} points)`,
        ],
  )
  const capped = report.health.caps.map(
    ({ atMost, reason, fix }) => `${reason} ${fix} (the score stays at most ${atMost})`,
  )
  const danger = (report.retake === 'unknown' ? [] : report.retake.reasons)
    .filter(({ severity }) => severity === 'danger')
    .map(({ message, fix }) => `Retake: ${message} ${fix}`)
  return [...new Set([...alarms(report, facts), ...danger, ...capped, ...lost])]
}

/** The alert conditions of the backup strategy. */
function alarms(
  report: Reported,
  {
    thresholds,
    age,
    lastBackupReason,
  }: { thresholds: Thresholds; age: Measured<number>; lastBackupReason: string | undefined },
): string[] {
  const { connectivity, criticalTables, lastBackup } = report
  const found: string[] = []
  if (connectivity.connected === false) {
    found.push(`The database does not answer: ${connectivity.trace.reason ?? 'no reason was given'}.`)
  }
  if (criticalTables.missing.length > 0) {
    found.push(
      `Critical tables are missing: ${criticalTables.missing.join(', ')}. Do not wait: find the moment before, and restore.`,
    )
  }
  if (lastBackup?.status === 'failed') {
    found.push(`The last backup failed at ${lastBackup.timestamp}. ${lastBackup.error ?? ''}`.trim())
  }
  if (lastBackup?.status === 'unknown' && lastBackupReason !== undefined) {
    found.push(`Whether there is a backup is not known. ${lastBackupReason}`)
  }
  if ('value' in age && age.value > thresholds.alertAfterHours) {
    found.push(`No moment of the last ${thresholds.alertAfterHours} hours can be restored. ${age.explanation}`)
  }
  if (connectivity.connected === 'unknown') {
    found.push(`Whether the database answers is not known: ${connectivity.trace.reason ?? ''}`)
  }
  return found
}
