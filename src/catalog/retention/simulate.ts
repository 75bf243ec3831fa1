/** A policy into the future: backups as often as said, a pruning every day by the rules of {@link applyRules}, and what there is then. Pure. */
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import type { BackupFacts } from '../choose-backup.ts'
import { type HeldBackup, joinHoldings } from './holdings.ts'
import type { RetentionPolicy } from './policy.ts'
import { applyRules, type BackupHold } from './rules.ts'

/** What decides which backups there are. */
export interface SimulationPlan {
  readonly policy: RetentionPolicy
  /** The backups that there are. */
  readonly backups: readonly BackupFacts[]
  readonly holds: readonly BackupHold[]
  readonly verified: ReadonlySet<string>
  readonly now: Date
  /** How far to look ahead. */
  readonly days: number
  readonly backupEveryMs: number
}

export interface SimulationInput extends SimulationPlan {
  /** Stored bytes of packs by the backups that refer to them; those of {@link backupsThatCount} are enough. */
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

/** What is there on one day, after its pruning. */
interface DayState {
  readonly atMs: number
  readonly made: number
  readonly dropped: number
  readonly kept: readonly HeldBackup[]
  readonly windowFromMs: number | undefined
}

/** One line per day, each after a pruning; the first is now. */
export function simulateRetention(input: SimulationInput): SimulatedDay[] {
  const sizes = createSizes(input)
  const days: SimulatedDay[] = []
  for (const { atMs, made, dropped, kept, windowFromMs } of simulateDays(input)) {
    days.push({
      at: new Date(atMs).toISOString(),
      backups: kept.length,
      made,
      dropped,
      oldestAt: kept[0]?.stoppedAt ?? '',
      windowFrom: windowFromMs === undefined ? '' : new Date(windowFromMs).toISOString(),
      packBytes: sizes(kept),
      walBytes: Math.round(((atMs - (windowFromMs ?? atMs)) / DAY_MS) * input.walBytesPerDay),
    })
  }
  return days
}

/**
 * The backups whose shares a simulation looks at: what is dropped at once takes up nothing on any day, however much of it there is.
 * The newest one is always among them, because those to come are taken to be like it.
 */
export function backupsThatCount(input: SimulationPlan): string[] {
  const [first] = simulateDays(input)
  const real = new Set(input.backups.map(({ backupId }) => backupId))
  const newest = input.backups.at(-1)
  const ids = new Set(newest === undefined ? [] : [newest.backupId])
  for (const { backupId } of first?.kept ?? []) if (real.has(backupId)) ids.add(backupId)
  return input.backups.flatMap(({ backupId }) => (ids.has(backupId) ? [backupId] : []))
}

/** Each backup is taken apart once, when it comes; days are many. */
function* simulateDays(input: SimulationPlan): Generator<DayState> {
  const beginMs = input.now.getTime()
  const last = input.backups.reduce((latest, { stoppedAt }) => Math.max(latest, Date.parse(stoppedAt)), 0)
  let fresh: BackupFacts[] = input.backups.map(onSimulatedLog)
  let held: readonly HeldBackup[] = []
  let nextMs = Math.max(beginMs, last + input.backupEveryMs)
  for (let day = 0; day <= input.days; day++) {
    const atMs = beginMs + day * DAY_MS
    let made = 0
    for (; nextMs <= atMs; nextMs += input.backupEveryMs) {
      fresh.push(simulatedBackup(nextMs))
      made += 1
    }
    const { branches, unknownTimelines, backups } = joinHoldings({
      backups: fresh,
      // Everything that was ever written is there: what the policy itself gives up is what is looked at.
      coverage: [{ timeline: 1, ranges: [{ beginLsn: 0n as Lsn, endLsn: lsnAt(atMs + 1) }], gaps: [] }],
      histories: [],
      moments: [],
      ranges: [],
      positionTimeline: 1,
      segmentSizeBytes: SEGMENT_BYTES,
    })
    fresh = []
    const all = [...held, ...backups]
    const verdicts = applyRules({ branches, unknownTimelines, backups: all }, { ...input, now: new Date(atMs) })
    held = all.filter(({ backupId }) => verdicts.has(backupId))
    const anchor = held.find(({ backupId }) => verdicts.get(backupId)?.some(({ rule }) => rule === 'window'))
    yield { atMs, made, dropped: all.length - held.length, kept: held, windowFromMs: anchor?.stoppedMs }
  }
}

/**
 * Every backup is complete, so the next one refers to nearly all that the newest refers to and adds what changed; and each
 * replaces as much as it adds: the oldest that is kept takes as much as the newest does now, the others what they add.
 */
function createSizes({ backups, shares, backupBytes }: SimulationInput): (kept: readonly HeldBackup[]) => number {
  const real = new Set(backups.map(({ backupId }) => backupId))
  const newest = backups.at(-1)?.backupId
  return (kept) => {
    const used = new Set(kept.flatMap(({ backupId }) => (real.has(backupId) ? [backupId] : [])))
    const simulated = kept.length - used.size
    const replaced = used.size === 0 && simulated > 0 && real.size > 0 ? 1 : 0
    if (simulated > 0 && newest !== undefined) used.add(newest)
    // Old ones go first, so that of many users the last one is the most likely to be there.
    const held = shares.filter(({ users }) => users.findLast((user) => used.has(user)) !== undefined)
    return held.reduce((sum, { bytes }) => sum + bytes, (simulated - replaced) * backupBytes)
  }
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
