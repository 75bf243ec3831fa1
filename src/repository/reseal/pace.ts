import { sleep } from '../../base/abort.ts'
import type { Clock } from '../../base/clock.ts'

/** Holds work back so that it moves no more bytes a second than were allowed. */
export interface Pace {
  /** Waits until so many bytes more are within the rate. @throws RetakeError `aborted` */
  wait(bytes: number): Promise<void>
}

/** @param bytesPerSecond undefined: as fast as it goes */
export function createPace(
  bytesPerSecond: number | undefined,
  options: { readonly clock: Pick<Clock, 'monotonicMs'>; readonly signal?: AbortSignal | undefined },
): Pace {
  if (bytesPerSecond === undefined) return { wait: async () => {} }
  const begunMs = options.clock.monotonicMs()
  let done = 0
  return {
    async wait(bytes) {
      done += bytes
      const aheadMs = (done / bytesPerSecond) * 1000 - (options.clock.monotonicMs() - begunMs)
      if (aheadMs > 0) await sleep(aheadMs, options.signal)
    },
  }
}
