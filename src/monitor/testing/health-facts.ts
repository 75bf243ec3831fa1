/** Inputs of the score from a few facts: as good as can be, with what a test changes. */
import type { Tier } from '../../engine/config-options.ts'
import type { Measurements } from '../checks/measurements.ts'
import type { HealthCheckName, HealthCheckResult, HealthCheckState, Severity } from '../checks/result.ts'
import type { HealthInput } from '../health/input.ts'
import { ALERT_PATH_TARGET_MS, COMPLETION_TARGET_MS, DRILL_INTERVAL_MS, SUCCESS_TARGET } from '../health/limits.ts'

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
export const NOW = new Date('2026-11-22T12:00:00.000Z')

export interface Facts {
  readonly repository: HealthCheckState
  readonly backups: number
  readonly usable: number
  readonly ageMs: number
  readonly durationMs: number
  readonly lastRun: 'succeeded' | 'failed'
  readonly exposureMs: number | undefined
  readonly openGaps: number
  readonly recoverableShare: number
  readonly slotExists: boolean
  readonly walStatus: string
  readonly receiving: boolean
  readonly missing: readonly Tier[]
  readonly tablesExpected: boolean
  readonly quickAgeMs: number
  readonly deepAgeMs: number
  /** A verification has found damage. */
  readonly damaged: boolean
  readonly drill: { readonly ageMs: number; readonly depth: number; readonly rtoMs: number } | undefined
  readonly drillFailed: boolean
  readonly retentionDays: number
  readonly kept: boolean
  readonly kits: number
  readonly kitAgeMs: number | undefined
  readonly kitDepth: 'sample' | 'full'
  readonly lacks: number
  readonly copiesFailed: boolean
  readonly outside: boolean
  readonly slots: number
  readonly isLate: boolean
  readonly missed: number
  readonly alertAgeMs: number | undefined
  /** Checks that did not come to an end. */
  readonly unknown: readonly HealthCheckName[]
}

export const perfect: Facts = {
  repository: 'passed',
  backups: 7,
  usable: 7,
  ageMs: 3 * HOUR_MS,
  durationMs: 60_000,
  lastRun: 'succeeded',
  exposureMs: 0,
  openGaps: 0,
  recoverableShare: 1,
  slotExists: true,
  walStatus: 'reserved',
  receiving: true,
  missing: [],
  tablesExpected: true,
  quickAgeMs: HOUR_MS,
  deepAgeMs: HOUR_MS,
  damaged: false,
  drill: { ageMs: DAY_MS, depth: 4, rtoMs: HOUR_MS },
  drillFailed: false,
  retentionDays: 7,
  kept: true,
  kits: 1,
  kitAgeMs: DAY_MS,
  kitDepth: 'sample',
  lacks: 0,
  copiesFailed: false,
  outside: false,
  slots: 7,
  isLate: false,
  missed: 0,
  alertAgeMs: HOUR_MS,
  unknown: [],
}

const ago = (ms: number) => new Date(NOW.getTime() - ms).toISOString()

interface Found<N extends HealthCheckName> {
  readonly state: HealthCheckState
  readonly severity?: Severity
  readonly measured?: Measurements[N]
}

export function inputOf(facts: Facts): HealthInput {
  const checks: HealthCheckResult[] = []
  const add = <N extends HealthCheckName>(name: N, found: Found<N>) => {
    const unknown = facts.unknown.includes(name) || (facts.repository !== 'passed' && FROM_REPOSITORY.has(name))
    const common = {
      name,
      title: name,
      at: NOW.toISOString(),
      durationMs: 1,
      finding: `${name} found this`,
      fix: `fix ${name}`,
    }
    checks.push((unknown ? { ...common, state: 'unknown' } : { ...common, ...found }) as HealthCheckResult)
  }
  addNow(facts, add)
  addKept(facts, add)
  return {
    checks,
    history: {
      slots: facts.slots,
      missed: facts.missed,
      isLate: facts.missed > 0 && facts.isLate,
      since: ago(7 * DAY_MS),
      observedMs: 7 * DAY_MS,
    },
    alertPath: facts.alertAgeMs === undefined ? undefined : { provenAt: ago(facts.alertAgeMs) },
    targets: {
      rtoMs: 8 * HOUR_MS,
      completionMs: COMPLETION_TARGET_MS,
      successShare: SUCCESS_TARGET,
      alertPathMs: ALERT_PATH_TARGET_MS,
    },
    now: NOW,
    intervalMs: 300_000,
  }
}

const FROM_REPOSITORY: ReadonlySet<HealthCheckName> = new Set([
  'backup',
  'wal',
  'exposure',
  'mass-deletions',
  'verification',
  'retention',
  'keys',
  'mirrors',
])

type Add = <N extends HealthCheckName>(name: N, found: Found<N>) => void

const stateOf = (isGood: boolean, severity: Severity = 'danger'): { state: HealthCheckState; severity?: Severity } =>
  isGood ? { state: 'passed' } : { state: 'failed', severity }

