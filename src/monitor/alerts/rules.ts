/** Every rule, by what it watches. A rule of the same name in `monitoring/retake.rules.yaml` is meant for who has Prometheus instead. */
import { resultOf } from '../checks/result.ts'
import type { AlertRule } from './rule.ts'
import { eachMeasured, HOUR_MS, isBelow, MINUTE_MS, unknownSighting, whenFailed, whenMeasured } from './sightings.ts'

type Facts = Pick<AlertRule, 'name' | 'title' | 'severity' | 'effect' | 'checks' | 'look'> &
  Partial<Pick<AlertRule, 'keepFiringMs' | 'inhibitedBy'>> & { readonly forMinutes: number }

const rule = ({ forMinutes, keepFiringMs = 5 * MINUTE_MS, inhibitedBy = [], ...facts }: Facts): AlertRule => ({
  ...facts,
  forMs: forMinutes * MINUTE_MS,
  keepFiringMs,
  inhibitedBy,
})

/** Without these nothing else can be known, or follows from it. */
const NO_SERVER = ['database-unreachable']
const NO_REPOSITORY = ['repository-unreachable']

/** What would be lost now, and whether anything can be recovered. */
const recovery: readonly AlertRule[] = [
  rule({
    name: 'database-unreachable',
    title: 'the database does not answer',
    severity: 'critical',
    forMinutes: 2,
    effect: 'Nothing new is protected, and whoever uses the database cannot.',
    checks: ['connectivity'],
    look: whenFailed('connectivity'),
  }),
  rule({
    name: 'repository-unreachable',
    title: 'the repository cannot be opened',
    severity: 'critical',
    forMinutes: 5,
    effect:
      'No backup is made and none can be restored until it is back. The server keeps WAL for as long as its slot may.',
    checks: ['repository'],
    look: whenFailed('repository'),
  }),
  rule({
    name: 'no-restorable-backup',
    title: 'nothing can be restored',
    severity: 'critical',
    forMinutes: 30,
    inhibitedBy: NO_REPOSITORY,
    effect: 'There is no backup, or none whose WAL is held.',
    checks: ['backup'],
    look: whenMeasured('backup', ({ usable }) => usable === 0),
  }),
  rule({
    name: 'pitr-unavailable',
    title: 'point-in-time recovery is not available',
    severity: 'critical',
    forMinutes: 5,
    inhibitedBy: NO_REPOSITORY,
    effect: 'The WAL has a hole or is damaged, or there is no window: moments of now cannot be restored.',
    checks: ['wal'],
    look: whenMeasured(
      'wal',
      ({ windows, openGaps, damagedObjects }) => windows === 0 || openGaps > 0 || damagedObjects > 0,
    ),
  }),
  rule({
    name: 'rpo-exceeded',
    title: 'more would be lost now than was promised',
    severity: 'critical',
    forMinutes: 5,
    inhibitedBy: NO_REPOSITORY,
    effect:
      'If the server vanished now, more work would be lost than rpoTargetSeconds allows, or nobody knows how much.',
    checks: ['exposure'],
    look: whenFailed('exposure', 'danger'),
  }),
  rule({
    name: 'rpo-half-used',
    title: 'half of what may be lost would be lost now',
    severity: 'warning',
    forMinutes: 5,
    inhibitedBy: [...NO_REPOSITORY, ...NO_SERVER, 'rpo-exceeded'],
    effect: 'WAL is received too slowly, or by nobody.',
    checks: ['exposure'],
    look: whenMeasured('exposure', ({ exposureMs, targetMs }) =>
      exposureMs === undefined ? undefined : exposureMs > targetMs / 2,
    ),
  }),
  rule({
    name: 'receiver-down',
    title: 'nobody receives WAL',
    severity: 'warning',
    forMinutes: 5,
    inhibitedBy: [...NO_REPOSITORY, ...NO_SERVER],
    effect: 'What is committed from now on exists only on the server, which keeps its WAL for as long as the slot may.',
    checks: ['slot'],
    look: whenMeasured('slot', ({ receiver }) => (receiver === undefined ? undefined : !receiver)),
  }),
  rule({
    name: 'slot-lost',
    title: 'the slot is missing or lost',
    severity: 'critical',
    forMinutes: 2,
    inhibitedBy: NO_SERVER,
    effect: 'The server keeps no WAL for us: the moments from now on may get a hole.',
    checks: ['slot'],
    look: whenMeasured('slot', ({ exists, walStatus }) => !exists || walStatus === 'lost'),
  }),
  rule({
    name: 'slot-nearly-lost',
    title: 'the slot is about to be lost',
    severity: 'critical',
    forMinutes: 5,
    inhibitedBy: [...NO_SERVER, 'slot-lost'],
    effect: 'Less than 4 hours are left, or PostgreSQL may already remove WAL that nobody has fetched.',
    checks: ['slot'],
    look: whenMeasured(
      'slot',
      ({ active, hoursLeft, walStatus }) => walStatus === 'unreserved' || (!active && isBelow(hoursLeft, 4)),
    ),
  }),
  rule({
    name: 'slot-filling',
    title: 'the slot is lost, or the disk of the server full, within a day',
    severity: 'warning',
    forMinutes: 15,
    inhibitedBy: [...NO_SERVER, 'slot-nearly-lost', 'slot-lost'],
    effect: 'Nobody receives, so the server keeps all WAL since then.',
    checks: ['slot'],
    look: whenMeasured('slot', ({ active, hoursLeft }) => !active && isBelow(hoursLeft, 24)),
  }),
]

