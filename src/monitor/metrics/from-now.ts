/** What is measured of this moment: the server, its slot, its WAL, its tables. */
import type { MassDeletion } from '../checks/measurements.ts'
import { eachState, epochSeconds, inSeconds, type MetricsWriter } from './families.ts'
import { pgVersion } from './from-backups.ts'
import type { Measured } from './measured.ts'

const SLOT_STATUSES = ['reserved', 'extended', 'unreserved', 'lost'] as const

export function putNow(writer: MetricsWriter, measured: Measured): void {
  const { put, putLabelled } = writer
  const connectivity = measured('connectivity')
  if (connectivity) {
    const { database, serverVersionNum, latencyMs, inRecovery } = connectivity
    putLabelled('retake_server_info', { database, pg_version: pgVersion(serverVersionNum) }, 1)
    put('retake_server_latency_seconds', latencyMs / 1000)
    put('retake_server_in_recovery', inRecovery)
  }
  const clock = measured('clock')
  put('retake_clock_offset_seconds', inSeconds(clock?.offsetMs))
  put('retake_clock_uncertainty_seconds', inSeconds(clock?.uncertaintyMs))
  put('retake_configuration_outside', measured('configuration')?.outside)
  putTables(writer, measured)
  putMassDeletions(writer, measured)
  putWal(writer, measured)
  putSlot(writer, measured)
}

function putTables({ putLabelled }: MetricsWriter, measured: Measured): void {
  const found = measured('critical-tables')
  if (!found) return
  for (const { table, tier, exists, rows, bytes } of found.tables) {
    const labels = { database: found.database, table, tier }
    putLabelled('retake_critical_table_exists', labels, exists)
    putLabelled('retake_critical_table_rows', labels, rows)
    putLabelled('retake_critical_table_bytes', labels, bytes)
  }
}

function putMassDeletions({ put, putLabelled }: MetricsWriter, measured: Measured): void {
  const found = measured('mass-deletions')
  if (!found) return
  put('retake_journal_behind_bytes', found.behindBytes)
  const alike = Map.groupBy(found.incidents, ({ kind, target, tier }) => `${kind}/${tier}/${target}`)
  for (const incidents of alike.values()) {
    const [{ kind, target, tier = 'none' }] = incidents as [MassDeletion]
    putLabelled('retake_mass_deletions', { kind, table: target, tier }, incidents.length)
  }
}

function putWal({ put, putLabelled }: MetricsWriter, measured: Measured): void {
  const wal = measured('wal')
  if (wal) {
    put('retake_windows', wal.windows)
    put('retake_window_begin_timestamp_seconds', epochSeconds(wal.from))
    put('retake_window_end_timestamp_seconds', epochSeconds(wal.to))
    putLabelled('retake_wal_gaps', { kind: 'open' }, wal.openGaps)
    putLabelled('retake_wal_gaps', { kind: 'past' }, wal.pastGaps)
    put('retake_wal_damaged_objects', wal.damagedObjects)
    put('retake_recoverable_ratio', wal.recoverableShare)
  }
  const exposure = measured('exposure')
  if (exposure) {
    put('retake_rpo_seconds', inSeconds(exposure.exposureMs))
    put('retake_rpo_bytes', exposure.behindBytes)
    put('retake_rpo_target_seconds', exposure.targetMs / 1000)
    put('retake_wal_caught_up_timestamp_seconds', epochSeconds(exposure.caughtUpAt))
  }
}

function putSlot({ put, putLabelled }: MetricsWriter, measured: Measured): void {
  const found = measured('slot')
  if (!found) return
  const labels = { slot: found.slot }
  put('retake_receiver_up', found.receiver)
  put('retake_server_wal_directory_bytes', found.walDirectoryBytes)
  put('retake_server_disk_free_bytes', found.serverFreeBytes)
  const { hoursLeft, walBytesPerHour } = found
  put('retake_server_wal_bytes_per_second', walBytesPerHour === undefined ? undefined : walBytesPerHour / 3600)
  putLabelled('retake_slot_exists', labels, found.exists)
  putLabelled('retake_slot_active', labels, found.active)
  const status = SLOT_STATUSES.find((one) => one === found.walStatus)
  for (const [name, value] of status === undefined ? [] : eachState(SLOT_STATUSES, status)) {
    putLabelled('retake_slot_wal_status', { ...labels, status: name }, value)
  }
  putLabelled('retake_slot_held_bytes', labels, found.heldBytes)
  putLabelled('retake_slot_safe_bytes', labels, found.safeBytes)
  putLabelled('retake_slot_time_left_seconds', labels, hoursLeft === undefined ? undefined : hoursLeft * 3600)
}