function addNow(facts: Facts, add: Add): void {
  const { exposureMs, receiving, missing } = facts
  const connection = { latencyMs: 1, connectMs: 5, serverVersionNum: 170_000, database: 'postgres', inRecovery: false }
  add('connectivity', { state: 'passed', measured: connection })
  const url = '/var/lib/retake'
  add('repository', { state: facts.repository, measured: { url, repositoryId: '1', openMs: 9 } })
  const stoppedAt = ago(facts.ageMs)
  const last = {
    backupId: 'b',
    type: 'full',
    startedAt: stoppedAt,
    stoppedAt,
    storedBytes: 1,
    corruptBlocks: 0,
  } as const
  add('backup', {
    ...stateOf(facts.usable > 0 && facts.ageMs <= 25 * HOUR_MS),
    measured: {
      count: facts.backups,
      usable: facts.usable,
      unusable: [],
      failedRuns: [],
      maxAgeMs: 25 * HOUR_MS,
      lastRun: facts.lastRun,
      ...(facts.backups > 0 ? { last: { ...last, durationMs: facts.durationMs }, ageMs: facts.ageMs } : {}),
    },
  })
  const { openGaps, recoverableShare } = facts
  add('wal', {
    ...stateOf(openGaps === 0),
    measured: {
      windows: 1,
      openGaps,
      pastGaps: 0,
      damagedObjects: 0,
      stretches: [],
      recoverableShare,
      observedMs: DAY_MS,
    },
  })
  add('exposure', {
    ...stateOf(exposureMs !== undefined && exposureMs <= 60_000),
    measured: { state: 'behind', targetMs: 60_000, ...(exposureMs === undefined ? {} : { exposureMs }) },
  })
  const { slotExists, walStatus } = facts
  add('slot', {
    ...stateOf(slotExists && walStatus === 'reserved'),
    measured: {
      slot: 'retake_main',
      exists: slotExists,
      active: receiving,
      keepsUp: receiving,
      walStatus,
      receiver: receiving,
    },
  })
  add('critical-tables', {
    ...(facts.tablesExpected ? stateOf(missing.length === 0) : { state: 'skipped' }),
    measured: {
      database: 'postgres',
      expectedBy: facts.tablesExpected ? 'cinetrack' : 'nobody',
      tables: [],
      missing: missing.map((tier, index) => ({ table: `public.t${index}`, tier })),
      shrunk: [],
    },
  })
  const bookmark = { readAt: ago(1), timeline: 1, lsn: '0/1', resumeLsn: '0/1', habits: {}, habitsSince: ago(1) }
  add('mass-deletions', {
    state: 'passed',
    measured: { toLsn: '0/1', behindBytes: 0, incidents: [], bookmark: { ...bookmark, incidents: [] } },
  })
}

function addKept(facts: Facts, add: Add): void {
  const { drill, kits, kitAgeMs, retentionDays } = facts
  add('verification', {
    ...(facts.damaged ? stateOf(false) : stateOf(facts.quickAgeMs <= 7 * DAY_MS, 'warning')),
    measured: {
      ageMs: Math.min(facts.quickAgeMs, facts.deepAgeMs),
      deepAgeMs: facts.deepAgeMs,
      maxAgeMs: 7 * DAY_MS,
      verifiedBackups: 1,
      lastBackupVerified: true,
      ...(facts.damaged ? { damage: { at: ago(HOUR_MS), errors: 1, lostBackups: [] } } : {}),
    },
  })
  if (!drill && !facts.drillFailed) add('drill', { state: 'skipped' })
  else {
    add('drill', {
      ...stateOf(!facts.drillFailed),
      measured: {
        lastAt: ago(HOUR_MS),
        lastOutcome: facts.drillFailed ? 'failed' : 'passed',
        intervalMs: DRILL_INTERVAL_MS,
        counted: 4,
        succeeded: facts.drillFailed ? 3 : 4,
        ...(drill ? { rpoMs: 1000 } : {}),
        ...(drill ? { passedAt: ago(drill.ageMs), ...drill } : {}),
      },
    })
  }
  add('retention', {
    ...stateOf(retentionDays >= 7 && facts.kept, 'warning'),
    measured: { days: retentionDays, walDays: retentionDays, targetDays: 7, heldMs: DAY_MS, kept: facts.kept },
  })
  add('keys', {
    ...stateOf(kits > 0 && kitAgeMs !== undefined, 'warning'),
    measured: {
      good: 2,
      broken: 0,
      kits,
      due: 0,
      kitProofDepth: facts.kitDepth,
      ...(kitAgeMs === undefined ? {} : { kitProvenAt: ago(kitAgeMs), kitProofAgeMs: kitAgeMs }),
    },
  })
  add('mirrors', {
    ...stateOf(!facts.copiesFailed, 'warning'),
    measured: { copies: [], missing: (['copies', 'places', 'offsite'] as const).slice(0, facts.lacks) },
  })
  add('native-backups', {
    state: 'passed',
    measured: {
      project: 'abcdefghijklmnopqrst',
      projectStatus: 'ACTIVE_HEALTHY',
      pitr: true,
      count: 0,
      failed: 0,
      from: ago(7 * DAY_MS),
      to: ago(HOUR_MS),
      ageMs: HOUR_MS,
      maxAgeMs: 25 * HOUR_MS,
      retentionDays: 7,
      coveredBy: 'both',
    },
  })
  add('disk', { state: 'passed', measured: { freeBytes: 1, totalBytes: 1 } })
  add('clock', { state: 'passed', measured: { offsetMs: 0, uncertaintyMs: 0 } })
  add('configuration', { ...stateOf(!facts.outside, 'warning'), measured: { outside: facts.outside } })
}
