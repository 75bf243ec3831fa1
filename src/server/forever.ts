/** Work that goes on until it is told to stop: what goes wrong is told, and tried again after a while. */
import { sleep } from '../base/abort.ts'
import { type RetakeError, toRetakeError } from '../base/errors.ts'

export interface ForeverOptions {
  readonly signal: AbortSignal
  /** Between two turns, from the end of one to the beginning of the next. */
  readonly everyMs: number
  /** After the first of several failures; each further one doubles it, up to `mostMs`. Default: `everyMs`. */
  readonly retryMs?: number | undefined
  readonly mostMs?: number | undefined
  readonly onError: (error: RetakeError) => void
}

/** Resolves when the signal has fired and the last turn is over. */
export async function forever(turn: () => Promise<void>, options: ForeverOptions): Promise<void> {
  const { signal, everyMs, retryMs = everyMs, mostMs = 60_000, onError } = options
  let failures = 0
  while (!signal.aborted) {
    try {
      await turn()
      failures = 0
    } catch (error) {
      if (signal.aborted) return
      failures += 1
      onError(toRetakeError(error))
    }
    const waitMs = failures === 0 ? everyMs : Math.min(mostMs, retryMs * 2 ** Math.min(failures - 1, 16))
    try {
      await sleep(waitMs, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}
