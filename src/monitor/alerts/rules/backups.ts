/** Whether backups come. */

import { formatGiB } from '../../../engine/doctor/check.ts'
import type { AlertRule } from '../rule.ts'
import { eachMeasured, whenMeasured } from '../sightings.ts'
import { NO_REPOSITORY, NO_SERVER, rule } from './make-rule.ts'

export const backupRules: readonly AlertRule[] = [
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
    name: 'page-checksum',
    title: 'the server has pages with a wrong checksum',
    severity: 'critical',
    forMinutes: 1,
    inhibitedBy: NO_REPOSITORY,
    effect:
      'The last backup holds them as they are; what was in them may be lost. Earlier backups may have them whole.',
    checks: ['backup'],
    look: whenMeasured('backup', ({ last }) =>
      last !== undefined && last.corruptBlocks > 0
        ? {
            finding: `The backup ${last.backupId} met ${last.corruptBlocks} pages whose checksum is wrong on the server.`,
            fix: 'retake backups   # then look at the disk of the server, and restore the tables concerned from an earlier backup',
          }
        : false,
    ),
  }),
  rule({
    name: 'backup-size-anomaly',
    title: 'the last backup has an unusual size',
    severity: 'warning',
    forMinutes: 10,
    endsWithAcknowledgement: true,
    inhibitedBy: NO_REPOSITORY,
    effect: 'A mass deletion or a load that ran away; the backups before it hold what was there.',
    checks: ['backup'],
    look: whenMeasured('backup', ({ size }) => {
      // With too few to compare it with, no size is unusual.
      if (size?.unusualSince === undefined) return false
      const { totalBytes, medianBytes, before, unusualSince } = size
      return {
        finding: `It restores to ${formatGiB(totalBytes)}; usual was ${formatGiB(medianBytes)} (the median of ${before} backups before it).`,
        fix: 'retake backups',
        newestAt: unusualSince,
      }
    }),
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
