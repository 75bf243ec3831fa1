/**
 * What of a cluster stays and what goes, and why: pure, from the catalog's facts. Nothing here deletes; `repository/sweep` carries
 * it out. What must hold of every plan is stated as properties in `plan.prop.test.ts`.
 */
import { type Lsn, segmentStart } from '../../postgres/lsn.ts'
import { runsWithin, storedBytesOf } from '../../repository/segment-runs.ts'
import { LAST_SEGMENT, SegmentSet } from '../../repository/segment-set.ts'
import type { WalInventory } from '../../repository/wal-archive.ts'
import type { TimelineCoverage } from '../coverage.ts'
import { type RecoveryWindow, recoveryWindow } from '../window.ts'
import { clipCoverage, findWalNeeds, segmentsNeeded, type WalNeed } from './anchors.ts'
import { type HeldBackup, type HoldingsInput, joinHoldings, type RetentionHoldings } from './holdings.ts'
import { type RetentionPolicy, walCutoff } from './policy.ts'
import { applyRules, type BackupHold, type RuleVerdict } from './rules.ts'

/** Stored bytes of packs, by the set of backups that refer to them. */
export interface StoredShare {
  readonly bytes: number
  readonly users: readonly string[]
}

export type StoredWal = Pick<WalInventory, 'runs' | 'partials'>

export interface RetentionInput extends HoldingsInput {
  readonly policy: RetentionPolicy
  readonly holds: readonly BackupHold[]
  /** The backups that a verification has passed. */
  readonly verified: ReadonlySet<string>
  readonly now: Date
  /** For the bytes; default: unknown, which counts as none. */
  readonly shares?: readonly StoredShare[] | undefined
  /** For the bytes. */
  readonly stored?: StoredWal | undefined
}

export interface BackupDecision {
  readonly backupId: string
  readonly stoppedAt: string
  readonly action: 'keep' | 'drop'
  /** What keeps it; empty for one that goes. */
  readonly rules: readonly RuleVerdict[]
  /** For people: why it goes, or why it stays. */
  readonly why: string
  /** Stored bytes of packs that only this backup refers to. */
  readonly ownBytes: number
}

export interface WalStretch {
  readonly fromSegment: bigint
  /** Absent: everything from there on, also what is received later. */
  readonly toSegment?: bigint | undefined
  readonly fromLsn: Lsn
  readonly why: readonly string[]
}

export interface WalDecision {
  readonly timeline: number
  /** `all`: nothing of this timeline goes, because too little is known about it. */
  readonly keep: 'all' | readonly WalStretch[]
  readonly why: string
}

export interface RetentionBytes {
  readonly packsBefore: number
  readonly packsAfter: number
  readonly walBefore: number
  readonly walAfter: number
}

export interface RetentionPlan {
  readonly policy: RetentionPolicy
  readonly now: string
  /** Where the promised window begins. */
  readonly windowFrom: string
  /** Oldest first. */
  readonly backups: readonly BackupDecision[]
  readonly wal: readonly WalDecision[]
  readonly before: readonly RecoveryWindow[]
  readonly after: readonly RecoveryWindow[]
  readonly bytes: RetentionBytes
}

/** Decides what stays. Time, and everything else that it depends on, is passed in. */
export function planRetention(input: RetentionInput): RetentionPlan {
  const { policy, now, segmentSizeBytes } = input
  const holdings = joinHoldings(input)
  const verdicts = applyRules(holdings, input)
  const kept = holdings.backups.filter(({ backupId }) => verdicts.has(backupId))
  const cutoff = walCutoff(policy, now)
  const needs = findWalNeeds(holdings, { cutoff, kept, segmentSizeBytes })
  const wal = decideWal(input, { holdings, needs })
  const keptIds = new Set(kept.map(({ backupId }) => backupId))
  const own = ownBytes(input.shares ?? [])
  return {
    policy,
    now: now.toISOString(),
    windowFrom: cutoff.toISOString(),
    backups: holdings.backups.map((backup) => decide(backup, { policy, rules: verdicts.get(backup.backupId), own })),
    wal,
    before: recoveryWindow(input).windows,
    after: recoveryWindow(afterwards(input, { wal, keptIds })).windows,
    bytes: countBytes(input, { wal, keptIds }),
  }
}

