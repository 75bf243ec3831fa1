import { abortedError, isRetakeError } from './errors.ts'

/** Throws `aborted` when the signal has fired; called before each mutation, so that none starts after an abort. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw isRetakeError(signal.reason) ? signal.reason : abortedError(signal.reason)
}

/** Waits, or throws `aborted` as soon as the signal fires. Leaves no timer and no listener behind. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  throwIfAborted(signal)
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer)
      reject(isRetakeError(signal?.reason) ? signal.reason : abortedError(signal?.reason))
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
