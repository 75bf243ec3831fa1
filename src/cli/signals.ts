import { abortedError } from '../base/errors.ts'

/**
 * The first SIGINT or SIGTERM asks the work to stop in order; the second ends the process at once with status 130, which is
 * safe because nothing half-written is ever visible.
 */
export function installSignalHandlers(on: {
  readonly first: (signal: NodeJS.Signals) => void
  /** Ends the process. */
  readonly second: () => void
}): {
  readonly signal: AbortSignal
  readonly received: () => NodeJS.Signals | undefined
  readonly [Symbol.dispose]: () => void
} {
  const controller = new AbortController()
  let received: NodeJS.Signals | undefined
  const handler = (signal: NodeJS.Signals) => {
    if (received !== undefined) return on.second()
    received = signal
    on.first(signal)
    controller.abort(abortedError(new Error(signal)))
  }
  process.on('SIGINT', handler)
  process.on('SIGTERM', handler)
  return {
    signal: controller.signal,
    received: () => received,
    [Symbol.dispose]: () => {
      process.off('SIGINT', handler)
      process.off('SIGTERM', handler)
    },
  }
}
