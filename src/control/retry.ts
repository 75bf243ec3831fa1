/** Whether, and when, a run that failed is tried again. Pure. */
import type { SerializedError } from '../base/errors.ts'

/** With the pauses below, the attempts of one run last about an hour and a half: then it has failed, and its alert fires. */
export const MOST_ATTEMPTS = 8
const FIRST_WAIT_MS = 30_000
const LONGEST_WAIT_MS = 30 * 60_000

/** Undefined: something must change first, or it was tried often enough. Each pause is twice as long as the one before. */
export function nextAttempt(
  error: Pick<SerializedError, 'retry'>,
  attempt: number,
): { readonly waitMs: number } | undefined {
  if (error.retry === 'never' || attempt >= MOST_ATTEMPTS) return undefined
  return { waitMs: Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1)) }
}
