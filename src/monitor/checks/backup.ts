/** Whether there is a recent backup that a restore can begin with, and whether the last run made one. */
import { DEFAULT_BACKUP_MAX_AGE_HOURS } from '../../engine/config-options.ts'
import type { RunsFound } from '../../engine/unfinished-runs.ts'
import type { Holdings } from '../../engine/window.ts'
import type { Measurements } from './measurements.ts'
import { failed, type Outcome, passed } from './result.ts'
import type { HealthCheck } from './run-checks.ts'
import { judgeSize } from './size-anomaly.ts'

export const backup: HealthCheck<'backup'> = {
  name: 'backup',
  title: 'Recent backup',
  patience: 3,
  run: async (sources) => {
    const { config, clock } = sources.settings
    return judgeBackup({
      holdings: await sources.holdings(),
      runs: await sources.runs(),
      maxAgeMs: (config.backupMaxAgeHours ?? DEFAULT_BACKUP_MAX_AGE_HOURS) * 3_600_000,
      now: clock.now(),
    })
  },
}

export interface BackupFactsFound {
  readonly holdings: Pick<Holdings, 'backups' | 'damaged' | 'report'>
  readonly runs: RunsFound
  readonly maxAgeMs: number
  readonly now: Date
}

type Measured = Measurements['backup']

export function judgeBackup({ holdings, runs, maxAgeMs, now }: BackupFactsFound): Outcome<Measured> {
  const { backups, damaged, report } = holdings
  const last = backups.at(-1)
  const usable = backups.length - report.strandedBackups.length
  // One that runs now has begun as well; it is the newest.
  const interrupted = runs.running ? runs.unfinished.slice(0, -1) : runs.unfinished
  const failedRuns = [...new Set([...interrupted, ...runs.failed])].sort()
  const isRunFailed = (failedRuns.at(-1) ?? '') > (last?.backupId ?? '')
  const size = judgeSize(backups)
  const ageMs = last && Math.max(0, now.getTime() - Date.parse(last.stoppedAt))
  const measured: Measured = {
    count: backups.length,
    usable,
    unusable: [...damaged.map(({ backupId }) => backupId), ...report.strandedBackups],
    ...(last
      ? {
          last: {
            backupId: last.backupId,
            type: last.type,
            startedAt: last.startedAt,
            stoppedAt: last.stoppedAt,
            durationMs: Date.parse(last.stoppedAt) - Date.parse(last.startedAt),
            storedBytes: last.storedBytes,
            corruptBlocks: last.corruptBlockCount,
          },
        }
      : {}),
    ...(size ? { size } : {}),
    ...(ageMs === undefined ? {} : { ageMs }),
    maxAgeMs,
    lastRun: runs.running ? 'running' : isRunFailed ? 'failed' : last ? 'succeeded' : 'none',
    failedRuns,
    ...(runs.lastFailure ? { lastFailure: runs.lastFailure } : {}),
  }
  return judgeMeasured(measured)
}

function judgeMeasured(measured: Measured): Outcome<Measured> {
  const { last, usable, unusable, ageMs = 0, maxAgeMs, lastRun, failedRuns, lastFailure } = measured
  const bad = (finding: string, fix: string) => failed(finding, { severity: 'danger', fix, measured })
  if (!last) return bad('There is no backup, so nothing can be restored.', 'retake backup')
  if (usable === 0) {
    return bad(
      `Nothing can be restored: the WAL that makes the backup ${last.backupId} consistent is not held.`,
      'retake wal receive --until-caught-up; if that does not help: retake backup',
    )
  }
  const hours = (ageMs / 3_600_000).toFixed(1)
  const limit = maxAgeMs / 3_600_000
  const also = lastRun === 'failed' ? ` The last run, ${failedRuns.at(-1)}, failed.` : ''
  if (ageMs > maxAgeMs) {
    return bad(`The last backup is late: it is ${hours} hours old, more than ${limit}.${also}`, 'retake backup')
  }
  if (lastRun === 'failed') {
    const why = lastFailure?.message ?? 'It began and left no backup.'
    const finding = `The last run, ${failedRuns.at(-1)}, failed: ${why} The backup before it is ${hours} hours old.`
    return failed(finding, { severity: 'warning', fix: 'retake backup', measured })
  }
  if (unusable.length > 0) {
    const finding = `Backups that cannot be restored: ${unusable.join(', ')}.`
    return failed(finding, { severity: 'warning', fix: 'retake verify --deep', measured })
  }
  return passed(`The last of ${measured.count} backups (${last.backupId}) is ${hours} hours old.`, measured)
}
