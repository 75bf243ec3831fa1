/**
 * Every metric that is printed: its type, what it says, its labels. Help texts, the reference in `docs/metrics.md` and the types of
 * the writer come from here. All but `retake_build_info` also have the label `cluster`.
 *
 * Everything is a gauge, because everything is measured anew from the server and the repository: nothing counts up in between.
 */

export interface FamilyDeclaration {
  /** `info`: facts in labels, and the value 1. */
  readonly type: 'gauge' | 'info'
  readonly help: string
  readonly labels: readonly string[]
}

type Declared<L extends string> = FamilyDeclaration & { readonly labels: readonly L[] }

function gauge<const L extends string = never>(help: string, labels: readonly L[] = []): Declared<L> {
  return { type: 'gauge', help, labels }
}

function info<const L extends string>(help: string, labels: readonly L[]): Declared<L> {
  return { type: 'info', help, labels }
}

const backup = ['backup_name', 'backup_type'] as const

export const catalogue = {
  retake_build_info: info('The program that collected.', ['version']),
  retake_collection_timestamp_seconds: gauge('When this was collected; an old one means that nobody looks any more.'),
  retake_collection_duration_seconds: gauge('How long collecting took.'),

  retake_verdict: gauge('1 at the verdict that holds: ok, endangered or unknown.', ['verdict']),
  retake_health_score: gauge('0 to 100; absent when too little is known for a number.'),
  retake_health_formula_version: gauge('Scores of different versions are not comparable.'),
  retake_health_band: gauge('1 at the band of the score: good, attention, at-risk or unknown.', ['band']),
  retake_health_points: gauge('Points of an item of the score; absent when unknown.', ['part', 'item']),
  retake_health_points_max: gauge('What the item can have.', ['part', 'item']),
  retake_health_cap: gauge('The score is at most this, for as long as the reason holds.', ['cap']),
  retake_check_state: gauge('1 at the state that holds: passed, warning, danger, skipped or unknown.', [
    'check',
    'state',
  ]),
  retake_check_duration_seconds: gauge('How long a check took.', ['check']),
  retake_objective_target_seconds: gauge('What was promised.', ['kind', 'objective']),
  retake_objective_measured_seconds: gauge('What was measured; absent when nothing was.', ['kind', 'objective']),
  retake_objective_state: gauge('1 at the state that holds: met, missed or unknown.', ['kind', 'objective', 'state']),

  retake_server_up: gauge('1 when the server answers, 0 when it does not.'),
  retake_server_info: info('The server that answered.', ['database', 'pg_version']),
  retake_server_latency_seconds: gauge('One round trip to the server.'),
  retake_server_in_recovery: gauge('1 for a standby.'),
  retake_server_disk_free_bytes: gauge("Free on the server's disk, where that is the disk of this machine."),
  retake_server_wal_directory_bytes: gauge('Size of pg_wal.'),
  retake_server_wal_bytes_per_second: gauge(
    'How fast the server writes WAL: since the earlier look, else since the last backup.',
  ),
  retake_clock_offset_seconds: gauge("The server's clock less this machine's."),
  retake_clock_uncertainty_seconds: gauge('By so much the offset may be wrong.'),
  retake_configuration_outside: gauge(
    '1 when files of the server lie outside its data directory, where no backup reaches.',
  ),
  retake_critical_table_exists: gauge('0 when a table is missing without which the application does not work.', [
    'database',
    'table',
    'tier',
  ]),
  retake_critical_table_rows: gauge("Rows by the server's own estimate.", ['database', 'table', 'tier']),
  retake_critical_table_bytes: gauge("Size by the server's own estimate.", ['database', 'table', 'tier']),
  retake_mass_deletions: gauge(
    'Of the last week, how often a table was emptied by the mass or dropped, unless somebody has called it meant; tier: none where it is not critical.',
    ['kind', 'table', 'tier'],
  ),
  retake_journal_behind_bytes: gauge('WAL that is held and was not looked through for mass deletions yet.'),

  retake_repo_up: gauge('1 when the repository opens and knows the cluster, 0 when not.'),
  retake_repo_info: info('The repository that was opened.', ['repo_id']),
  retake_repo_open_seconds: gauge('How long opening the repository took.'),
  retake_repo_disk_free_bytes: gauge('Free where the repository is a directory.'),
  retake_repo_disk_bytes: gauge('Size of the disk of a repository that is a directory.'),

  retake_backup_info: info('A backup that is held.', [
    ...backup,
    'label',
    'lsn_start',
    'lsn_stop',
    'pg_version',
    'prior',
    'retake_ver',
    'timeline',
  ]),
  retake_backup_stop_timestamp_seconds: gauge('When the backup ended.', backup),
  retake_backup_duration_seconds: gauge('How long the backup took.', backup),
  retake_backup_size_bytes: gauge('What the backup restores to.', backup),
  retake_backup_delta_bytes: gauge('Pages and files that were not as its parent holds them.', backup),
  retake_backup_repo_delta_bytes: gauge('What the backup added to the repository.', backup),
  retake_backup_error_status: gauge('1 when pages failed their checksum on the server, else 0.', backup),
  retake_backups: gauge('Backups that are held: usable ones, and ones that no restore can begin with.', ['state']),
  retake_backup_last_completion_timestamp_seconds: gauge(
    'When the last backup ended; incremental: the last of either type.',
    ['backup_type'],
  ),
  retake_backup_since_last_completion_seconds: gauge('The same as an age, at the time of the collection.', [
    'backup_type',
  ]),
  retake_backup_last_duration_seconds: gauge('How long the last backup took.', ['backup_type']),
  retake_backup_last_size_bytes: gauge('What the last backup restores to.', ['backup_type']),
  retake_backup_last_repo_delta_bytes: gauge('What the last backup added to the repository.', ['backup_type']),
  retake_backup_last_error_status: gauge('1 when the last backup met pages with a wrong checksum, else 0.', [
    'backup_type',
  ]),
  retake_backup_last_run: gauge('1 at what the last run came to: succeeded, failed, running or none.', ['result']),
  retake_backup_failed_runs: gauge('Backups that failed or were cut short within the last month.'),
  retake_backup_max_age_seconds: gauge('A backup that is older is late.'),
  retake_backup_slots: gauge('Backups that were due in the time that is seen, at most 30 days.'),
  retake_backup_slots_missed: gauge('Of these, the ones that did not come.'),

  retake_pitr_available: gauge('1 when moments up to now can be restored, 0 when not.'),
  retake_windows: gauge('Stretches of moments that can be restored.'),
  retake_window_begin_timestamp_seconds: gauge('The first moment of the newest stretch.'),
  retake_window_end_timestamp_seconds: gauge('The last moment of the newest stretch whose time is known.'),
  retake_wal_gaps: gauge('Holes in the WAL: open ones endanger recovery, past ones lie before the last backup.', [
    'kind',
  ]),
  retake_wal_damaged_objects: gauge('Objects of the WAL archive that cannot be read.'),
  retake_recoverable_ratio: gauge(
    'Share of the minutes seen, at most of 30 days, of which every moment can be restored.',
  ),
  retake_rpo_seconds: gauge('At most so much work would be lost if the server vanished now; absent when nobody knows.'),
  retake_rpo_bytes: gauge('WAL that the server has and the repository has not.'),
  retake_rpo_target_seconds: gauge('So much may be lost.'),
  retake_wal_caught_up_timestamp_seconds: gauge('When the repository last had everything.'),

  retake_receiver_up: gauge('1 when somebody holds the lease to receive WAL.'),
  retake_slot_exists: gauge('0 when the slot is missing: the server keeps nothing for us.', ['slot']),
  retake_slot_active: gauge('1 when a receiver is connected to the slot.', ['slot']),
  retake_slot_wal_status: gauge('1 at the status that PostgreSQL gives: reserved, extended, unreserved or lost.', [
    'slot',
    'status',
  ]),
  retake_slot_held_bytes: gauge('WAL that the slot keeps on the server.', ['slot']),
  retake_slot_safe_bytes: gauge('What the server may still write before the slot can be lost.', ['slot']),
  retake_slot_time_left_seconds: gauge(
    'Until the slot is lost or the disk is full if nothing were received from now on.',
    ['slot'],
  ),

  retake_verify_last_timestamp_seconds: gauge('The last verification that passed: of any depth, or of every byte.', [
    'depth',
  ]),
  retake_verify_age_seconds: gauge('The same as an age, at the time of the collection.', ['depth']),
  retake_verify_max_age_seconds: gauge('A verification that is older is overdue.'),
  retake_verify_last_backup: gauge('1 when the last backup has passed a verification.'),
  retake_verify_damage: gauge(
    'Places that a verification found damaged, while none that reads as much has found them sound.',
  ),
  retake_drill_last_timestamp_seconds: gauge('The last rehearsed recovery that came to a result.'),
  retake_drill_passed: gauge('1 when the last rehearsed recovery passed, 0 when it failed.'),
  retake_drill_passed_timestamp_seconds: gauge('The last rehearsed recovery that passed.'),
  retake_drill_rto_seconds: gauge('How long it took, from the order to green checks.'),
  retake_drill_rpo_seconds: gauge('From the last commit that it brought back to the moment that was asked for.'),
  retake_drills: gauge('Of the last 24 that came to a result, how many passed and failed.', ['outcome']),
  retake_retention_promised_seconds: gauge('How far back is promised: backups, and WAL.', ['what']),
  retake_retention_held_seconds: gauge('How far back every moment up to now is held.'),
  retake_retention_kept: gauge('0 when less is held than promised although backups are old enough.'),
  retake_keys: gauge('Keys of the repository: good, broken, and of the good ones those that are due.', ['state']),
  retake_recovery_kits: gauge('Recovery kits among the good keys.'),
  retake_recovery_kit_proof_timestamp_seconds: gauge('When a recovery kit was last tried.'),
  retake_copy_state: gauge('1 at the state of a copy of the repository.', ['copy', 'state']),
  retake_copy_missing_objects: gauge('Objects that the copy lacks.', ['copy']),
  retake_copy_lag_seconds: gauge('At most so old is the oldest object that the copy lacks.', ['copy']),
  retake_last_backup_lacks: gauge('1 at what the last backup lacks for 3-2-1: copies, places, offsite.', ['lack']),

  retake_native_up: gauge(
    '1 when Supabase answered about its own backups, 0 when it did not; absent without a Supabase project.',
  ),
  retake_native_info: info('The Supabase project, and its status by that name.', ['project', 'status']),
  retake_native_pitr: gauge('1 when point-in-time recovery is on at Supabase.'),
  retake_native_backups: gauge('Backups that Supabase lists: restorable and failed ones; with PITR it lists none.', [
    'state',
  ]),
  retake_native_window_begin_timestamp_seconds: gauge('The first moment that Supabase can restore.'),
  retake_native_window_end_timestamp_seconds: gauge('The last one: of its newest backup, or with PITR.'),
  retake_native_age_seconds: gauge(
    'How old that last moment is at the time of the collection; 0 while the database is idle and all is archived.',
  ),
  retake_native_max_age_seconds: gauge('A last moment that is older is late.'),
  retake_native_retention_seconds: gauge('For how long Supabase keeps backups, by the plan or the PITR add-on.'),
} as const

export type MetricName = keyof typeof catalogue

/** The labels that a metric must be given; `cluster` is added by the writer. */
export type LabelsOf<N extends MetricName> = Readonly<Record<(typeof catalogue)[N]['labels'][number], string>>
