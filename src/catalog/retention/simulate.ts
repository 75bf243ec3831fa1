/** A policy into the future: backups as often as said, a pruning every day, and what there is then. Pure. */
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import type { BackupFacts } from '../choose-backup.ts'
import { planRetention } from './plan.ts'
import type { RetentionPolicy } from './policy.ts'
import type { BackupHold } from './rules.ts'

export interface SimulationInput {
  readonly policy: RetentionPolicy
  /** The backups that there are, whose size counts from the beginning. */
  readonly backups: readonly (BackupFacts & { readonly storedBytes: number })[]
  readonly holds: readonly BackupHold[]
  readonly verified: ReadonlySet<string>
  readonly now: Date
  /** How far to look ahead. */
  readonly days: number
  readonly backupEveryMs: number
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

interface SimulatedBackup extends BackupFacts {
  readonly storedBytes: number
}

/** One line per day, each after a pruning; the first is now. */
export function simulateRetention(input: SimulationInput): SimulatedDay[] {
  const beginMs = input.now.getTime()
  let backups: SimulatedBackup[] = input.backups.map(onSimulatedLog)
  const last = backups.reduce((latest, { stoppedAt }) => Math.max(latest, Date.parse(stoppedAt)), 0)
  const days: SimulatedDay[] = []
  let nextMs = Math.max(beginMs, last + input.backupEveryMs)
  for (let day = 0; day <= input.days; day++) {
    const atMs = beginMs + day * DAY_MS
    let made = 0
    for (; nextMs <= atMs; nextMs += input.backupEveryMs) {
      backups.push(simulatedBackup(nextMs, input.backupBytes))
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
      packBytes: kept.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
      walBytes: Math.round(((atMs - (windowFromMs ?? atMs)) / DAY_MS) * input.walBytesPerDay),
    })
    backups = kept
  }
  return days
}

function prune(
  input: SimulationInput,
  state: { readonly backups: readonly SimulatedBackup[]; readonly nowMs: number },
): { readonly backups: SimulatedBackup[]; readonly windowFromMs: number | undefined } {
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

function lsnAt(ms: number): Lsn {
  return BigInt(Math.round(ms)) as Lsn
}

/** Real positions do not matter here, only when the backup was made. */
function onSimulatedLog(backup: SimulatedBackup): SimulatedBackup {
  const stopMs = Date.parse(backup.stoppedAt)
  return { ...backup, ...placeAt(stopMs), stoppedAt: new Date(stopMs).toISOString() }
}

function simulatedBackup(atMs: number, storedBytes: number): SimulatedBackup {
  const at = new Date(atMs).toISOString()
  return { backupId: `simulated ${at}`, startedAt: at, stoppedAt: at, storedBytes, ...placeAt(atMs) }
}

function placeAt(stopMs: number) {
  const stop = lsnAt(stopMs)
  return { timeline: 1, stopTimeline: 1, startLsn: formatLsn(stop - 1n), stopLsn: formatLsn(stop) }
}
