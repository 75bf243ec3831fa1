/** Keeps the servers' common work in order, on one of them at a time: what the dead have left is taken over, and nothing that was asked for is forgotten. */
import type { Kysely } from 'kysely'
import type { Logger } from '../base/progress.ts'
import type { ControlTables } from '../control/database/schema.ts'
import { holdLeases } from '../control/leases.ts'
import { changeRun, listRuns, type RunRequest, requestOf } from '../control/runs.ts'
import { buryServers, livingServers } from '../control/servers.ts'
import type { Workflows } from '../control/workflows/durable.ts'
import { forever } from './forever.ts'

export interface OrderOptions {
  readonly db: Kysely<ControlTables>
  readonly id: string
  readonly workflows: Workflows<RunRequest>
  readonly logger: Logger
  readonly signal: AbortSignal
}

const EVERY_MS = 5_000
/** No cluster can have this name. */
const LEASE = '/order'
/** A run that was just put on record is about to be begun by whoever did that. */
const SETTLED_MS = 10_000
const MOST_UNFINISHED = 1_000

export async function keepOrder(options: OrderOptions): Promise<void> {
  const { db, id, logger, signal } = options
  await forever(
    async () => {
      const living = await livingServers(db)
      await buryServers(db, living)
      const mine = await holdLeases(db, { server: id, names: [LEASE] })
      if (mine.size > 0) await takeTurn(options, living)
    },
    {
      signal,
      everyMs: EVERY_MS,
      onError: ({ message }) => logger.warn(`The runs of other servers could not be looked at: ${message}`),
    },
  )
}

async function takeTurn({ db, workflows, logger }: OrderOptions, living: ReadonlySet<string>): Promise<void> {
  for (const id of await workflows.takeOver(living)) logger.warn(`The run ${id} was left by its server, and goes on.`)
  await beginForgotten({ db, workflows, logger })
}

/** A run is put on record before its workflow exists, so a crash between the two leaves a record alone. */
async function beginForgotten({ db, workflows, logger }: Pick<OrderOptions, 'db' | 'workflows' | 'logger'>) {
  const recorded = await listRuns(db, { states: ['queued', 'running', 'waiting'], limit: MOST_UNFINISHED })
  // Read after the records: what has ended meanwhile is no more among the records that count.
  const unfinished = await workflows.unfinished()
  const now = Date.now()
  for (const run of recorded) {
    if (unfinished.has(run.id) || now - run.createdAt.getTime() < SETTLED_MS) continue
    if (run.state === 'queued') {
      logger.warn(`The run ${run.id} was asked for and not begun; it begins now.`)
      await workflows.start({ id: run.id, partition: run.cluster, input: requestOf(run) })
    } else {
      // Ended runs are not changed by this.
      await changeRun(db, run.id, { state: 'failed', error: LOST })
    }
  }
}

const LOST = {
  code: 'internal',
  message: 'The workflow of this run ended without saying how.',
  hint: 'Look at the log of the servers, and start it again.',
  retry: 'never',
  details: {},
} as const
