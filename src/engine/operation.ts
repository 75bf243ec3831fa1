import { abortedError } from '../base/errors.ts'
import type { Progress, ProgressListener } from '../base/progress.ts'

/** What running work is given: a signal that it must obey and a place to report to. */
export interface OperationContext {
  readonly signal: AbortSignal
  readonly onProgress: ProgressListener
}

export interface OperationOptions {
  /** Stops the work; nothing half-written becomes visible. */
  readonly signal?: AbortSignal | undefined
  /** Called for each step, beside {@link Operation.progress}. */
  readonly onProgress?: ProgressListener | undefined
}

/**
 * Long work that has begun. It is deliberately not a promise: `await` it by its {@link result}, watch it by its {@link progress}.
 *
 * ```ts
 * const run = backUp(retake)
 * for await (const step of run.progress) console.error(step.phase, step.done, step.total)
 * const backup = await run.result
 * ```
 *
 * A slow watcher never slows the work: of the steps of one phase only the newest is kept for it. When the work fails, a loop over
 * `progress` throws the error at its end, and so does `result`. Leaving the loop early stops watching, not working.
 * `await using run = …` aborts the work at the end of the block if it is still running, and waits for it.
 */
export interface Operation<T> extends AsyncDisposable {
  readonly progress: AsyncIterable<Progress>
  readonly result: Promise<T>
  /** Asks the work to stop; `result` then rejects with `aborted`. */
  abort(reason?: unknown): void
}

/** Begins `work` at once and gives the handle to it. */
export function startOperation<T>(
  work: (context: OperationContext) => Promise<T>,
  options: OperationOptions = {},
): Operation<T> {
  const controller = new AbortController()
  const forward = () => controller.abort(options.signal?.reason)
  if (options.signal?.aborted) forward()
  else options.signal?.addEventListener('abort', forward, { once: true })

  const watchers = new Set<Watcher>()
  let latest: Progress | undefined
  let outcome: Outcome | undefined
  const onProgress: ProgressListener = (progress) => {
    latest = progress
    options.onProgress?.(progress)
    for (const watcher of watchers) watcher.push(progress)
  }
  const settle = (settled: Outcome) => {
    outcome = settled
    options.signal?.removeEventListener('abort', forward)
    for (const watcher of watchers) watcher.end(settled)
  }

  const { promise: result, resolve, reject } = Promise.withResolvers<T>()
  const running = (async () => work({ signal: controller.signal, onProgress }))()
  void running.then(
    (value) => {
      settle({})
      resolve(value)
    },
    (error: unknown) => {
      // A loop over the progress throws the error; only when nobody watches does a result that nobody awaits count as unhandled.
      if (watchers.size > 0) result.catch(() => {})
      settle({ error })
      reject(error)
    },
  )
  return {
    result,
    abort: (reason) => controller.abort(reason ?? abortedError()),
    progress: {
      [Symbol.asyncIterator]: () => {
        const watcher = new Watcher((self) => watchers.delete(self))
        if (latest) watcher.push(latest)
        if (outcome) watcher.end(outcome)
        else watchers.add(watcher)
        return watcher
      },
    },
    [Symbol.asyncDispose]: async () => {
      if (!outcome) controller.abort(abortedError())
      await result.catch(() => {})
    },
  }
}

interface Outcome {
  readonly error?: unknown
}

/** One loop over the progress: holds at most one step for each phase it has not yet seen. */
class Watcher implements AsyncIterator<Progress, undefined> {
  readonly #queue: Progress[] = []
  readonly #leave: (self: Watcher) => void
  #outcome: Outcome | undefined
  #waiting: { resolve(result: IteratorResult<Progress, undefined>): void; reject(error: unknown): void } | undefined

  constructor(leave: (self: Watcher) => void) {
    this.#leave = leave
  }

  push(progress: Progress): void {
    if (this.#waiting) {
      this.#waiting.resolve({ done: false, value: progress })
      this.#waiting = undefined
    } else if (this.#queue.at(-1)?.phase === progress.phase) this.#queue[this.#queue.length - 1] = progress
    else this.#queue.push(progress)
  }

  end(outcome: Outcome): void {
    this.#outcome = outcome
    if (!this.#waiting) return
    const { resolve, reject } = this.#waiting
    this.#waiting = undefined
    if ('error' in outcome) reject(outcome.error)
    else resolve({ done: true, value: undefined })
  }

  async next(): Promise<IteratorResult<Progress, undefined>> {
    const value = this.#queue.shift()
    if (value) return { done: false, value }
    if (this.#outcome) {
      const outcome = this.#outcome
      this.#outcome = {}
      if ('error' in outcome) throw outcome.error
      return { done: true, value: undefined }
    }
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  async return(): Promise<IteratorResult<Progress, undefined>> {
    this.#leave(this)
    this.#outcome = {}
    this.#queue.length = 0
    return { done: true, value: undefined }
  }
}
