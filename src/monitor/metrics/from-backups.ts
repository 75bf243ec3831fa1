/** The metrics of each backup that is held, and of the last ones. */
import type { BackupSummary } from '../../repository/manifest.ts'
import { epochSeconds, type MetricsWriter } from './families.ts'

export interface BackupMetricsOptions {
  readonly now: Date
  /** At most so many have metrics of their own, the newest. */
  readonly limit: number
}

/** @param backups oldest first */
export function putBackups(
  writer: MetricsWriter,
  backups: readonly BackupSummary[],
  { now, limit }: BackupMetricsOptions,
): void {
  for (const backup of limit === 0 ? [] : backups.slice(-limit)) putBackup(writer, backup)
  putLast(writer, 'full', { backup: backups.findLast(({ type }) => type === 'full'), now })
  // What an increment would be is also met by a full one, so this is the last of either type.
  putLast(writer, 'incremental', { backup: backups.at(-1), now })
}

function putBackup({ putLabelled }: MetricsWriter, backup: BackupSummary): void {
  const labels = { backup_name: backup.backupId, backup_type: backup.type }
  const about = {
    ...labels,
    label: backup.label ?? '',
    lsn_start: backup.startLsn,
    lsn_stop: backup.stopLsn,
    pg_version: pgVersion(backup.serverVersionNum),
    prior: backup.parent ?? '',
    retake_ver: backup.retakeVersion,
    timeline: String(backup.timeline),
  }
  putLabelled('retake_backup_info', about, 1)
  putLabelled('retake_backup_stop_timestamp_seconds', labels, epochSeconds(backup.stoppedAt))
  putLabelled('retake_backup_duration_seconds', labels, durationSeconds(backup))
  putLabelled('retake_backup_size_bytes', labels, backup.totalBytes)
  putLabelled('retake_backup_delta_bytes', labels, backup.changedBytes)
  putLabelled('retake_backup_repo_delta_bytes', labels, backup.storedBytes)
  putLabelled('retake_backup_error_status', labels, backup.corruptBlockCount > 0)
}

function putLast(
  { putLabelled }: MetricsWriter,
  type: BackupSummary['type'],
  { backup, now }: { readonly backup: BackupSummary | undefined; readonly now: Date },
): void {
  if (!backup) return
  const labels = { backup_type: type }
  const ageMs = Math.max(0, now.getTime() - Date.parse(backup.stoppedAt))
  putLabelled('retake_backup_last_completion_timestamp_seconds', labels, epochSeconds(backup.stoppedAt))
  putLabelled('retake_backup_since_last_completion_seconds', labels, ageMs / 1000)
  putLabelled('retake_backup_last_duration_seconds', labels, durationSeconds(backup))
  putLabelled('retake_backup_last_size_bytes', labels, backup.totalBytes)
  putLabelled('retake_backup_last_repo_delta_bytes', labels, backup.storedBytes)
  putLabelled('retake_backup_last_error_status', labels, backup.corruptBlockCount > 0)
}

function durationSeconds({ startedAt, stoppedAt }: BackupSummary): number {
  return (Date.parse(stoppedAt) - Date.parse(startedAt)) / 1000
}

/** `170010` is 17.10. https://www.postgresql.org/docs/current/libpq-status.html#LIBPQ-PQSERVERVERSION */
export function pgVersion(serverVersionNum: number): string {
  return `${Math.floor(serverVersionNum / 10_000)}.${serverVersionNum % 10_000}`
}
