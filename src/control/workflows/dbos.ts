/** Durable workflows on DBOS: https://docs.dbos.dev. Nothing else of Retake knows of it. */
import { DBOS } from '@dbos-inc/dbos-sdk'
import type pg from 'pg'
import type { Logger } from '../../base/progress.ts'
import { oneAtATime } from '../database/one-at-a-time.ts'
import type { StartOptions, Workflow, WorkflowContext, Workflows } from './durable.ts'

export interface OpenWorkflowsOptions<I> {
  readonly pool: pg.Pool
  /** This server's id, under which its work is found when it is gone. */
  readonly server: string
  readonly workflow: Workflow<I>
  /** How many run here at a time. */
  readonly concurrency: number
  readonly logger: Logger
}

const SCHEMA = 'retake_workflows'
const QUEUE = 'retake'
/** Raised when workflows of before can no longer be continued by this code. */
const WORKFLOW_VERSION = 'retake-1'
const STOPPED_WITHIN_MS = 15_000

/** The library keeps its state in the process, so there is one of these in a process. */
export async function openWorkflows<I>(options: OpenWorkflowsOptions<I>): Promise<Workflows<I>> {
  const { pool, server, logger } = options
  const steps = new RunningSteps()
  DBOS.setConfig({
    name: 'retake',
    systemDatabasePool: pool,
    systemDatabaseSchemaName: SCHEMA,
    executorID: server,
    applicationVersion: WORKFLOW_VERSION,
    logger: loggerOf(logger),
    enableOTLP: false,
  })
  const run = DBOS.registerWorkflow((input: I) => options.workflow(contextOf(DBOS.workflowID ?? '', steps), input), {
    name: 'run',
    maxRecoveryAttempts: 1_000_000,
  })
  await oneAtATime(pool, launch)
  await DBOS.registerQueue(QUEUE, {
    workerConcurrency: options.concurrency,
    partitionConcurrency: 1,
    minPollingIntervalMs: 500,
    onConflict: 'always_update',
  })
  return {
    start: ({ id, partition, input }: StartOptions<I>) => startOnce(run, { id, partition, input }),
    cancel: (id) => DBOS.cancelWorkflow(id),
    takeOver: (living) => takeOver((executor) => !living.has(executor)),
    unfinished: async () => {
      const found = await DBOS.listWorkflows({
        status: ['PENDING', 'ENQUEUED', 'DELAYED'],
        loadInput: false,
        loadOutput: false,
      })
      return new Set(found.map(({ workflowID }) => workflowID))
    },
    forget: forgetEnded,
    stop: async ({ graceMs }) => {
      // Its queue stops at once; then it waits for what runs.
      await DBOS.shutdown({ workflowCompletionTimeoutMS: graceMs })
      await steps.interrupt(STOPPED_WITHIN_MS)
    },
  }
}

/** Its tables are made by whoever comes first; two at once would stand in each other's way. */
async function launch(): Promise<void> {
  try {
    await DBOS.launch()
  } catch (error) {
    // It would keep the process alive.
    await DBOS.shutdown()
    throw error
  }
}

async function startOnce<I>(
  run: (input: I) => Promise<void>,
  { id, partition, input }: StartOptions<I>,
): Promise<void> {
  await DBOS.startWorkflow(run, {
    workflowID: id,
    queueName: QUEUE,
    enqueueOptions: { queuePartitionKey: partition },
  })(input)
}

/** What its server does no more is put back into the queue, for whoever comes first. The caller sees to it that one server does this at a time. */
async function takeOver(isOrphan: (executor: string) => boolean): Promise<string[]> {
  const pending = await DBOS.listWorkflows({ status: 'PENDING', loadInput: false, loadOutput: false })
  const ids = pending.filter(({ executorId }) => isOrphan(executorId ?? '')).map(({ workflowID }) => workflowID)
  if (ids.length > 0) await DBOS.resumeWorkflows(ids, { queueName: QUEUE })
  return ids
}

const FORGOTTEN_AT_A_TIME = 500

async function forgetEnded(endedBefore: Date): Promise<number> {
  let all = 0
  for (;;) {
    const found = await DBOS.listWorkflows({
      status: ['SUCCESS', 'ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'],
      completedBefore: endedBefore.toISOString(),
      limit: FORGOTTEN_AT_A_TIME,
      loadInput: false,
      loadOutput: false,
    })
    if (found.length > 0) await DBOS.deleteWorkflows(found.map(({ workflowID }) => workflowID))
    all += found.length
    if (found.length < FORGOTTEN_AT_A_TIME) return all
  }
}

function contextOf(id: string, steps: RunningSteps): WorkflowContext {
  return {
    id,
    step: (name, work) =>
      DBOS.runStep(() => steps.run(work, DBOS.stepStatus?.cancelSignal), {
        name,
        // What throws is the control database; the work itself reports its failure as a result.
        retriesAllowed: true,
        maxAttempts: 12,
        shouldRetry: () => !steps.isStopping,
      }),
    sleep: (ms) => DBOS.sleep(ms),
  }
}

/** The steps of this process. When it stops, what a stopped step says is not its outcome: it is done again elsewhere. */
class RunningSteps {
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  get isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  run<T>(work: (signal: AbortSignal) => Promise<T>, cancelled: AbortSignal | undefined): Promise<T> {
    const stopping = this.#stopping.signal
    const running = work(cancelled ? AbortSignal.any([stopping, cancelled]) : stopping)
    this.#running.add(running)
    const leave = () => this.#running.delete(running)
    running.then(leave, leave)
    return running.then(
      (value) => (stopping.aborted ? never() : value),
      (error: unknown) => {
        if (stopping.aborted) return never()
        throw error
      },
    )
  }

  /** Stops all of them, and waits until they have let go of what they held. */
  async interrupt(limitMs: number): Promise<void> {
    this.#stopping.abort()
    const ended = Promise.allSettled([...this.#running])
    const timer = Promise.withResolvers<void>()
    const handle = setTimeout(timer.resolve, limitMs)
    await Promise.race([ended, timer.promise])
    clearTimeout(handle)
  }
}

/** The workflow goes no further in this process. */
function never(): Promise<never> {
  return new Promise(() => {})
}

function loggerOf(logger: Logger) {
  const say = (level: 'debug' | 'warn' | 'error') => (entry: unknown) =>
    logger[level](entry instanceof Error ? entry.message : String(entry))
  return { info: say('debug'), debug: say('debug'), warn: say('warn'), error: say('error') }
}
