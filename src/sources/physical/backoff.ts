/** How long to wait before the next connection: doubling from one second to half a minute, with jitter so that many receivers spread. */

const FIRST_MS = 1_000
const LONGEST_MS = 30_000

/**
 * @param failures how many attempts failed in a row, from 1
 * @param random from 0 to 1; half of the delay depends on it
 */
export function reconnectDelayMs(failures: number, random: number): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.max(0, failures - 1))
  return Math.round(full / 2 + (full / 2) * random)
}
