/** Scenes of a cluster, each with all alerts that fire in it. What a scene does not say is as well as can be. */
import { DAY_MS, HOUR_MS } from '../../src/monitor/testing/health-facts.ts'
import { backupOf, type MetricsScene } from '../../src/monitor/testing/metrics-facts.ts'

export interface AlertScene extends MetricsScene {
  readonly name: string
  readonly fires: readonly string[]
  /** Series that change in time, as promtool writes them, ten minutes a step; empty: not there. */
  readonly series?: Readonly<Record<string, string>> | undefined
  /** When it is looked. Default: after 5 hours. */
  readonly endMinutes?: number | undefined
}

const cluster = 'cluster="main"'
const table = `${cluster},database="postgres",table="public.high",tier="high"`
const check = (name: string, state: string) => `retake_check_state{${cluster},check="${name}",state="${state}"}`
const drilled = { ageMs: DAY_MS, depth: 4, rtoMs: HOUR_MS }

/** A check that is in a state from the beginning. */
const inState = (name: string, state: string): Record<string, string> => ({
  [check(name, 'passed')]: '0+0x84',
  [check(name, state)]: '1+0x84',
})

export const scenes: readonly AlertScene[] = [
  { name: 'all is well', fires: [], facts: { drill: drilled } },
  {
    name: 'the database is down',
    fires: ['RetakeDatabaseUnreachable'],
    series: { [`retake_server_up{${cluster}}`]: '0+0x84', ...inState('slot', 'unknown') },
  },
  {
    name: 'the repository is gone: what follows from it is quiet',
    fires: ['RetakeRepositoryUnreachable'],
    series: { [`retake_repo_up{${cluster}}`]: '0+0x84', ...inState('wal', 'unknown') },
  },
  {
    name: 'no backup can be restored',
    fires: ['RetakeNoRestorableBackup'],
    series: { [`retake_backups{${cluster},state="usable"}`]: '0+0x84' },
  },
  {
    name: 'a backup has just failed',
    fires: ['RetakeBackupFailed'],
    series: { [`retake_backup_last_run{${cluster},result="failed"}`]: '0+0x28 1 1' },
  },
  {
    name: 'backups have failed for hours',
    fires: ['RetakeBackupFailed', 'RetakeBackupStillFailing'],
    facts: { lastRun: 'failed' },
  },
  { name: 'a backup of 24 hours ago', fires: [], backups: [backupOf({ stoppedAt: '2026-11-21T12:00:00.000Z' })] },
  {
    name: 'no backup for 26 hours',
    fires: ['RetakeBackupLate'],
    facts: { ageMs: 26 * HOUR_MS },
    backups: [backupOf({ stoppedAt: '2026-11-21T10:00:00.000Z' })],
  },
  {
    name: 'a full backup is old, and an incremental one is not',
    fires: [],
    backups: [
      backupOf({ stoppedAt: '2026-11-15T10:00:00.000Z' }),
      backupOf({ type: 'incremental', stoppedAt: '2026-11-22T10:00:00.000Z' }),
    ],
  },
  {
    name: 'a backup runs for hours',
    fires: [],
    endMinutes: 840,
    series: { [`retake_backup_last_run{${cluster},result="running"}`]: '0+0x24 1+0x59' },
  },
  {
    name: 'a backup never ends',
    fires: ['RetakeBackupNeverEnds'],
    endMinutes: 840,
    series: { [`retake_backup_last_run{${cluster},result="running"}`]: '1+0x84' },
  },
  { name: 'a hole in the WAL', fires: ['RetakePitrUnavailable', 'RetakeWalGap'], facts: { openGaps: 1 } },
  {
    name: 'a hole of the past',
    fires: [],
    measured: { wal: { pastGaps: 1 } },
  },
  { name: 'the WAL is damaged', fires: ['RetakeWalDamaged'], measured: { wal: { damagedObjects: 1 } } },
  {
    name: 'pages with a wrong checksum',
    fires: ['RetakePageChecksum'],
    backups: [backupOf({ corruptBlockCount: 2 })],
  },
  { name: 'most of what may be lost would be', fires: ['RetakeRpoHalfUsed'], facts: { exposureMs: 40_000 } },
  { name: 'more would be lost than may be', fires: ['RetakeRpoExceeded'], facts: { exposureMs: 70_000 } },
  { name: 'nobody knows what would be lost', fires: ['RetakeRpoExceeded'], facts: { exposureMs: undefined } },
  { name: 'nobody receives', fires: ['RetakeReceiverDown'], facts: { receiving: false } },
  {
    name: 'the slot is missing',
    fires: ['RetakePitrUnavailable', 'RetakeSlotLost'],
    facts: { slotExists: false },
  },
  {
    name: 'the slot is lost',
    fires: ['RetakePitrUnavailable', 'RetakeSlotLost'],
    facts: { walStatus: 'lost' },
  },
  {
    name: 'the slot is about to be lost, says PostgreSQL',
    fires: ['RetakePitrUnavailable', 'RetakeSlotNearlyLost'],
    facts: { walStatus: 'unreserved' },
  },
  {
    name: 'the disk of the server fills while nobody receives',
    fires: ['RetakeReceiverDown', 'RetakeSlotFilling'],
    facts: { receiving: false },
    measured: { slot: { hoursLeft: 20 } },
  },
  {
    name: 'and is nearly full',
    fires: ['RetakeReceiverDown', 'RetakeSlotFilling', 'RetakeSlotNearlyLost'],
    facts: { receiving: false },
    measured: { slot: { hoursLeft: 3 } },
  },
  { name: 'little room, and a receiver that fetches', fires: [], measured: { slot: { hoursLeft: 3 } } },
  {
    name: 'a critical table is missing',
    fires: ['RetakeCriticalTableMissing'],
    series: {
      [`retake_critical_table_exists{${table}}`]: '0+0x84',
      [`retake_critical_table_rows{${table}}`]: '',
    },
  },
  {
    name: 'a table of the tier low is missing',
    fires: ['RetakeMinorTableMissing'],
    series: {
      [`retake_critical_table_exists{${cluster},database="postgres",table="public.low",tier="low"}`]: '0+0x84',
    },
  },
  {
    name: 'most rows of a table are gone',
    fires: ['RetakeCriticalTableShrunk'],
    series: { [`retake_critical_table_rows{${table}}`]: '1000+0x25 300+0x13' },
  },
  {
    name: 'some rows of a table are gone, and most of a few',
    fires: [],
    series: {
      [`retake_critical_table_rows{${table}}`]: '1000+0x25 600+0x13',
      [`retake_critical_table_rows{${cluster},database="postgres",table="public.low",tier="low"}`]: '10+0x25 0+0x13',
    },
  },
  {
    name: 'a critical table is emptied by the mass, and one that is not',
    fires: ['RetakeMassDeletion', 'RetakeMassDeletionElsewhere'],
    series: {
      [`retake_mass_deletions{${cluster},kind="mass-delete",table="public.users",tier="high"}`]: '_x25 1+0x13',
      [`retake_mass_deletions{${cluster},kind="truncate",table="public.staging",tier="none"}`]: '_x25 1+0x13',
    },
  },
  {
    name: 'a database is dropped',
    fires: ['RetakeMassDeletion'],
    series: {
      [`retake_mass_deletions{${cluster},kind="drop-database",table="The database app dropped",tier="none"}`]:
        '_x25 1+0x13',
    },
  },
  {
    name: 'a backup is half as large again as those before it',
    fires: ['RetakeBackupSizeAnomaly'],
    series: { [`retake_backup_last_size_bytes{${cluster},backup_type="incremental"}`]: '100+0x26 170+0x3' },
  },
  {
    name: 'a backup is a little larger',
    fires: [],
    series: { [`retake_backup_last_size_bytes{${cluster},backup_type="incremental"}`]: '100+0x26 130+0x3' },
  },
  {
    name: 'configuration was moved out of the data directory',
    fires: ['RetakeCoverageRegressed'],
    endMinutes: 1500,
    series: {
      [`retake_configuration_outside{${cluster}}`]: '0+0x20 1+0x135',
    },
  },
  {
    name: 'configuration always was outside',
    fires: [],
    endMinutes: 1500,
    series: {
      [`retake_configuration_outside{${cluster}}`]: '1+0x155',
    },
  },
  {
    name: 'nothing was verified for too long',
    fires: ['RetakeVerificationOverdue'],
    facts: { quickAgeMs: 9 * DAY_MS, deepAgeMs: 9 * DAY_MS },
  },
  { name: 'a verification found damage', fires: ['RetakeDamageFound'], facts: { damaged: true } },
  { name: 'a drill failed', fires: ['RetakeDrillFailed'], facts: { drillFailed: true } },
  { name: 'drills are overdue', fires: ['RetakeDrillOverdue'], series: inState('drill', 'warning') },
  {
    name: 'a drill took longer than one objective allows',
    fires: ['RetakeRtoMissed'],
    facts: { drill: { ...drilled, rtoMs: 5 * HOUR_MS } },
  },
  { name: 'three days are kept', fires: ['RetakeRetentionShort'], facts: { retentionDays: 3 } },
  { name: 'no recovery kit', fires: ['RetakeKeysNeedCare'], facts: { kits: 0 } },
  { name: 'a copy is not configured', fires: ['RetakeCopyMissing'], series: inState('mirrors', 'danger') },
  { name: 'a copy is behind', fires: ['RetakeCopyBehind'], facts: { copiesFailed: true } },
  {
    name: "Supabase's own backups are late",
    fires: ['RetakeNativeBackupsBad'],
    series: inState('native-backups', 'warning'),
  },
  {
    name: 'Supabase restores the project',
    fires: ['RetakeNativeRestoreRunning'],
    measured: { 'native-backups': { projectStatus: 'RESTORING' } },
  },
  {
    name: 'the disk of the repository fills within days',
    fires: ['RetakeDiskFillsSoon'],
    series: { [`retake_repo_disk_free_bytes{${cluster}}`]: '10000-10x84' },
  },
  {
    name: 'the disk of the repository fills within hours',
    fires: ['RetakeDiskFillsSoon', 'RetakeDiskNearlyFull'],
    series: { [`retake_repo_disk_free_bytes{${cluster}}`]: '10000-100x84' },
  },
  { name: 'the next full backup does not fit', fires: ['RetakeDiskTooSmall'], series: inState('disk', 'danger') },
  { name: 'clocks differ', fires: ['RetakeClockSkew'], series: inState('clock', 'warning') },
  { name: 'a check hangs', fires: ['RetakeCheckUnknown'], series: inState('keys', 'unknown') },
  {
    name: 'nobody knows anything of the repository',
    fires: ['RetakeCheckUnknown', 'RetakeScoreUnknown'],
    facts: { repository: 'unknown' },
    backups: [],
  },
  {
    name: 'the score drops',
    fires: ['RetakeScoreDropped'],
    series: { [`retake_health_score{${cluster}}`]: '90+0x25 70+0x13' },
  },
  {
    name: 'the score drops a little',
    fires: [],
    series: { [`retake_health_score{${cluster}}`]: '90+0x25 81+0x13' },
  },
  {
    name: 'the timer has stopped, and the file stays',
    fires: ['RetakeSilent'],
    series: { [`retake_collection_timestamp_seconds{${cluster}}`]: '0+600x25 15000+0x59' },
  },
  {
    name: 'nothing arrives',
    fires: ['RetakeGone'],
    series: { [`retake_collection_timestamp_seconds{${cluster}}`]: '' },
  },
]