function decide(
  backup: HeldBackup,
  facts: {
    readonly policy: RetentionPolicy
    readonly rules: readonly RuleVerdict[] | undefined
    readonly own: ReadonlyMap<string, number>
  },
): BackupDecision {
  const { backupId, stoppedAt } = backup
  const { rules = [], policy } = facts
  const unfit = backup.restorable ? '' : 'its WAL is not held, so it cannot be restored; '
  const why =
    rules.length > 0
      ? rules.map((one) => one.why).join('; ')
      : `${unfit}older than ${policy.days} days, and no other rule keeps it`
  return {
    backupId,
    stoppedAt,
    action: rules.length > 0 ? 'keep' : 'drop',
    rules,
    why,
    ownBytes: facts.own.get(backupId) ?? 0,
  }
}

function decideWal(
  input: RetentionInput,
  facts: { readonly holdings: RetentionHoldings; readonly needs: readonly WalNeed[] },
): WalDecision[] {
  const { holdings, needs } = facts
  const { segmentSizeBytes } = input
  const usable = holdings.backups.some(({ restorable }) => restorable)
  return input.coverage.map(({ timeline }) => {
    if (!usable) return { timeline, keep: 'all', why: 'no backup can be restored, so nothing is given up' }
    if (holdings.unknownTimelines.has(timeline))
      return { timeline, keep: 'all', why: 'the history of this timeline is missing' }
    const own = needs.filter((need) => need.timeline === timeline)
    const stretches = segmentsNeeded(own, { timeline, segmentSizeBytes }).map(({ first, last, why }) => ({
      fromSegment: first,
      ...(last === undefined ? {} : { toSegment: last }),
      fromLsn: segmentStart(first, segmentSizeBytes),
      why,
    }))
    const why = stretches.length > 0 ? (stretches.at(-1)?.why[0] ?? '') : 'no backup that is kept leads through it'
    return { timeline, keep: stretches, why }
  })
}

/** What the catalog will say once the plan is carried out. */
function afterwards(
  input: RetentionInput,
  { wal, keptIds }: { readonly wal: readonly WalDecision[]; readonly keptIds: ReadonlySet<string> },
): RetentionInput {
  const decisions = new Map(wal.map((decision) => [decision.timeline, decision.keep]))
  const coverage = input.coverage.flatMap((one): TimelineCoverage[] => {
    const keep = decisions.get(one.timeline) ?? 'all'
    if (keep === 'all') return [one]
    const stretches = keep.map(({ fromSegment, toSegment }) => ({ first: fromSegment, last: toSegment }))
    const ranges = clipCoverage(one.ranges, stretches, input.segmentSizeBytes)
    if (ranges.length === 0) return []
    const begin = ranges[0]?.beginLsn ?? 0n
    return [{ ...one, ranges, gaps: one.gaps.filter((gap) => gap.beginLsn >= begin) }]
  })
  return { ...input, coverage, backups: input.backups.filter(({ backupId }) => keptIds.has(backupId)) }
}

/** The segments of a timeline that stay. */
export function keptSegments(timeline: number, decision: WalDecision | undefined): SegmentSet {
  if (decision === undefined || decision.keep === 'all')
    return new SegmentSet([{ timeline, first: 0n, last: LAST_SEGMENT }])
  return new SegmentSet(
    decision.keep.map(({ fromSegment, toSegment = LAST_SEGMENT }) => {
      return { timeline, first: fromSegment, last: toSegment }
    }),
  )
}

function countBytes(
  input: RetentionInput,
  { wal, keptIds }: { readonly wal: readonly WalDecision[]; readonly keptIds: ReadonlySet<string> },
): RetentionBytes {
  const bytes = { packsBefore: 0, packsAfter: 0, walBefore: 0, walAfter: 0 }
  for (const { bytes: size, users } of input.shares ?? []) {
    bytes.packsBefore += size
    // What another cluster uses is not ours to judge.
    if (users.some((user) => keptIds.has(user) || user.endsWith('/'))) bytes.packsAfter += size
  }
  const { runs = [], partials = [] } = input.stored ?? {}
  for (const timeline of new Set([...runs, ...partials].map((one) => one.timeline))) {
    const kept = keptSegments(
      timeline,
      wal.find((decision) => decision.timeline === timeline),
    )
    const own = runs.filter((run) => run.timeline === timeline)
    const ends = partials.filter((partial) => partial.timeline === timeline)
    bytes.walBefore += storedBytesOf(own) + storedBytesOf(ends)
    bytes.walAfter += storedBytesOf(runsWithin(own, kept))
    bytes.walAfter += storedBytesOf(ends.filter(({ segment }) => kept.has(timeline, segment)))
  }
  return bytes
}

function ownBytes(shares: readonly StoredShare[]): Map<string, number> {
  const own = new Map<string, number>()
  for (const { bytes, users } of shares) {
    const [user] = users
    if (users.length === 1 && user !== undefined) own.set(user, (own.get(user) ?? 0) + bytes)
  }
  return own
}
