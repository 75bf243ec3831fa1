/** Which backups which rule keeps. */
import { type Anchor, findAnchors } from './anchors.ts'
import type { HeldBackup, RetentionHoldings } from './holdings.ts'
import { ageCutoff, type Period, periods, type RetentionPolicy, walCutoff } from './policy.ts'

export type KeepRule = 'age' | 'count' | Period | 'hold' | 'window' | 'verified' | 'newest' | 'unknown'

export interface RuleVerdict {
  readonly rule: KeepRule
  /** For people: a phrase. */
  readonly why: string
}

/** A backup that somebody has said must not go. */
export interface BackupHold {
  readonly backupId: string
  readonly reason: string
  /** ISO 8601; afterwards it counts no more. */
  readonly until?: string | undefined
}

export interface RulesInput {
  readonly policy: RetentionPolicy
  readonly holds: readonly BackupHold[]
  /** The backups that a verification has passed. */
  readonly verified: ReadonlySet<string>
  readonly now: Date
}

/** The rules that keep each backup; a backup that is not in the result is kept by none. */
export function applyRules(holdings: RetentionHoldings, input: RulesInput): Map<string, RuleVerdict[]> {
  const verdicts = new Map<string, RuleVerdict[]>()
  const keep = (backup: { readonly backupId: string }, rule: KeepRule, why: string) => {
    const known = verdicts.get(backup.backupId) ?? []
    if (!known.some((one) => one.rule === rule)) verdicts.set(backup.backupId, [...known, { rule, why }])
  }
  const { policy, now } = input
  const anchors = findAnchors(holdings, walCutoff(policy, now))
  for (const { backup, why } of anchors) keep(backup, 'window', why)
  keepByAge(holdings, input, keep)
  keepByCalendar(holdings, policy, keep)
  for (const { backupId, reason, until } of input.holds) {
    if (until !== undefined && Date.parse(until) <= now.getTime()) continue
    if (holdings.backups.some((backup) => backup.backupId === backupId))
      keep({ backupId }, 'hold', `held${until === undefined ? '' : ` until ${until}`}: ${reason}`)
  }
  keepForSafety(holdings, { ...input, anchors }, keep)
  return verdicts
}

type Keep = (backup: { readonly backupId: string }, rule: KeepRule, why: string) => void

function keepByAge({ backups }: RetentionHoldings, { policy, now }: RulesInput, keep: Keep): void {
  const cutoffMs = ageCutoff(policy, now).getTime()
  for (const backup of backups)
    if (backup.stoppedMs >= cutoffMs) keep(backup, 'age', `not older than ${policy.days} days`)
  const { count = 0 } = policy
  if (count > 0)
    for (const backup of restorable(backups).slice(-count)) keep(backup, 'count', `among the newest ${count}`)
}

/** Of every period the newest backup that can be restored; periods without one do not count. */
function keepByCalendar({ backups }: RetentionHoldings, policy: RetentionPolicy, keep: Keep): void {
  for (const period of Object.keys(periods) as Period[]) {
    const most = policy[period] ?? 0
    const seen = new Set<string>()
    for (const backup of restorable(backups).reverse()) {
      const name = periods[period](new Date(backup.stoppedMs))
      if (seen.has(name)) continue
      if (seen.size === most) break
      seen.add(name)
      keep(backup, period, `the newest of ${name}`)
    }
  }
}

/** What no policy can switch off. */
function keepForSafety(
  { backups }: RetentionHoldings,
  input: RulesInput & { readonly anchors: readonly Anchor[] },
  keep: Keep,
): void {
  for (const backup of backups)
    if (backup.unknown)
      keep(backup, 'unknown', 'the history of its timeline is missing, so nothing can be said about it')
  const usable = restorable(backups)
  const lastUsable = usable.at(-1)
  const verified = usable.findLast(({ backupId }) => input.verified.has(backupId))
  if (verified) keep(verified, 'verified', 'the newest that a verification has passed')
  if (lastUsable) keep(lastUsable, 'newest', 'the newest that can be restored')
  // The WAL of a newer one may still be on its way; without any usable one nothing is given up at all.
  const from = lastUsable ? backups.indexOf(lastUsable) + 1 : 0
  const why = lastUsable
    ? 'newer than every backup that can be restored'
    : 'no backup can be restored, so none is given up'
  for (const backup of backups.slice(from)) keep(backup, 'newest', why)
}

function restorable(backups: readonly HeldBackup[]): HeldBackup[] {
  return backups.filter((backup) => backup.restorable)
}