/** Whether backups come. */
const backups: readonly AlertRule[] = [
  rule({
    name: 'backup-failed',
    title: 'the last backup failed',
    severity: 'warning',
    forMinutes: 5,
    inhibitedBy: [...NO_REPOSITORY, ...NO_SERVER, 'backup-still-failing'],
    effect: 'It left no backup. The one before it can still be restored, with the WAL since then.',
    checks: ['backup'],
    look: whenMeasured('backup', ({ lastRun }) => lastRun === 'failed'),
  }),
  rule({
    name: 'backup-still-failing',
    title: 'no backup has succeeded for 4 hours since one failed',
    severity: 'critical',
    forMinutes: 240,
    effect: 'Each hour without one makes recovery longer, and in the end retention gives up what there is.',
    checks: ['backup'],
    look: whenMeasured('backup', ({ lastRun }) => lastRun === 'failed'),
  }),
  rule({
    name: 'backup-late',
    title: 'the last backup is too old',
    severity: 'critical',
    forMinutes: 5,
    inhibitedBy: NO_REPOSITORY,
    effect: 'It is older than backupMaxAgeHours (25 unless configured), so recovery takes longer than planned.',
    checks: ['backup'],
    look: whenMeasured('backup', ({ ageMs, maxAgeMs }) => ageMs !== undefined && ageMs > maxAgeMs),
  }),
  rule({
    name: 'backup-never-ends',
    title: 'a backup has been running for 12 hours',
    severity: 'critical',
    forMinutes: 720,
    effect: 'It hangs, or the cluster has outgrown its way of being read.',
    checks: ['backup'],
    look: whenMeasured('backup', ({ lastRun }) => lastRun === 'running'),
  }),
  rule({
    name: 'schedule-missed',
    title: 'what was due did not come',
    severity: 'critical',
    forMinutes: 5,
    inhibitedBy: [...NO_REPOSITORY, ...NO_SERVER],
    effect: 'A run is late, failed or was missed; each one that does not come makes recovery slower or less certain.',
    checks: ['schedules'],
    look: eachMeasured(
      'schedules',
      ({ missed }) =>
        missed.map(({ schedule, task, outcome, at }) => ({
          target: schedule,
          finding: `The ${task} "${schedule}" that was due at ${at} is ${outcome}.`,
          fix: 'retake schedules',
        })),
      (measured) => measured.unknown,
    ),
  }),
]

/** What the application needs. */
const tables: readonly AlertRule[] = [
  rule({
    name: 'critical-table-missing',
    title: 'a critical table is missing',
    severity: 'critical',
    forMinutes: 2,
    inhibitedBy: NO_SERVER,
    effect:
      'The application does not work without it. Choose a moment just before the loss; the plan says what it brings back.',
    checks: ['critical-tables'],
    look: eachMeasured('critical-tables', ({ missing }) =>
      missing.filter(({ tier }) => tier !== 'low').map(({ table, tier }) => missingTable(table, tier)),
    ),
  }),
  rule({
    name: 'minor-table-missing',
    title: 'a table of the tier low is missing',
    severity: 'warning',
    forMinutes: 2,
    inhibitedBy: NO_SERVER,
    effect: 'Choose a moment just before the loss; the plan says what it brings back.',
    checks: ['critical-tables'],
    look: eachMeasured('critical-tables', ({ missing }) =>
      missing.filter(({ tier }) => tier === 'low').map(({ table, tier }) => missingTable(table, tier)),
    ),
  }),
  rule({
    name: 'critical-table-shrunk',
    title: 'a critical table has lost most of its rows',
    severity: 'warning',
    forMinutes: 0,
    keepFiringMs: HOUR_MS,
    inhibitedBy: NO_SERVER,
    effect: 'A mass deletion: the moment just before it is in the recovery window for as long as retention keeps it.',
    checks: ['critical-tables'],
    look: eachMeasured('critical-tables', ({ shrunk }) =>
      shrunk.map((table) => ({
        target: table,
        finding: `The table ${table} has lost all or most of its rows since the look before.`,
        fix: 'retake restore plan --at TIME_BEFORE --to DIR',
      })),
    ),
  }),
]

function missingTable(table: string, tier: string) {
  return {
    target: table,
    finding: `The table ${table} (${tier}) does not exist.`,
    fix: 'retake restore plan --at TIME_BEFORE --to DIR',
  }
}

