/** Looks at the health of one cluster again and again, and remembers what was seen. */
import type { Kysely } from 'kysely'
import { attempt } from '../base/attempt.ts'
import type { RetakeError } from '../base/errors.ts'
import type { Logger } from '../base/progress.ts'
import { readAlertStates } from '../control/alerts.ts'
import type { ControlTables } from '../control/database/schema.ts'
import { lastLook, recordLook } from '../control/health.ts'
import { keptSchedules, sinceOf } from '../control/schedules.ts'
import { withoutMeant } from '../monitor/alerts/meant.ts'
import type { AlertPolicy } from '../monitor/alerts/policy.ts'
import type { FailedLook } from '../monitor/alerts/rule.ts'
import { type ClusterAlerts, noAlerts } from '../monitor/alerts/state.ts'
import type { Observation } from '../monitor/checks/observation.ts'
import { type HealthReport, lookAtHealth } from '../monitor/read-health.ts'
import { metricsOf } from '../monitor/read-metrics.ts'
import { readAlertPath } from './canaries.ts'
import { forever } from './forever.ts'
import type { ManagedCluster } from './managed-cluster.ts'
import type { Turns } from './turns.ts'

interface LookOptions {
  readonly db: Kysely<ControlTables>
  /** Who is told of what is found: whether that works is a part of the score. */
  readonly policy: AlertPolicy
  readonly signal: AbortSignal
}

export interface LookingOptions extends LookOptions {
  readonly everyMs: number
  readonly logger: Logger
  /** Of the whole server: with many clusters, not all are asked at once. */
  readonly turns: Turns
  /** Told of each report after it is on record, and of each look that came to none. */
  readonly onReport: (report: HealthReport | FailedLook) => Promise<void>
}

/** Of each cluster, so many have metrics of their own: with many clusters the answer to one scrape stays small. */
const MOST_BACKUPS = 10
/** Every check has its own limit; beyond this it is what is around them that hangs. */
const LOOK_LIMIT_MS = 300_000

export async function keepLooking(cluster: ManagedCluster, options: LookingOptions): Promise<void> {
  const { db, policy, everyMs, signal, logger, turns, onReport } = options
  await forever(
    async () => {
      await turns.take(async () => {
        if (signal.aborted) return
        const look = await attempt(async (ends) => onReport(await lookOnce(cluster, { db, policy, signal: ends })), {
          limitMs: LOOK_LIMIT_MS,
          what: 'a look at the cluster',
          hint: 'retake doctor',
          signal,
        })
        if ('value' in look) return
        // Alerts that fire are told on without it: who does not answer is called whether or not there is anything new to see.
        await onReport(failedLook(cluster.name, look.error))
        throw look.error
      })
    },
    {
      signal,
      everyMs,
      onError: ({ message, code }) => logger.warn(`The look at ${cluster.name} failed: ${message}`, { code }),
    },
  )
}

function failedLook(cluster: string, { message, hint }: RetakeError): FailedLook {
  return { cluster, failed: { finding: `The look at it failed: ${message}`, fix: hint ?? 'retake doctor' } }
}

/** What cannot be opened is for the checks to find, so they are given the options then. */
export async function lookOnce(cluster: ManagedCluster, { db, policy, signal }: LookOptions): Promise<HealthReport> {
  const subject = await cluster.open().catch(() => cluster.options)
  const earlier = await lastObservation(db, cluster.name)
  const keptSince = sinceOf(await keptSchedules(db, cluster.name))
  const alertPath = await readAlertPath(db, { policy, now: new Date() })
  const { report: seen, backups, durationMs } = await lookAtHealth(subject, { signal, earlier, alertPath, keptSince })
  // What was observed of a server that cannot be asked now is still what the next look is compared with.
  const report = seen.observation || !earlier ? seen : { ...seen, observation: earlier }
  const metrics = metricsOf({ report, backups, durationMs, limit: MOST_BACKUPS })
  await recordLook(db, { report, metrics })
  return report
}

async function lastObservation(db: Kysely<ControlTables>, cluster: string): Promise<Observation | undefined> {
  const observation = (await lastLook(db, cluster))?.observation
  return observation && withoutMeant(observation, (await readAlertStates<ClusterAlerts>(db, cluster)) ?? noAlerts)
}
