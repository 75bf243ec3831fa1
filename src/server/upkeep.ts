/** Forgets what is old in the control database: once a day, by one of the servers. */
import type { Kysely } from 'kysely'
import type { Logger } from '../base/progress.ts'
import type { ControlTables } from '../control/database/schema.ts'
import type { RunRequest } from '../control/runs.ts'
import { claimChore, forgetRuns, forgetTold, thinScores, WORKFLOWS_KEPT_MS } from '../control/upkeep.ts'
import type { Workflows } from '../control/workflows/durable.ts'
import { forever } from './forever.ts'

export interface UpkeepOptions {
  readonly db: Kysely<ControlTables>
  readonly workflows: Pick<Workflows<RunRequest>, 'forget'>
  readonly logger: Logger
  readonly signal: AbortSignal
}

const LOOK_EVERY_MS = 10 * 60_000
const DAY_MS = 86_400_000

export async function keepTidy(options: UpkeepOptions): Promise<void> {
  const { db, logger, signal } = options
  await forever(
    async () => {
      if (await claimChore(db, { name: 'upkeep', everyMs: DAY_MS })) await tidyUp(options)
    },
    {
      signal,
      everyMs: LOOK_EVERY_MS,
      onError: ({ message }) => logger.warn(`Old entries could not be taken out of the control database: ${message}`),
    },
  )
}

async function tidyUp({ db, workflows, logger }: UpkeepOptions): Promise<void> {
  const now = new Date()
  // Before their runs, which are remembered for longer: whoever asks for the same again finds both, or the run alone.
  const forgotten = {
    workflows: await workflows.forget(new Date(now.getTime() - WORKFLOWS_KEPT_MS)),
    runs: await forgetRuns(db, now),
    told: await forgetTold(db, now),
    scores: await thinScores(db, now),
  }
  if (Object.values(forgotten).some((count) => count > 0)) {
    logger.info('Old entries were taken out of the control database.', forgotten)
  }
}
