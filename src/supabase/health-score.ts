/**
 * The health score of a project as it can be seen from outside: 0 to 100 from the four parts of the backup strategy. Pure.
 *
 * Weights keep the proportion that the full formula gives these subjects (freshness 25, success 15, retention of copies 10):
 * freshness is split into recency and point-in-time recovery. A part is full at its target, nothing at twice the target, and
 * linear in between. What is not known earns nothing and says so. Caps are stronger than weights.
 */

/** Stored with each value, so that values of different formulas are not compared. */
const FORMULA = 'supabase-1'

const WEIGHTS = { recency: 30, success: 30, pointInTime: 20, retention: 20 } as const

export type HealthPartName = keyof typeof WEIGHTS

export interface HealthPart {
  readonly name: HealthPartName
  readonly weight: number
  readonly points: number | 'unknown'
  readonly reason: string
  /** How to win the lost points back; absent when none is lost. */
  readonly fix?: string | undefined
}

export interface HealthCap {
  readonly atMost: number
  readonly reason: string
  readonly fix: string
}

export interface HealthScore {
  readonly formula: string
  readonly score: number | 'unknown'
  /** Why there is no number. */
  readonly reason?: string | undefined
  /** The sum of the parts, before caps. */
  readonly points: number | 'unknown'
  /** What it would be if everything unknown turned out well. */
  readonly atMost: number
  readonly band: 'good' | 'attention' | 'at risk' | 'unknown'
  readonly parts: readonly HealthPart[]
  /** Those that hold. */
  readonly caps: readonly HealthCap[]
}

/** A measured value, or why there is none. */
export type Measured<T> = { readonly value: T; readonly explanation: string } | { readonly unknown: string }

export interface HealthFacts {
  /** Whether anything can be restored at all. */
  readonly restorable: Measured<boolean>
  /** Age of the newest moment that can be restored. */
  readonly ageHours: Measured<number>
  /** Share of the scheduled backups that succeeded, 0 to 1. */
  readonly successShare: Measured<number>
  readonly pointInTime: Measured<boolean>
  readonly retentionDays: Measured<number>
  /** A hole in the WAL that Retake holds. */
  readonly openGap: boolean
  readonly targets: { readonly recencyHours: number; readonly retentionDays: number }
}

export function scoreHealth(facts: HealthFacts): HealthScore {
  const parts = [recency(facts), success(facts), pointInTime(facts), retention(facts)]
  const caps = capsOf(facts)
  const lowest = Math.min(100, ...caps.map(({ atMost }) => atMost))
  const sum = parts.reduce((total, { points }) => total + (points === 'unknown' ? 0 : points), 0)
  const best = parts.reduce((total, { points, weight }) => total + (points === 'unknown' ? weight : points), 0)
  const base = { formula: FORMULA, parts, caps, atMost: Math.min(Math.round(best), lowest) }
  if ('unknown' in facts.restorable) {
    return { ...base, score: 'unknown', points: 'unknown', band: 'unknown', reason: facts.restorable.unknown }
  }
  const score = Math.min(Math.round(sum), lowest)
  return { ...base, score, points: Math.round(sum), band: bandOf(score) }
}

const bandOf = (score: number) => (score >= 90 ? 'good' : score >= 70 ? 'attention' : 'at risk')

interface Judged {
  /** 0 to 1. */
  readonly share: number
  readonly reason: string
  readonly fix: string
}

function part<T>(name: HealthPartName, measured: Measured<T>, judge: (value: T, why: string) => Judged): HealthPart {
  const weight = WEIGHTS[name]
  if ('unknown' in measured) {
    const fix = 'Give the report what it needs to know this: a management token, or the address of Retake.'
    return { name, weight, points: 'unknown', reason: measured.unknown, fix }
  }
  const { share, reason, fix } = judge(measured.value, measured.explanation)
  const points = Math.round(weight * Math.min(1, Math.max(0, share)) * 10) / 10
  return { name, weight, points, reason, ...(points < weight ? { fix } : {}) }
}

const recency = ({ ageHours, targets }: HealthFacts) =>
  part('recency', ageHours, (hours, why) => ({
    share: 2 - hours / targets.recencyHours,
    reason: why,
    fix: 'Find out why no newer backup exists, and make one now.',
  }))

/** 99.9 % is full; half or less is nothing. */
const success = ({ successShare }: HealthFacts) =>
  part('success', successShare, (rate, why) => ({
    share: rate >= 0.999 ? 1 : (rate - 0.5) * 2,
    reason: why,
    fix: 'Find out why backups failed or did not run.',
  }))

const pointInTime = (facts: HealthFacts) =>
  part('pointInTime', facts.pointInTime, (enabled, why) => ({
    share: enabled ? 1 : 0,
    reason: why,
    fix: 'Enable point-in-time recovery, so that less than a day can be lost.',
  }))

/** Nothing at half of the target. */
const retention = ({ retentionDays, targets }: HealthFacts) =>
  part('retention', retentionDays, (days, why) => ({
    share: days / targets.retentionDays >= 1 ? 1 : (days / targets.retentionDays) * 2 - 1,
    reason: why,
    fix: `Keep backups for at least ${targets.retentionDays} days.`,
  }))

function capsOf(facts: HealthFacts): HealthCap[] {
  const { restorable, openGap } = facts
  const caps: HealthCap[] = []
  if ('value' in restorable && !restorable.value) {
    caps.push({
      atMost: 0,
      reason: `Nothing can be restored: ${restorable.explanation}`,
      fix: 'Make a backup that is yours: supabase db dump, or Retake.',
    })
  }
  if (openGap) {
    caps.push({ atMost: 40, reason: 'WAL is missing in what Retake holds.', fix: 'retake backup' })
  }
  caps.push({
    atMost: 60,
    reason: 'No rehearsed recovery is known: nobody has shown that these backups restore.',
    fix: 'Restore the newest backup into a project or server of its own, and check it.',
  })
  return caps
}
