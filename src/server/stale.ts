/** A look says nothing of now when it is older than two intervals, and the time that it may take. */
const STALE_INTERVALS = 2
const LOOK_TAKES_MS = 60_000

export function staleAfterMs(checkMs: number): number {
  return STALE_INTERVALS * checkMs + LOOK_TAKES_MS
}
