/** What the backups that are held say about the schedule. */
import type { BackupHistory } from './input.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

export interface HistoryOptions {
  readonly now: Date
  /** How far back every successful backup is still held: retention must not look like failure. */
  readonly heldDays: number
  /** A backup is due so often. Default: a day. */
  readonly intervalMs?: number | undefined
  /** And may be so late. Default: an hour. */
  readonly graceMs?: number | undefined
}

const LONGEST_DAYS = 30

/**
 * Counts slots, not attempts: a run that succeeded on a retry within the grace counts. Seen are the times between one backup and the
 * next, so that a schedule which drifts by minutes misses nothing. Undefined: no backup ended within the time that is seen.
 */
export function backupHistory(
  backups: readonly { readonly stoppedAt: string }[],
  { now, heldDays, intervalMs = DAY_MS, graceMs = HOUR_MS }: HistoryOptions,
): BackupHistory | undefined {
  const nowMs = now.getTime()
  const earliestMs = nowMs - Math.min(heldDays, LONGEST_DAYS) * DAY_MS
  const ended = backups.map(({ stoppedAt }) => Date.parse(stoppedAt)).sort((a, b) => a - b)
  const inside = ended.filter((ms) => ms > earliestMs)
  // With one from before, the schedule was there before; what else there was then may have been pruned.
  const sinceMs = ended.some((ms) => ms <= earliestMs) ? earliestMs : inside[0]
  if (sinceMs === undefined || sinceMs > nowMs) return undefined
  const points = [sinceMs, ...inside, nowMs]
  const missedBefore = points.slice(1).map((ms, index) => {
    const silenceMs = ms - (points[index] ?? sinceMs)
    return Math.max(0, Math.ceil((silenceMs - intervalMs - graceMs) / intervalMs))
  })
  const missed = missedBefore.reduce((sum, count) => sum + count, 0)
  const observedMs = nowMs - sinceMs
  const slots = Math.floor(observedMs / intervalMs) + 1
  return {
    slots,
    missed: Math.min(missed, slots),
    isLate: (missedBefore.at(-1) ?? 0) > 0,
    since: new Date(sinceMs).toISOString(),
    observedMs,
  }
}
