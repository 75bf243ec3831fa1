/** How long a restore will take, by what drills of the cluster have measured, else by rates of a small machine; the formula is shown with the number. */
import type { Prediction } from './plan-types.ts'

export interface RestoreRates {
  /** Plaintext written per second. */
  readonly restoreBytesPerSecond: number
  /** Read and compared per second, where a directory is changed in place. */
  readonly compareBytesPerSecond: number
  /** WAL replayed per second. */
  readonly replayBytesPerSecond: number
}

/** Measured on 2 cores and a local directory: 250 to 400 MB/s of files, 190 MB/s of WAL of bulk updates; scattered updates replay at half that. */
export const DEFAULT_RATES: RestoreRates = {
  restoreBytesPerSecond: 250e6,
  compareBytesPerSecond: 1000e6,
  replayBytesPerSecond: 100e6,
}
/** Starting the server, finding the end of the WAL, and a checkpoint. */
export const FIXED_MS = 1500

export function predictRestore(
  work: { readonly writtenBytes: number; readonly walBytes: number; readonly comparedBytes?: number | undefined },
  { rates, drills }: { readonly rates: RestoreRates; readonly drills: number },
): Prediction {
  const compareMs = Math.ceil(((work.comparedBytes ?? 0) / rates.compareBytesPerSecond) * 1000)
  const fetchMs = compareMs + Math.ceil((work.writtenBytes / rates.restoreBytesPerSecond) * 1000)
  const replayMs = Math.ceil((work.walBytes / rates.replayBytesPerSecond) * 1000)
  const megabytes = (bytes: number) => Math.round(bytes / 1e6)
  const compared =
    work.comparedBytes === undefined
      ? ''
      : `${megabytes(work.comparedBytes)} MB compared at ${megabytes(rates.compareBytesPerSecond)} MB/s + at most `
  return {
    fetchMs,
    replayMs,
    totalMs: fetchMs + replayMs + FIXED_MS,
    formula: `${compared}${megabytes(work.writtenBytes)} MB of files at ${megabytes(rates.restoreBytesPerSecond)} MB/s + ${megabytes(work.walBytes)} MB of WAL at ${megabytes(rates.replayBytesPerSecond)} MB/s + ${FIXED_MS / 1000} s, ${sourceOf(drills)}`,
  }
}

function sourceOf(drills: number): string {
  if (drills === 0) return "assumed rates; `retake drill run` measures this cluster's"
  return drills === 1 ? 'as the last drill measured' : `as the last ${drills} drills measured`
}
