/** `retake health`: checks, score, objectives. Gathering is here; every judgement is pure. */
import { retentionPolicy } from '../engine/retention-facts.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import { allChecks } from './checks/all-checks.ts'
import { rememberDisk } from './checks/disk-forecast.ts'
import type { Observation } from './checks/observation.ts'
import { type HealthCheckResult, resultOf } from './checks/result.ts'
import { DEFAULT_CHECK_LIMIT_MS, runChecks } from './checks/run-checks.ts'
import { HealthSources, type HealthSubject } from './checks/sources.ts'
import { rememberTables } from './checks/tables.ts'
import type { BackupHistory } from './health/backup-history.ts'
import { type Headline, headlineOf } from './health/headline.ts'
import { backupHistory } from './health/history.ts'
import type { AlertPath, HealthInput } from './health/input.ts'
import { ALERT_PATH_TARGET_MS, COMPLETION_TARGET_MS, SUCCESS_TARGET } from './health/limits.ts'
import { compareObjectives, type Objective, objectiveTargets } from './health/objectives.ts'
import { type Recommendation, recommend } from './health/recommend.ts'
import { type HealthScore, scoreHealth } from './health/score.ts'

export interface ReadHealthOptions {
  readonly signal?: AbortSignal | undefined
  /** Time limit of a check, ms; those that list the repository have three times as much. Default 10,000. */
  readonly limitMs?: number | undefined
  /** What an earlier report observed: growth and rates, and exactness while nobody works, come from comparing with it. */
  readonly earlier?: Observation | undefined
  /** Since when whoever keeps schedules has kept each, by its name. Default: nobody is known to; proposed ones are then not judged. */
  readonly keptSince?: ReadonlyMap<string, Date> | undefined
  /** Runs that were due and came, from whoever keeps schedules. Default: what became of the configured ones, else what the backups that are held say of one a day. */
  readonly history?: BackupHistory | undefined
  /** Whether notices reach people, from whoever sends them. Default: it is not known. */
  readonly alertPath?: AlertPath | undefined
}

export interface HealthReport {
  readonly cluster: string
  /** ISO 8601 UTC. */
  readonly at: string
  /** `endangered`: a check failed with the severity `danger`. `unknown`: a check, or the score, is unknown. Else `ok`. */
  readonly verdict: 'ok' | 'endangered' | 'unknown'
  readonly score: HealthScore
  readonly checks: readonly HealthCheckResult[]
  readonly objectives: readonly Objective[]
  readonly headline: Headline
  /** What wins most, first. */
  readonly recommendations: readonly Recommendation[]
  /** For `earlier` of the next time; absent when the server could not be asked. */
  readonly observation?: Observation | undefined
}

/** The checks are as young as the report; who stores them says how often they are made. */
const INTERVAL_MS = 300_000

/**
 * Everything about the health of one cluster: each check within its time limit, the score with a reason and a fix for each lost
 * point, and objectives beside what was measured. What is wrong is in the report: it throws only when it is aborted or the
 * configuration cannot be read.
 *
 * ```ts
 * const { score, recommendations } = await readHealth({ repo, keyFile, databaseUrl })
 * console.log(score.value, score.band)
 * for (const { reason, fix } of recommendations) console.log(reason, fix)
 * ```
 * @throws RetakeError `aborted`
 */
export async function readHealth(subject: HealthSubject, options: ReadHealthOptions = {}): Promise<HealthReport> {
  return (await lookAtHealth(subject, options)).report
}

/** The report with what was read for it. */
export interface HealthLook {
  readonly report: HealthReport
  /** Oldest first; undefined when the repository could not tell in time. */
  readonly backups: readonly BackupSummary[] | undefined
  readonly durationMs: number
}

/** @throws RetakeError `aborted` */
export async function lookAtHealth(subject: HealthSubject, options: ReadHealthOptions): Promise<HealthLook> {
  const { limitMs = DEFAULT_CHECK_LIMIT_MS, earlier, keptSince } = options
  const signal = options.signal ?? new AbortController().signal
  await using sources = new HealthSources({
    ...{ subject, earlier, keptSince, signal },
    connectTimeoutMs: Math.ceil(limitMs * 0.8),
  })
  const { clock, config, clusterName } = sources.settings
  const begunMs = clock.monotonicMs()
  const checks = await runChecks(allChecks, sources, { limitMs, signal })
  // Only what a check has waited for is there; nothing is waited for twice.
  const backups = resultOf(checks, 'backup')?.measured && (await sources.holdings()).backups
  const heldDays = retentionPolicy(config).days
  const input: HealthInput = {
    checks,
    history:
      options.history ??
      resultOf(checks, 'schedules')?.measured?.history ??
      (backups && backupHistory(backups, { now: clock.now(), heldDays })),
    alertPath: options.alertPath,
    targets: {
      rtoMs: objectiveTargets(config).rtoApplicationMs,
      completionMs: COMPLETION_TARGET_MS,
      successShare: SUCCESS_TARGET,
      alertPathMs: ALERT_PATH_TARGET_MS,
    },
    now: clock.now(),
    intervalMs: INTERVAL_MS,
  }
  const score = scoreHealth(input)
  const observation = await observe(sources, checks)
  const report: HealthReport = {
    cluster: clusterName,
    at: input.now.toISOString(),
    verdict: verdictOf(checks, score),
    score,
    checks,
    objectives: compareObjectives(input, objectiveTargets(config)),
    headline: headlineOf(input),
    recommendations: recommend(score, checks),
    ...(observation ? { observation } : {}),
  }
  return { report, backups, durationMs: clock.monotonicMs() - begunMs }
}

function verdictOf(checks: readonly HealthCheckResult[], score: HealthScore): HealthReport['verdict'] {
  if (checks.some(({ state, severity }) => state === 'failed' && severity === 'danger')) return 'endangered'
  return score.value === undefined || checks.some(({ state }) => state === 'unknown') ? 'unknown' : 'ok'
}

async function observe(sources: HealthSources, checks: readonly HealthCheckResult[]): Promise<Observation | undefined> {
  if (resultOf(checks, 'connectivity')?.state !== 'passed') return undefined
  const { earlier, settings } = sources
  const { now, database, timeline, nextXid, transactionsOpen, flushLsn, insertLsn } = await sources.moment()
  const known = earlier?.database === database ? earlier.tables : []
  const space = resultOf(checks, 'disk')?.measured
  const at = settings.clock.now().toISOString()
  const disk = space ? rememberDisk(earlier?.disk, { at, ...space }) : earlier?.disk
  const configuration = resultOf(checks, 'configuration')?.measured ?? earlier?.configuration
  const tables = resultOf(checks, 'critical-tables')?.measured?.tables
  const journal = resultOf(checks, 'mass-deletions')?.measured?.bookmark ?? earlier?.journal
  return {
    at: now,
    database,
    nextXid,
    transactionsOpen,
    flushLsn,
    ...(timeline === undefined ? {} : { timeline }),
    ...(insertLsn === undefined ? {} : { insertLsn }),
    // What could not be looked at stays as it was seen.
    tables: tables ? rememberTables(tables, { at: now, earlier: known }) : [...known],
    ...(journal ? { journal } : {}),
    ...(disk ? { disk } : {}),
    ...(configuration ? { configuration } : {}),
  }
}
