/** `retake serve`: one of the servers that look after clusters together. Here the parts are put together; each is in a file of its own. */
import { serveApi } from '../api/serve.ts'
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
import { keepBeating } from './beating.ts'
import { keepChanges, openChanges } from './changes.ts'
import type { ServerConfig } from './config.ts'
import { keepDuty } from './duty.ts'
import { forever } from './forever.ts'
import { lookAfter } from './look-after.ts'
import { lookAfterItself } from './look-after-itself.ts'
import { ManagedCluster } from './managed-cluster.ts'
import { SERVER_SUBJECT } from './own-subject.ts'
import type { Server } from './parts.ts'
import { refuseProtected } from './refuse-protected.ts'
import { openServices } from './services/open-services.ts'
import { keepOrder } from './take-over.ts'
import { performAndTell } from './tasks.ts'
import { keepTelling } from './telling.ts'
import { tidyDrills } from './tidy-drills.ts'
import { serverToken } from './token.ts'
import { inSpan } from './tracing.ts'
import { Turns } from './turns.ts'
import { keepTidy } from './upkeep.ts'

/** Each is a connection to a server and a listing of a repository. */
const LOOKS_AT_A_TIME = 16

export interface ServeOptions {
  readonly config: ServerConfig
  /** Of an outside control database. */
  readonly databaseUrl?: string | undefined
  readonly env: NodeJS.ProcessEnv
  readonly logger: Logger
  /** The first stage of the end: nothing new is begun, and what runs has its time of grace. */
  readonly signal: AbortSignal
  /** Told of each look at a cluster that is this server's to look after. */
  readonly onReport?: ((report: HealthReport) => void) | undefined
}

/**
 * Looks after the clusters until the signal fires, then stops in order.
 * @param onReady told where the server is reached, when it is complete
 * @throws RetakeError `control.unavailable`, `control.lost`, `config.invalid`
 */
export async function serve(options: ServeOptions, onReady: (at: { readonly url: string }) => void): Promise<void> {
  const { config, logger, env, signal, databaseUrl: url, onReport } = options
  await using stack = new AsyncDisposableStack()
  const token = await serverToken({ directory: config.directory, env })
  const control = stack.use(await openControlDatabase({ url, directory: config.directory, env, signal }))
  const { db } = control
  const clusters = new Map(
    config.clusters.map((one) => [one.name, stack.use(new ManagedCluster(one, logger))] as const),
  )
  await refuseProtected(control, clusters.values(), { signal })
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
      logger,
      perform: (request, how) =>
        inSpan(`retake ${request.task}`, { 'retake.cluster': request.cluster, 'retake.run': request.id }, () =>
          performAndTell({ db, clusters, alerts: config.alerts }, request, how),
        ),
    }),
  })
  const server: Server = { id, config, control, clusters, env, logger, ...runsOf(control, workflows) }
  try {
    const changes = openChanges()
    const turns = new Turns(LOOKS_AT_A_TIME)
    const { host, port } = config.listen
    await using api = await serveApi(openServices(server, changes), { host, port, token, logger })
    onReady(api)
    await Promise.all([
      keepAlive(db, { id, logger, signal: until, lost }),
      keepOrder({ db, id, workflows, logger, signal: until }),
      keepTidy({ db, workflows, logger, signal: until }),
      keepChanges(changes, { db, logger, signal: until }),
      tidyDrills(clusters.values(), logger),
      config.heartbeat && keepBeating({ db, address: config.heartbeat, logger, signal: until }),
      keepTelling({ db, channels: config.channels, env, logger, signal: until }),
      keepDuty({
        db,
        id,
        names: [...clusters.keys(), SERVER_SUBJECT],
        logger,
        signal: until,
        look: (name, mine) =>
          name === SERVER_SUBJECT
            ? lookAfterItself(server, { signal: mine })
            : lookAfter(server, { name, signal: mine, turns, onReport }),
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

interface KeepAliveOptions {
  readonly id: string
  readonly logger: Logger
  readonly signal: AbortSignal
  readonly lost: AbortController
}

async function keepAlive(db: ControlDatabase['db'], { id, logger, signal, lost }: KeepAliveOptions): Promise<void> {
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
