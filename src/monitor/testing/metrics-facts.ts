/** Metrics from a few facts: a cluster in which all is well and everything is known, with what a test changes. */
import type { BackupSummary } from '../../repository/manifest.ts'
import type { Measurements } from '../checks/measurements.ts'
import type { HealthCheckName, HealthCheckResult } from '../checks/result.ts'
import { headlineOf } from '../health/headline.ts'
import { compareObjectives, objectiveTargets } from '../health/objectives.ts'
import { scoreHealth } from '../health/score.ts'
import type { MetricFamily } from '../metrics/families.ts'
import type { HealthReport } from '../read-health.ts'
import { metricsOf } from '../read-metrics.ts'
import { DAY_MS, type Facts, HOUR_MS, inputOf, NOW, perfect } from './health-facts.ts'

type More = { readonly [N in HealthCheckName]?: Partial<Measurements[N]> }

const ago = (ms: number) => new Date(NOW.getTime() - ms).toISOString()

/** What the facts of the score leave out, because it costs no points. */
const known: More = {
  wal: { from: ago(7 * DAY_MS), to: ago(1000) },
  exposure: { behindBytes: 0, caughtUpAt: ago(1000) },
  slot: {
    heldBytes: 16_777_216,
    safeBytes: 1_073_741_824,
    walDirectoryBytes: 100_663_296,
    serverFreeBytes: 10_737_418_240,
    walBytesPerHour: 16_777_216,
    hoursLeft: 64,
  },
  'critical-tables': {
    tables: (['high', 'medium', 'low'] as const).map((tier) => ({
      table: `public.${tier}`,
      tier,
      exists: true,
      rows: 1000,
      bytes: 81_920,
    })),
  },
  'mass-deletions': {
    toLsn: '0/3000000',
    behindBytes: 0,
    incidents: (['high', 'low', undefined] as const).map((tier) => ({
      kind: tier ? 'mass-delete' : 'drop-database',
      what: 'As it was found',
      target: `public.${tier}`,
      tables: tier ? [`public.${tier}`] : [],
      lsn: '0/2000000',
      before: 'before-xid:7',
      seenAt: ago(HOUR_MS),
      ...(tier ? { tier } : {}),
    })),
  },
  verification: { lastAt: ago(HOUR_MS), lastDeepAt: ago(HOUR_MS) },
  keys: { kitProvenAt: ago(DAY_MS) },
  mirrors: { copies: [{ name: 'north', state: 'current', missingObjects: 0, lagMs: 0 }] },
  disk: { freeBytes: 107_374_182_400, totalBytes: 214_748_364_800 },
}

export function backupOf(changes: Partial<BackupSummary> = {}): BackupSummary {
  return {
    backupId: '20261122T085900Z-1f2e3d4c',
    type: 'full',
    cluster: 'main',
    systemIdentifier: '7',
    serverVersionNum: 170_010,
    blockSizeBytes: 8192,
    walSegmentSizeBytes: 16_777_216,
    dataChecksums: true,
    timeline: 1,
    startLsn: '0/3000028',
    stopTimeline: 1,
    stopLsn: '0/3000120',
    startedAt: ago(3 * HOUR_MS + 60_000),
    stoppedAt: ago(3 * HOUR_MS),
    tablespaces: [],
    fileCount: 1000,
    totalBytes: 23_068_672,
    storedBytes: 4_194_304,
    packCount: 1,
    tornBlockCount: 0,
    corruptBlockCount: 0,
    retakeVersion: '1.0.0',
    ...changes,
  }
}

export interface MetricsScene {
  readonly facts?: Partial<Facts> | undefined
  readonly measured?: More | undefined
  readonly cluster?: string | undefined
  readonly backups?: readonly BackupSummary[] | undefined
  readonly limit?: number | undefined
}

export function reportOf({ facts, measured = {}, cluster = 'main' }: MetricsScene = {}): HealthReport {
  const input = inputOf({ ...perfect, ...facts })
  const checks = input.checks.map((check): HealthCheckResult => {
    if (check.measured === undefined) return check
    const more = { ...known[check.name], ...measured[check.name] }
    return { ...check, measured: { ...check.measured, ...more } } as HealthCheckResult
  })
  const complete = { ...input, checks }
  return {
    cluster,
    at: NOW.toISOString(),
    verdict: 'ok',
    score: scoreHealth(complete),
    checks,
    objectives: compareObjectives(complete, objectiveTargets({})),
    headline: headlineOf(complete),
    recommendations: [],
  }
}

export function familiesOf(scene: MetricsScene = {}): MetricFamily[] {
  const { backups = [backupOf()], limit = 100 } = scene
  return metricsOf({ report: reportOf(scene), backups, durationMs: 250, limit })
}
