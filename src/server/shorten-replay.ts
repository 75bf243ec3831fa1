/** Begins an incremental backup when the next recovery would have to replay for too long: once for each newest backup, whoever begins it. */
import type { Kysely } from 'kysely'
import type { Logger } from '../base/progress.ts'
import type { ControlTables } from '../control/database/schema.ts'
import { knownRuns, type RunRequest } from '../control/runs.ts'
import { loadLimits } from '../engine/load/judge-load.ts'
import { isWorthABackup, readReplayDebt } from '../engine/replay-debt.ts'
import { forever } from './forever.ts'
import type { ManagedCluster } from './managed-cluster.ts'
import { readStress } from './stress.ts'
import type { Turns } from './turns.ts'

export interface ShortenReplayOptions {
  readonly db: Kysely<ControlTables>
  readonly signal: AbortSignal
  readonly logger: Logger
  /** Shared by all clusters, because each look lists what the repository holds. */
  readonly turns: Turns
  readonly start: (request: RunRequest) => Promise<void>
}

const LOOK_EVERY_MS = 5 * 60_000
const MINUTE_MS = 60_000
const DEFAULT_MINUTES = 30

export async function keepReplayShort(cluster: ManagedCluster, options: ShortenReplayOptions): Promise<void> {
  const { signal, logger, turns } = options
  await forever(() => turns.take(() => look(cluster, options)), {
    signal,
    everyMs: LOOK_EVERY_MS,
    onError: ({ message, code }) =>
      logger.warn(`How long a recovery of ${cluster.name} would replay is not known: ${message}`, { code }),
  })
}

async function look(cluster: ManagedCluster, { db, signal, logger, start }: ShortenReplayOptions): Promise<void> {
  const retake = await cluster.open()
  const minutes = retake.config.maxReplayMinutes ?? DEFAULT_MINUTES
  // Whoever wants no backups at all has no schedules.
  if (minutes === 0 || retake.config.schedules?.length === 0) return
  const debt = await readReplayDebt(retake)
  if (!debt || !isWorthABackup(debt, minutes * MINUTE_MS)) return
  const id = `${cluster.name}~replay~${debt.backupId}`
  if ((await knownRuns(db, [id])).has(id)) return
  const limits = loadLimits(retake.config.loadGuard)
  const stress = limits ? await readStress(retake, { limits, signal, logger }) : []
  const why = `${Math.ceil(debt.walBytes / 1e6)} MB of WAL since ${debt.backupId} take about ${Math.ceil(debt.replayMs / 1000)} s to replay`
  if (stress.length > 0) {
    logger.info(`${why}; a backup of ${cluster.name} waits, because its server is under stress: ${stress.join(', ')}.`)
    return
  }
  logger.info(`${why}, so an incremental backup of ${cluster.name} begins.`)
  await start({
    id,
    cluster: cluster.name,
    task: 'backup',
    options: { type: 'incremental' },
    startedBy: 'server long replay',
  })
}
