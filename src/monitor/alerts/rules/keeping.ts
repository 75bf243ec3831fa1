/** Whether it is proven, kept, and can go on. */
import { formatGiB } from '../../../engine/doctor/check.ts'
import type { Measurements } from '../../checks/measurements.ts'
import type { AlertRule } from '../rule.ts'
import { HOUR_MS, whenFailed, whenMeasured } from '../sightings.ts'
import { NO_REPOSITORY, NO_SERVER, rule } from './make-rule.ts'

export const keepingRules: readonly AlertRule[] = [
  rule({
    name: 'damage-found',
    title: 'a verification found damage',
    severity: 'critical',
    forMinutes: 1,
    inhibitedBy: NO_REPOSITORY,
    effect:
      'What is damaged cannot be restored, unless a copy of the repository has it. A full backup now protects what comes.',
    checks: ['verification'],
    look: whenFailed('verification', 'danger'),
  }),
  rule({
    name: 'verification-overdue',
    title: 'what is stored was not verified for too long',
    severity: 'warning',
    forMinutes: 60,
    inhibitedBy: NO_REPOSITORY,
    effect: 'None passed, or the last one is older than verifyMaxAgeDays: damage would be found only by a restore.',
    checks: ['verification'],
    look: whenFailed('verification', 'warning'),
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
    name: 'native-restore-running',
    title: 'Supabase restores the project',
    severity: 'critical',
    forMinutes: 0,
    effect:
      'What the project holds is replaced: its users are cut off, and what was written after the moment that it goes back to is only in what Retake holds.',
    checks: ['native-backups'],
    look: whenMeasured('native-backups', ({ projectStatus }) => projectStatus === 'RESTORING'),
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
    name: 'disk-fills-soon',
    title: 'the disk of the repository is full within 14 days',
    severity: 'warning',
    forMinutes: 60,
    keepFiringMs: HOUR_MS,
    inhibitedBy: ['disk-nearly-full'],
    effect: 'When it is full, no backup is made and no WAL is received.',
    checks: ['disk'],
    look: whenMeasured('disk', (measured) => fillsWithin(measured, 14)),
  }),
  rule({
    name: 'disk-nearly-full',
    title: 'the disk of the repository is full within 3 days',
    severity: 'critical',
    forMinutes: 60,
    keepFiringMs: HOUR_MS,
    effect: 'Then no backup is made and no WAL is received.',
    checks: ['disk'],
    look: whenMeasured('disk', (measured) => fillsWithin(measured, 3)),
  }),
  rule({
    name: 'coverage-regressed',
    title: 'configuration now lies where no backup reaches',
    severity: 'warning',
    forMinutes: 10,
    endsWithAcknowledgement: true,
    inhibitedBy: NO_SERVER,
    effect: 'A restored server would come up without it. Before, all files were in the data directory.',
    checks: ['configuration'],
    look: whenMeasured('configuration', ({ outsideSince }) =>
      outsideSince === undefined ? false : { newestAt: outsideSince },
    ),
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

/** Undefined, which is unknown, while it was not watched for long enough. */
function fillsWithin({ freeBytes, forecast }: Measurements['disk'], days: number) {
  if (!forecast) return undefined
  const { daysLeft, growthBytesPerDay, watchedMs } = forecast
  if (daysLeft === undefined || daysLeft >= days) return false
  const watched = `${(watchedMs / (24 * HOUR_MS)).toFixed(1)} days`
  return {
    finding: `It is full in ${daysLeft.toFixed(1)} days: ${formatGiB(freeBytes)} are free, and ${formatGiB(growthBytesPerDay)} more are used each day, as in the last ${watched}.`,
    fix: 'retake prune --dry-run   # what could be given up; else give the repository more room',
  }
}
