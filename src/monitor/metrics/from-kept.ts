/** What is measured of the repository: runs, verification, drills, retention, keys, copies, its disk. */
import type { CopyState } from '../../engine/mirrors/copies.ts'
import { eachState, epochSeconds, inSeconds, type MetricsWriter } from './families.ts'
import type { Measured } from './measured.ts'

const RUN_RESULTS = ['succeeded', 'failed', 'running', 'none'] as const
const LACKS = ['copies', 'places', 'offsite'] as const
const COPY_STATES = [
  'current',
  'joining',
  'behind',
  'following',
  'empty',
  'foreign',
  'unreachable',
] as const satisfies readonly CopyState[]
const DAY_SECONDS = 86_400

export function putKept(writer: MetricsWriter, measured: Measured): void {
  const { put, putLabelled } = writer
  const repository = measured('repository')
  if (repository) {
    putLabelled('retake_repo_info', { repo_id: repository.repositoryId }, 1)
    put('retake_repo_open_seconds', repository.openMs / 1000)
  }
  const disk = measured('disk')
  put('retake_repo_disk_free_bytes', disk?.freeBytes)
  put('retake_repo_disk_bytes', disk?.totalBytes)
  const backup = measured('backup')
  if (backup) {
    putLabelled('retake_backups', { state: 'usable' }, backup.usable)
    putLabelled('retake_backups', { state: 'unusable' }, backup.unusable.length)
    for (const [result, value] of eachState(RUN_RESULTS, backup.lastRun)) {
      putLabelled('retake_backup_last_run', { result }, value)
    }
    put('retake_backup_failed_runs', backup.failedRuns.length)
    put('retake_backup_max_age_seconds', backup.maxAgeMs / 1000)
  }
  putProof(writer, measured)
  putPromises(writer, measured)
  putCopies(writer, measured)
}

function putProof({ put, putLabelled }: MetricsWriter, measured: Measured): void {
  const found = measured('verification')
  if (found) {
    putLabelled('retake_verify_last_timestamp_seconds', { depth: 'any' }, epochSeconds(found.lastAt))
    putLabelled('retake_verify_last_timestamp_seconds', { depth: 'deep' }, epochSeconds(found.lastDeepAt))
    putLabelled('retake_verify_age_seconds', { depth: 'any' }, inSeconds(found.ageMs))
    putLabelled('retake_verify_age_seconds', { depth: 'deep' }, inSeconds(found.deepAgeMs))
    put('retake_verify_max_age_seconds', found.maxAgeMs / 1000)
    put('retake_verify_last_backup', found.lastBackupVerified)
    put('retake_verify_damage', found.damage?.errors ?? 0)
  }
  const drill = measured('drill')
  if (!drill) return
  put('retake_drill_last_timestamp_seconds', epochSeconds(drill.lastAt))
  put('retake_drill_passed', drill.lastOutcome === 'passed')
  put('retake_drill_passed_timestamp_seconds', epochSeconds(drill.passedAt))
  put('retake_drill_rto_seconds', inSeconds(drill.rtoMs))
  put('retake_drill_rpo_seconds', inSeconds(drill.rpoMs))
  putLabelled('retake_drills', { outcome: 'passed' }, drill.succeeded)
  putLabelled('retake_drills', { outcome: 'failed' }, drill.counted - drill.succeeded)
}

function putPromises({ put, putLabelled }: MetricsWriter, measured: Measured): void {
  const retention = measured('retention')
  if (retention) {
    putLabelled('retake_retention_promised_seconds', { what: 'backups' }, retention.days * DAY_SECONDS)
    putLabelled('retake_retention_promised_seconds', { what: 'wal' }, retention.walDays * DAY_SECONDS)
    put('retake_retention_held_seconds', retention.heldMs / 1000)
    put('retake_retention_kept', retention.kept)
  }
  const keys = measured('keys')
  if (!keys) return
  for (const state of ['good', 'broken', 'due'] as const) putLabelled('retake_keys', { state }, keys[state])
  put('retake_recovery_kits', keys.kits)
  put('retake_recovery_kit_proof_timestamp_seconds', epochSeconds(keys.kitProvenAt))
}

function putCopies({ putLabelled }: MetricsWriter, measured: Measured): void {
  const found = measured('mirrors')
  if (!found) return
  for (const { name: copy, state: current, missingObjects, lagMs } of found.copies) {
    for (const state of COPY_STATES) putLabelled('retake_copy_state', { copy, state }, state === current)
    putLabelled('retake_copy_missing_objects', { copy }, missingObjects)
    putLabelled('retake_copy_lag_seconds', { copy }, inSeconds(lagMs))
  }
  for (const lack of LACKS) putLabelled('retake_last_backup_lacks', { lack }, found.missing.includes(lack))
}
