import { abortedError, isRetakeError, RetakeError, toRetakeError } from './errors.ts'

export type Attempt<T> = { readonly value: T } | { readonly error: RetakeError }

export interface AttemptOptions {
  readonly limitMs: number
  /** What did not answer, in words, such as `reading the repository`. */
  readonly what: string
  /** What to do when there was no answer. */
  readonly hint: string
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs a step until its time limit, and no longer, whatever the step does with its signal. What goes wrong is a value: only an abort
 * from outside is thrown.
 */
export async function attempt<T>(
  step: (signal: AbortSignal) => Promise<T>,
  { limitMs, what, hint, signal: outer }: AttemptOptions,
): Promise<Attempt<T>> {
  const controller = new AbortController()
  const ended = Promise.withResolvers<never>()
  // A step may end, or fail, long after nobody waits for it any more.
  ended.promise.catch(() => {})
  const end = (error: RetakeError) => {
    controller.abort(error)
    ended.reject(error)
  }
  const onAbort = () => end(isRetakeError(outer?.reason) ? outer.reason : abortedError(outer?.reason))
  const timeout = new RetakeError('timeout', `There was no answer within ${limitMs / 1000} seconds (${what}).`, {
    hint,
  })
  const timer = setTimeout(() => end(timeout), limitMs)
  outer?.addEventListener('abort', onAbort, { once: true })
  try {
    if (outer?.aborted) onAbort()
    return { value: await Promise.race([ended.promise, step(controller.signal)]) }
  } catch (error) {
    if (outer?.aborted) throw error
    return { error: controller.signal.aborted ? timeout : toRetakeError(error) }
  } finally {
    clearTimeout(timer)
    outer?.removeEventListener('abort', onAbort)
  }
}
