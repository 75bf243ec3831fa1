/** `retake serve`: one process of the servers that look after clusters together. Here the parts are put together; each is in a file of its own. */

import { RetakeError } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import type { Logger } from '../base/progress.ts'
import { retakeVersion } from '../base/version.ts'
import { type ControlDatabase, openControlDatabase } from '../control/database/open.ts'
import { runWorkflow } from '../control/run-workflow.ts'
import { cancelRun, type RunRequest, recordRun } from '../control/runs.ts'
import { forgetServer, HEARTBEAT_MS, registerServer, sayAlive } from '../control/servers.ts'
import { openWorkflows } from '../control/workflows/dbos.ts'
import type { Workflows } from '../control/workflows/durable.ts'
import type { HealthReport } from '../monitor/read-health.ts'
import type { ServerConfig } from './config.ts'
import { keepDuty } from './duty.ts'
import { forever } from './forever.ts'
import { keepLooking } from './looking.ts'
import { ManagedCluster } from './managed-cluster.ts'
import { keepReceiving } from './receiving.ts'
import { keepSchedules } from './scheduling.ts'
import { keepOrder } from './take-over.ts'
import { doTask } from './tasks.ts'

export interface ServeOptions {
  readonly config: ServerConfig
  /** Of an outside control database. */
  readonly databaseUrl?: string | undefined
  readonly env: NodeJS.ProcessEnv
  readonly logger: Logger
  /** The first stage of the end: nothing new is begun, and what runs has its time of grace. */
  readonly signal: AbortSignal
}

/** What the routes and the commands stand on. */
export interface Server {
  readonly id: string
  readonly control: ControlDatabase
  readonly clusters: ReadonlyMap<string, ManagedCluster>
  /** Puts work on record and begins it. False: there already was one with this id. */
  readonly startRun: (request: RunRequest) => Promise<boolean>
  readonly cancelRun: (options: { readonly id: string; readonly by: string }) => Promise<boolean>
}

/**
 * Looks after the clusters until the signal fires, then stops in order.
 * @param onReady told when the server is complete
 * @throws RetakeError `control.unavailable`, `control.lost`, `config.invalid`
 */
export async function serve(options: ServeOptions, onReady: (server: Server) => Promise<void>): Promise<void> {
  const { config, logger, env, signal, databaseUrl: url } = options
  await using stack = new AsyncDisposableStack()
  const control = stack.use(await openControlDatabase({ url, directory: config.directory, env, signal }))
  const { db } = control
  const clusters = new Map(
    config.clusters.map((one) => [one.name, stack.use(new ManagedCluster(one, logger))] as const),
  )
  const id = randomId(8)
  await registerServer(db, { id, version: retakeVersion() })
  stack.defer(() => forgetServer(db, id))
  const lost = new AbortController()
  const until = AbortSignal.any([signal, lost.signal])
  const workflows = await openWorkflows<RunRequest>({
    pool: control.pool,
    server: id,
    concurrency: config.runs,
    logger,
    workflow: runWorkflow({
      db,
      perform: async (request, how) => doTask(await openNamed(clusters, request.cluster), request, how),
    }),
  })
  const server: Server = { id, control, clusters, ...runsOf(control, workflows) }
  try {
    await onReady(server)
    await Promise.all([
      keepAlive(db, { id, logger, signal: until, lost }),
      keepOrder({ db, id, workflows, logger, signal: until }),
      keepDuty({
        db,
        id,
        names: [...clusters.keys()],
        logger,
        signal: until,
        look: (name, mine) => lookAfter(server, { cluster: clusters.get(name), config, logger, signal: mine }),
      }),
    ])
  } finally {
    await workflows.stop({ graceMs: lost.signal.aborted ? 0 : config.graceMs })
  }
  if (lost.signal.aborted) throw lost.signal.reason
}

function runsOf({ db }: ControlDatabase, workflows: Workflows<RunRequest>): Pick<Server, 'startRun' | 'cancelRun'> {
  return {
    // On record first: what was recorded and not begun, is begun by whoever keeps order.
    startRun: async (request) => {
      const isNew = await recordRun(db, request)
      if (isNew) await workflows.start({ id: request.id, partition: request.cluster, input: request })
      return isNew
    },
    cancelRun: async ({ id, by }) => {
      const cancelled = await cancelRun(db, { id, by })
      if (cancelled) await workflows.cancel(id)
      return cancelled
    },
  }
}

async function openNamed(clusters: ReadonlyMap<string, ManagedCluster>, name: string) {
  const cluster = clusters.get(name)
  if (cluster) return cluster.open()
  throw new RetakeError('config.invalid', `This server does not know a cluster "${name}" any more.`, {
    hint: 'Add its configuration to the file of the server, or cancel the run.',
    retry: 'later',
  })
}

async function keepAlive(
  db: ControlDatabase['db'],
  options: {
    readonly id: string
    readonly logger: Logger
    readonly signal: AbortSignal
    readonly lost: AbortController
  },
): Promise<void> {
  const { id, logger, signal, lost } = options
  await forever(
    async () => {
      if (await sayAlive(db, id)) return
      lost.abort(
        new RetakeError('control.lost', 'Other servers took this one for dead, and have its work now.', {
          hint: 'Start it again. It was paused, or cut off from the control database, for longer than 30 seconds.',
        }),
      )
    },
    {
      signal,
      everyMs: HEARTBEAT_MS,
      onError: ({ message }) =>
        logger.warn(`The control database could not be told that this server lives: ${message}`),
    },
  )
}

interface LookAfterOptions {
  readonly cluster: ManagedCluster | undefined
  readonly config: ServerConfig
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** Everything that is done for one cluster on the server whose duty it is. */
async function lookAfter({ control, startRun }: Server, options: LookAfterOptions): Promise<void> {
  const { cluster, config, logger, signal } = options
  if (!cluster) return
  const { db } = control
  const start = async (request: RunRequest) => void (await startRun(request))
  await Promise.all([
    config.receive ? keepReceiving(cluster, { signal, logger }) : undefined,
    keepSchedules(cluster, { db, signal, logger, start }),
    keepLooking(cluster, {
      db,
      signal,
      logger,
      everyMs: config.checkMs,
      onReport: async (_report: HealthReport) => {},
    }),
  ])
}
