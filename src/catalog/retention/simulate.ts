/** A policy into the future: backups as often as said, a pruning every day, and what there is then. Pure. */
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import type { BackupFacts } from '../choose-backup.ts'
import { planRetention } from './plan.ts'
import type { RetentionPolicy } from './policy.ts'
import type { BackupHold } from './rules.ts'

export interface SimulationInput {
  readonly policy: RetentionPolicy
  /** The backups that there are. */
  readonly backups: readonly BackupFacts[]
  readonly holds: readonly BackupHold[]
  readonly verified: ReadonlySet<string>
  readonly now: Date
  /** How far to look ahead. */
  readonly days: number
  readonly backupEveryMs: number
  /** Stored bytes of packs by the backups that refer to them; other names than those of `backups` do not count. */
  readonly shares: readonly { readonly bytes: number; readonly users: readonly string[] }[]
  /** What a backup adds, and what WAL takes up in a day, both stored. */
  readonly backupBytes: number
  readonly walBytesPerDay: number
}

export interface SimulatedDay {
  /** ISO 8601 UTC. */
  readonly at: string
  readonly backups: number
  readonly made: number
  readonly dropped: number
  /** The oldest backup that is kept. */
  readonly oldestAt: string
  /** Any moment from here on can be restored. */
  readonly windowFrom: string
  readonly packBytes: number
  readonly walBytes: number
}

const DAY_MS = 86_400_000
/** One position of the log per millisecond: the simulation needs their order alone. */
const SEGMENT_BYTES = 1024 * 1024

/** One line per day, each after a pruning; the first is now. */
export function simulateRetention(input: SimulationInput): SimulatedDay[] {
  const beginMs = input.now.getTime()
  let backups: BackupFacts[] = input.backups.map(onSimulatedLog)
  const last = backups.reduce((latest, { stoppedAt }) => Math.max(latest, Date.parse(stoppedAt)), 0)
  const days: SimulatedDay[] = []
  let nextMs = Math.max(beginMs, last + input.backupEveryMs)
  for (let day = 0; day <= input.days; day++) {
    const atMs = beginMs + day * DAY_MS
    let made = 0
    for (; nextMs <= atMs; nextMs += input.backupEveryMs) {
      backups.push(simulatedBackup(nextMs))
      made += 1
    }
    const { backups: kept, windowFromMs } = prune(input, { backups, nowMs: atMs })
    days.push({
      at: new Date(atMs).toISOString(),
      backups: kept.length,
      made,
      dropped: backups.length - kept.length,
      oldestAt: kept[0]?.stoppedAt ?? '',
      windowFrom: windowFromMs === undefined ? '' : new Date(windowFromMs).toISOString(),
      packBytes: packBytesOf(input, kept),
      walBytes: Math.round(((atMs - (windowFromMs ?? atMs)) / DAY_MS) * input.walBytesPerDay),
    })
    backups = kept
  }
  return days
}

function prune(
  input: SimulationInput,
  state: { readonly backups: readonly BackupFacts[]; readonly nowMs: number },
): { readonly backups: BackupFacts[]; readonly windowFromMs: number | undefined } {
  const { nowMs } = state
  const plan = planRetention({
    policy: input.policy,
    holds: input.holds,
    verified: input.verified,
    now: new Date(nowMs),
    backups: state.backups,
    // Everything that was ever written is there: what the policy itself gives up is what is looked at.
    coverage: [{ timeline: 1, ranges: [{ beginLsn: 0n as Lsn, endLsn: lsnAt(nowMs + 1) }], gaps: [] }],
    histories: [],
    moments: [],
    ranges: [],
    positionTimeline: 1,
    segmentSizeBytes: SEGMENT_BYTES,
  })
  const kept = new Set(plan.backups.filter(({ action }) => action === 'keep').map(({ backupId }) => backupId))
  const anchor = plan.backups.find(({ rules }) => rules.some(({ rule }) => rule === 'window'))
  return {
    backups: state.backups.filter(({ backupId }) => kept.has(backupId)),
    windowFromMs: anchor && Date.parse(anchor.stoppedAt),
  }
}

/**
 * Every backup is complete, so the next one refers to nearly all that the newest refers to and adds what changed; and each
 * replaces as much as it adds: the oldest that is kept takes as much as the newest does now, the others what they add.
 */
function packBytesOf(input: SimulationInput, kept: readonly BackupFacts[]): number {
  const real = new Set(input.backups.map(({ backupId }) => backupId))
  const used = new Set(kept.flatMap(({ backupId }) => (real.has(backupId) ? [backupId] : [])))
  const simulated = kept.length - used.size
  const replaced = used.size === 0 && simulated > 0 && real.size > 0 ? 1 : 0
  const newest = input.backups.at(-1)?.backupId
  if (simulated > 0 && newest !== undefined) used.add(newest)
  const held = input.shares.filter(({ users }) => users.some((user) => used.has(user)))
  return held.reduce((sum, { bytes }) => sum + bytes, (simulated - replaced) * input.backupBytes)
}

function lsnAt(ms: number): Lsn {
  return BigInt(Math.round(ms)) as Lsn
}

/** Real positions do not matter here, only when the backup was made. */
function onSimulatedLog(backup: BackupFacts): BackupFacts {
  const stopMs = Date.parse(backup.stoppedAt)
  return { ...backup, ...placeAt(stopMs), stoppedAt: new Date(stopMs).toISOString() }
}

function simulatedBackup(atMs: number): BackupFacts {
  const at = new Date(atMs).toISOString()
  return { backupId: `simulated ${at}`, startedAt: at, stoppedAt: at, ...placeAt(atMs) }
}

function placeAt(stopMs: number) {
  const stop = lsnAt(stopMs)
  return { timeline: 1, stopTimeline: 1, startLsn: formatLsn(stop - 1n), stopLsn: formatLsn(stop) }
}
