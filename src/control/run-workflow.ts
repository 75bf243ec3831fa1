/** The workflow of a run: attempts with growing pauses, until it has succeeded or cannot. Every turn of it is on record. */
import type { Kysely } from 'kysely'
import { type SerializedError, toRetakeError } from '../base/errors.ts'
import type { Logger, Progress } from '../base/progress.ts'
import type { ControlTables } from './database/schema.ts'
import { nextAttempt } from './retry.ts'
import { beginAttempt, changeRun, type RunRequest, reportProgress } from './runs.ts'
import type { Workflow } from './workflows/durable.ts'

export interface RunWorkflowOptions {
  readonly db: Kysely<ControlTables>
  readonly logger: Logger
  /** Does the work; harmless to do twice. @returns plain data */
  readonly perform: (
    request: RunRequest,
    options: { readonly signal: AbortSignal; readonly onProgress: (progress: Progress) => void },
  ) => Promise<object>
}

type AttemptOutcome =
  | { readonly state: 'ended' }
  | { readonly state: 'succeeded'; readonly result: object }
  | { readonly state: 'stopped'; readonly error: SerializedError; readonly attempt: number }

/** Progress is written so often, at most. */
const PROGRESS_EVERY_MS = 1_000

export function runWorkflow({ db, logger, perform }: RunWorkflowOptions): Workflow<RunRequest> {
  const attemptOnce = async (request: RunRequest, signal: AbortSignal): Promise<AttemptOutcome> => {
    const attempt = await beginAttempt(db, request.id)
    if (attempt === undefined) return { state: 'ended' }
    await using reporter = new ProgressReporter(db, request.id)
    const about = { run: request.id, cluster: request.cluster, attempt }
    logger.info(`${request.task} of ${request.cluster} begins.`, about)
    try {
      const result = await perform(request, { signal, onProgress: reporter.report })
      logger.info(`${request.task} of ${request.cluster} has succeeded.`, about)
      return { state: 'succeeded', result }
    } catch (error) {
      const failure = toRetakeError(error)
      const { message, code, hint } = failure
      if (signal.aborted) logger.info(`${request.task} of ${request.cluster} is stopped.`, about)
      else {
        const then = thenOf(nextAttempt(failure.toJSON(), attempt))
        logger.warn(`${request.task} of ${request.cluster} failed: ${message} ${then}`, { ...about, code, hint })
      }
      return { state: 'stopped', error: failure.toJSON(), attempt }
    }
  }
  return async ({ step, sleep }, request) => {
    for (;;) {
      const outcome = await step('attempt', (signal) => attemptOnce(request, signal))
      if (outcome.state === 'ended') return
      if (outcome.state === 'succeeded') {
        await step('succeeded', () => changeRun(db, request.id, { state: 'succeeded', result: outcome.result }))
        return
      }
      const { error, attempt } = outcome
      const next = nextAttempt(error, attempt)
      const state = next ? 'waiting' : 'failed'
      await step(state, () => changeRun(db, request.id, { state, error }))
      if (!next) return
      await sleep(next.waitMs)
    }
  }
}

const thenOf = (next: { readonly waitMs: number } | undefined) =>
  next ? `It is tried again in ${Math.round(next.waitMs / 1000)} s.` : 'It is not tried again.'

/** Writes the newest progress, one at a time and not too often; what cannot be written is only not seen. */
class ProgressReporter implements AsyncDisposable {
  readonly #db: Kysely<ControlTables>
  readonly #id: string
  #writing: Promise<void> = Promise.resolve()
  #lastMs = Number.NEGATIVE_INFINITY

  constructor(db: Kysely<ControlTables>, id: string) {
    this.#db = db
    this.#id = id
  }

  readonly report = (progress: Progress): void => {
    const nowMs = performance.now()
    if (nowMs - this.#lastMs < PROGRESS_EVERY_MS) return
    this.#lastMs = nowMs
    this.#writing = this.#writing.then(() => reportProgress(this.#db, this.#id, progress)).catch(() => {})
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing
  }
}
