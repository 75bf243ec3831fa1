import { abortedError } from '../../base/errors.ts'
import { refusal } from './refusals.ts'

export interface TimeLimitOptions {
  readonly limitMs: number
  /** Nobody waits any more, or the server ends at once. */
  readonly signals: readonly AbortSignal[]
}

/**
 * Waits for work no longer than the limit, or until a signal fires; the work's own signal fires then too. What it does after that is
 * of no interest to who asked. Leaves no timer and no listener behind.
 */
export async function withTimeLimit<T>(
  work: (signal: AbortSignal) => Promise<T>,
  { limitMs, signals }: TimeLimitOptions,
): Promise<T> {
  const controller = new AbortController()
  const { promise: ended, reject } = Promise.withResolvers<never>()
  const stop = (error: Error) => {
    reject(error)
    controller.abort(error)
  }
  const onAbort = () => stop(abortedError())
  const timer = setTimeout(() => stop(tooSlow(limitMs)), limitMs)
  for (const signal of signals) signal.addEventListener('abort', onAbort, { once: true })
  try {
    if (signals.some(({ aborted }) => aborted)) onAbort()
    return await Promise.race([work(controller.signal), ended])
  } finally {
    clearTimeout(timer)
    for (const signal of signals) signal.removeEventListener('abort', onAbort)
  }
}

const tooSlow = (limitMs: number) =>
  refusal(
    'timeout',
    `The server did not find the answer within ${limitMs / 1000} s. An action may have been begun all the same.`,
    {
      status: 504,
      hint: 'Ask again later; repeat an action with the same Idempotency-Key.',
    },
  )
