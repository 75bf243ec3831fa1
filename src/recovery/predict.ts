/** How long a restore will take, by rates measured on a small machine; the formula is shown with the number. */
import type { Prediction } from './plan-types.ts'

export interface RestoreRates {
  /** Plaintext written per second. */
  readonly restoreBytesPerSecond: number
  /** WAL replayed per second. */
  readonly replayBytesPerSecond: number
}

/** Measured on 2 cores and a local directory: 250 to 400 MB/s of files, 190 MB/s of WAL of bulk updates; scattered updates replay at half that. */
export const DEFAULT_RATES: RestoreRates = { restoreBytesPerSecond: 250e6, replayBytesPerSecond: 100e6 }
/** Starting the server, finding the end of the WAL, and a checkpoint. */
const FIXED_MS = 1500

export function predictRestore(
  work: { readonly writtenBytes: number; readonly walBytes: number },
  rates: RestoreRates = DEFAULT_RATES,
): Prediction {
  const fetchMs = Math.ceil((work.writtenBytes / rates.restoreBytesPerSecond) * 1000)
  const replayMs = Math.ceil((work.walBytes / rates.replayBytesPerSecond) * 1000)
  const megabytes = (bytes: number) => Math.round(bytes / 1e6)
  return {
    fetchMs,
    replayMs,
    totalMs: fetchMs + replayMs + FIXED_MS,
    formula: `${megabytes(work.writtenBytes)} MB of files at ${megabytes(rates.restoreBytesPerSecond)} MB/s + ${megabytes(work.walBytes)} MB of WAL at ${megabytes(rates.replayBytesPerSecond)} MB/s + ${FIXED_MS / 1000} s`,
  }
}
