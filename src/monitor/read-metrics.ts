/** `retake metrics`: what a look at the health has found, as metrics. It reads nothing besides. */
import { retakeVersion } from '../base/version.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import type { Observation } from './checks/observation.ts'
import type { HealthSubject } from './checks/sources.ts'
import { type MetricFamily, metricsWriter } from './metrics/families.ts'
import { putBackups } from './metrics/from-backups.ts'
import { putHealth } from './metrics/from-health.ts'
import { type HealthReport, lookAtHealth, type ReadHealthOptions } from './read-health.ts'

export interface ReadMetricsOptions extends ReadHealthOptions {
  /** At most so many backups have metrics of their own, the newest; the counts are of all. Default 100. */
  readonly backups?: number | undefined
}

export interface MetricsReport {
  readonly cluster: string
  /** When collecting ended, ISO 8601 UTC. */
  readonly at: string
  readonly durationMs: number
  readonly verdict: HealthReport['verdict']
  readonly families: readonly MetricFamily[]
  /** For `earlier` of the next time; absent when the server could not be asked. */
  readonly observation?: Observation | undefined
}

export const DEFAULT_METRICS_BACKUPS = 100

/**
 * The metrics of one cluster, for `renderMetrics`. As {@link readHealth}, it throws only when it is aborted or the configuration
 * cannot be read: a server or a repository that is gone is a value of its own, and what depended on it is absent.
 *
 * ```ts
 * const text = renderMetrics(await readMetrics({ repo, keyFile, databaseUrl }))
 * ```
 * @throws RetakeError `aborted`
 */
export async function readMetrics(subject: HealthSubject, options: ReadMetricsOptions = {}): Promise<MetricsReport> {
  const { backups: limit = DEFAULT_METRICS_BACKUPS, ...healthOptions } = options
  const { report, backups, durationMs } = await lookAtHealth(subject, healthOptions)
  return {
    cluster: report.cluster,
    at: report.at,
    durationMs,
    verdict: report.verdict,
    families: metricsOf({ report, backups, durationMs, limit }),
    ...(report.observation ? { observation: report.observation } : {}),
  }
}

export interface MetricsFacts {
  readonly report: HealthReport
  /** Oldest first; undefined: not known. */
  readonly backups: readonly BackupSummary[] | undefined
  readonly durationMs: number
  readonly limit: number
}

/** The metrics of what is known. Pure. */
export function metricsOf({ report, backups, durationMs, limit }: MetricsFacts): MetricFamily[] {
  const writer = metricsWriter(report.cluster)
  const now = new Date(report.at)
  writer.putLabelled('retake_build_info', { version: retakeVersion() }, 1)
  writer.put('retake_collection_timestamp_seconds', now.getTime() / 1000)
  writer.put('retake_collection_duration_seconds', durationMs / 1000)
  putHealth(writer, report)
  if (backups) putBackups(writer, backups, { now, limit })
  return writer.families()
}
