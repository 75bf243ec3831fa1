/** What a pruning has done, or would do, as plain data: for `--json`, and for people by the command line. */
import type { BackupDecision, RetentionPlan, WalDecision } from '../catalog/retention/plan.ts'
import type { RetentionPolicy } from '../catalog/retention/policy.ts'
import { formatLsn, segmentStart } from '../postgres/lsn.ts'
import type { CondemnedRecord } from '../repository/condemned.ts'
import type { DeletionReport, WaitingRecord } from '../repository/sweep/delete.ts'
import type { Survey } from '../repository/sweep/survey.ts'
import type { Decided, Unused } from './prune-decision.ts'
import { viewWindow, type WindowView } from './window.ts'

export interface WalDecisionView {
  readonly timeline: number
  /** `all`: nothing of this timeline goes. */
  readonly keep:
    | 'all'
    | readonly { readonly fromLsn: string; readonly toLsn?: string | undefined; readonly why: readonly string[] }[]
  readonly why: string
}

export interface RetentionPlanView {
  readonly policy: RetentionPolicy
  /** Our clock, ISO 8601 UTC. */
  readonly at: string
  /** Where the promised recovery window begins. */
  readonly windowFrom: string
  /** Oldest first. */
  readonly backups: readonly BackupDecision[]
  readonly wal: readonly WalDecisionView[]
  readonly windowBefore: readonly WindowView[]
  readonly windowAfter: readonly WindowView[]
  /** Stored bytes that backups refer to, and of WAL. */
  readonly bytes: {
    readonly packsBefore: number
    readonly packsAfter: number
    readonly walBefore: number
    readonly walAfter: number
  }
}

export interface RepackReport {
  /** Sparse packs that were rewritten. */
  readonly packs: number
  /** Their stored bytes, and those of the packs written instead. */
  readonly freedBytes: number
  readonly writtenBytes: number
  /** Packs left as they are, because a frame that is needed is damaged. */
  readonly damaged: readonly string[]
}

export interface PruneReport {
  readonly cluster: string
  readonly dryRun: boolean
  readonly plan: RetentionPlanView
  /** What this run gave up, or would: it is deleted after the time of grace. */
  readonly givenUp: {
    readonly backups: readonly string[]
    readonly packs: number
    readonly packBytes: number
    readonly segments: number
    readonly walBytes: number
  }
  readonly repack: RepackReport
  /** What this run deleted of what was given up before. */
  readonly deleted: { readonly objects: number; readonly bytes: number; readonly reprievedPacks: number }
  /** What is given up and still stored, and until when. */
  readonly pending: readonly WaitingRecord[]
  /** Objects that the storage does not let go yet. */
  readonly locked: readonly string[]
  /** Why something was left alone: sentences. */
  readonly doubts: readonly string[]
}

export interface ReportParts {
  readonly cluster: string
  readonly dryRun: boolean
  readonly graceMs: number
  readonly decided: Decided
  readonly survey: Survey
  readonly unused: Unused
  readonly pending: readonly CondemnedRecord[]
  readonly repack: RepackReport
  readonly deletions?: readonly DeletionReport[] | undefined
}

export function reportOf(parts: ReportParts): PruneReport {
  const { decided, unused, deletions = [] } = parts
  const total = (pick: (report: DeletionReport) => number) => deletions.reduce((sum, one) => sum + pick(one), 0)
  return {
    cluster: parts.cluster,
    dryRun: parts.dryRun,
    plan: viewPlan(decided.plan, decided.facts.input.segmentSizeBytes),
    givenUp: {
      backups: [...decided.dropped].sort(),
      packs: unused.packs.size,
      packBytes: [...unused.packs.values()].reduce((sum, bytes) => sum + bytes, 0),
      segments: decided.wal.segments.reduce((sum, { first, last }) => sum + Number(last - first) + 1, 0),
      walBytes: decided.wal.bytes,
    },
    repack: parts.repack,
    deleted: {
      objects: total(({ objects }) => objects),
      bytes: total(({ bytes }) => bytes),
      reprievedPacks: total(({ reprieved }) => reprieved),
    },
    pending: parts.pending.map((record) => pendingOf(record, { graceMs: parts.graceMs, deletions })),
    locked: [...new Set(deletions.flatMap(({ locked }) => locked))],
    doubts: doubtsOf(parts),
  }
}

function doubtsOf({ decided, unused, survey }: ReportParts): string[] {
  const doubts = [...decided.doubts.map((doubt) => `No backup is given up: ${doubt}`)]
  for (const { message } of unused.unreadable) doubts.push(`No pack is given up, because one may be in use: ${message}`)
  for (const doubt of decided.walDoubts)
    if (!decided.doubts.includes(doubt)) doubts.push(`No WAL is given up: ${doubt}`)
  if (unused.unknown > 0 && survey.damage.length === 0) {
    doubts.push(
      `${unused.unknown} packs are referred to by no backup and do not open with the key of this cluster; they are left alone.`,
    )
  }
  return [...new Set(doubts)]
}

function pendingOf(
  record: CondemnedRecord,
  facts: { readonly graceMs: number; readonly deletions: readonly DeletionReport[] },
): WaitingRecord {
  const known = facts.deletions.at(-1)?.waiting.find(({ id }) => id === record.id)
  if (known) return known
  const { id, why, backups, packs, bytes, ready, condemnedAt } = record
  const dueAt = new Date(Date.parse(ready?.at ?? condemnedAt) + facts.graceMs).toISOString()
  return { id, why, backups, packCount: packs.length, bytes, dueAt, waitsFor: 'grace' }
}

export function viewPlan(plan: RetentionPlan, segmentSizeBytes: number): RetentionPlanView {
  const { policy, now, windowFrom, backups, wal, before, after, bytes } = plan
  return {
    policy,
    at: now,
    windowFrom,
    backups,
    wal: wal.map((decision) => viewWal(decision, segmentSizeBytes)),
    windowBefore: before.map(viewWindow),
    windowAfter: after.map(viewWindow),
    bytes,
  }
}

function viewWal({ timeline, keep, why }: WalDecision, segmentSizeBytes: number): WalDecisionView {
  if (keep === 'all') return { timeline, keep, why }
  return {
    timeline,
    why,
    keep: keep.map((stretch) => ({
      fromLsn: formatLsn(stretch.fromLsn),
      ...(stretch.toSegment === undefined
        ? {}
        : { toLsn: formatLsn(segmentStart(stretch.toSegment + 1n, segmentSizeBytes)) }),
      why: stretch.why,
    })),
  }
}
