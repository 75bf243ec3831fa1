/** Runs the receiver beside a test. */
import { isRetakeError, type RetakeError } from '../../../base/errors.ts'
import type { Logger } from '../../../base/progress.ts'
import { type ReceivedWal, type ReceiveWalOptions, receiveWal } from '../receiver.ts'

export interface RunningReceiver extends AsyncDisposable {
  /** Ends it in order. @throws what it failed with */
  stop(): Promise<ReceivedWal | undefined>
  /** Settles when it ends by itself. */
  readonly ended: Promise<ReceivedWal | RetakeError>
}

export function startReceiver(options: Omit<ReceiveWalOptions, 'signal'>): RunningReceiver {
  const controller = new AbortController()
  // A connection that breaks is tried again at once, so that tests do not wait.
  const ended = receiveWal({ retryDelayMs: () => 20, ...options, signal: controller.signal }).catch(
    (error: unknown) => {
      if (isRetakeError(error)) return error
      throw error
    },
  )
  const receiver: RunningReceiver = {
    ended,
    async stop() {
      controller.abort()
      const result = await ended
      if (!isRetakeError(result)) return result
      if (result.code === 'aborted') return undefined
      throw result
    },
    async [Symbol.asyncDispose]() {
      controller.abort()
      await ended
    },
  }
  return receiver
}

/** A logger that keeps what it was told. */
export function keepLog(): Logger & { readonly lines: string[] } {
  const lines: string[] = []
  const at = (level: string) => (message: string) => void lines.push(`${level}: ${message}`)
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