/** Whether it is proven, kept, and can go on. */
const keeping: readonly AlertRule[] = [
  rule({
    name: 'verification-overdue',
    title: 'what is stored was not verified for too long',
    severity: 'warning',
    forMinutes: 60,
    inhibitedBy: NO_REPOSITORY,
    effect: 'None passed, or the last one is older than verifyMaxAgeDays: damage would be found only by a restore.',
    checks: ['verification'],
    look: whenFailed('verification'),
  }),
  rule({
    name: 'drill-failed',
    title: 'the last rehearsed recovery failed',
    severity: 'critical',
    forMinutes: 1,
    effect: 'Until one passes, nobody knows whether a recovery works.',
    checks: ['drill'],
    look: whenFailed('drill', 'danger'),
  }),
  rule({
    name: 'drill-overdue',
    title: 'recovery was not rehearsed for too long',
    severity: 'warning',
    forMinutes: 60,
    effect: 'How long a recovery takes, and whether it works, is known only from the last rehearsal.',
    checks: ['drill'],
    look: whenFailed('drill', 'warning'),
  }),
  rule({
    name: 'rto-missed',
    title: 'recovery takes longer than promised',
    severity: 'warning',
    forMinutes: 60,
    effect: 'As measured in the last rehearsal that passed.',
    checks: ['drill'],
    look: ({ objectives }) =>
      objectives
        .filter(({ kind }) => kind === 'rto')
        .map(({ name, state, finding }) => ({
          target: name,
          state: state === 'missed' ? 'firing' : state === 'met' ? 'clear' : 'unknown',
          finding,
          fix: 'retake health',
        })),
  }),
  rule({
    name: 'retention-short',
    title: 'less is kept than is needed or promised',
    severity: 'warning',
    forMinutes: 60,
    inhibitedBy: NO_REPOSITORY,
    effect: 'A mistake that is noticed later than that cannot be taken back.',
    checks: ['retention'],
    look: whenFailed('retention'),
  }),
  rule({
    name: 'keys-need-care',
    title: 'a key or the recovery kit needs care',
    severity: 'warning',
    forMinutes: 60,
    inhibitedBy: NO_REPOSITORY,
    effect: 'With the keys lost, every backup is lost.',
    checks: ['keys'],
    look: whenFailed('keys'),
  }),
  rule({
    name: 'copy-missing',
    title: 'a copy of the repository is not configured here',
    severity: 'critical',
    forMinutes: 5,
    inhibitedBy: NO_REPOSITORY,
    effect: 'Nothing can be written to the repository.',
    checks: ['mirrors'],
    look: whenFailed('mirrors', 'danger'),
  }),
  rule({
    name: 'copy-behind',
    title: 'a copy of the repository is unreachable or behind',
    severity: 'warning',
    forMinutes: 60,
    inhibitedBy: NO_REPOSITORY,
    effect: 'If the primary place were lost now, the copy would not bring everything back.',
    checks: ['mirrors'],
    look: whenFailed('mirrors', 'warning'),
  }),
  rule({
    name: 'native-backups-bad',
    title: 'the backups that Supabase itself makes are not as they should be',
    severity: 'warning',
    forMinutes: 60,
    effect: 'They are late, failed or absent, or the project is paused. What Retake holds does not depend on them.',
    checks: ['native-backups'],
    look: whenFailed('native-backups'),
  }),
  rule({
    name: 'disk-low',
    title: 'the disk of the repository has little room left',
    severity: 'warning',
    forMinutes: 10,
    effect: 'The next full backups may not fit; when it is full, no backup is made and no WAL is received.',
    checks: ['disk'],
    look: whenFailed('disk'),
  }),
  rule({
    name: 'clock-skew',
    title: 'the clocks of the server and of this machine differ',
    severity: 'warning',
    forMinutes: 10,
    inhibitedBy: NO_SERVER,
    effect: 'Moments are those of the clock of the server; ages are misjudged by the difference.',
    checks: ['clock'],
    look: whenFailed('clock'),
  }),
]

/** What could not be found out. */
const knowing: readonly AlertRule[] = [
  rule({
    name: 'check-unknown',
    title: 'a check comes to no result',
    severity: 'warning',
    forMinutes: 30,
    inhibitedBy: [...NO_REPOSITORY, ...NO_SERVER],
    effect: 'What is unknown is not well. The finding says what stopped it.',
    checks: [],
    look: ({ checks }) =>
      checks.map(({ name, title, state, finding, fix }) => ({
        target: name,
        state: state === 'unknown' ? 'firing' : 'clear',
        finding: `${title}: ${finding}`,
        fix: fix ?? 'retake health',
      })),
  }),
  rule({
    name: 'score-unknown',
    title: 'nobody knows how well it is protected',
    severity: 'warning',
    forMinutes: 30,
    inhibitedBy: [...NO_REPOSITORY, ...NO_SERVER],
    effect: 'Too little could be found out for a score.',
    checks: ['repository', 'backup'],
    look: ({ score, checks }) => [
      score.value === undefined
        ? { ...unknownSighting(resultOf(checks, 'repository')), state: 'firing', finding: score.unknownBecause ?? '' }
        : { target: '', state: 'clear', finding: '', fix: '' },
    ],
  }),
]

export const alertRules: readonly AlertRule[] = [...recovery, ...backups, ...tables, ...keeping, ...knowing]
