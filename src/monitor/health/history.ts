/** What the backups that are held say about the schedule. */
import type { RunOutcome } from '../../schedules/judge.ts'
import type { BackupHistory } from './backup-history.ts'

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

/** A run that was due, as `readSchedules` judges it. */
interface JudgedSlot {
  /** ISO 8601 UTC. */
  readonly at: string
  readonly outcome: RunOutcome
}

const CAME: readonly RunOutcome[] = ['succeeded']
const DID_NOT_COME: readonly RunOutcome[] = ['late', 'failed', 'missed']

/** The same from schedules: the runs that were due, of which something is known. Undefined: nothing is known of any. */
export function scheduledHistory(
  schedules: readonly { readonly runs: readonly JudgedSlot[] }[],
  now: Date,
): BackupHistory | undefined {
  const earliestMs = now.getTime() - LONGEST_DAYS * DAY_MS
  const settled = schedules.map(({ runs }) =>
    runs.filter(
      ({ at, outcome }) => Date.parse(at) >= earliestMs && (CAME.includes(outcome) || DID_NOT_COME.includes(outcome)),
    ),
  )
  const slots = settled.flat()
  const [since] = slots.map(({ at }) => at).sort()
  if (since === undefined) return undefined
  const isMissed = ({ outcome }: JudgedSlot) => DID_NOT_COME.includes(outcome)
  return {
    slots: slots.length,
    missed: slots.filter(isMissed).length,
    isLate: settled.some((runs) => runs.slice(-1).some(isMissed)),
    since,
    observedMs: now.getTime() - Date.parse(since),
  }
}
