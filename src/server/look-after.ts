/** Everything that is done for one cluster on the server whose duty it is. */
import type { RunRequest } from '../control/runs.ts'
import { policyOf } from '../monitor/alerts/read-policy.ts'
import type { HealthReport } from '../monitor/read-health.ts'
import { judgeReport } from './alerting.ts'
import { keepLooking } from './looking.ts'
import type { Server } from './parts.ts'
import { keepReceiving } from './receiving.ts'
import { keepSchedules } from './scheduling.ts'
import { keepReplayShort } from './shorten-replay.ts'
import type { Turns } from './turns.ts'

export interface LookAfterOptions {
  readonly name: string
  readonly signal: AbortSignal
  readonly turns: Turns
  readonly onReport?: ((report: HealthReport) => void) | undefined
}

export async function lookAfter(
  { control, clusters, config, logger, startRun }: Server,
  { name, signal, turns, onReport }: LookAfterOptions,
): Promise<void> {
  const cluster = clusters.get(name)
  if (!cluster) return
  const { db } = control
  const policy = policyOf(config.alerts, name)
  const { maintenance } = config.alerts
  const start = async (request: RunRequest) => void (await startRun(request))
  await Promise.all([
    config.receive ? keepReceiving(cluster, { signal, logger }) : undefined,
    keepSchedules(cluster, { db, signal, logger, start }),
    keepReplayShort(cluster, { db, signal, logger, start, turns }),
    keepLooking(cluster, {
      db,
      policy,
      signal,
      logger,
      everyMs: config.checkMs,
      turns,
      onReport: async (report) => {
        if (!('failed' in report)) onReport?.(report)
        await judgeReport(db, { report, policy, maintenance, now: new Date() })
      },
    }),
  ])
}
