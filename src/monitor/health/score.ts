/** The health score: 0 to 100, with a reason and a fix for every point that is lost. Pure. */
import { type Cap, capsOf } from './caps.ts'
import { type Evidence, evidenceOf } from './evidence.ts'
import { clamp } from './factors.ts'
import type { HealthInput } from './input.ts'
import type { ScoreRule } from './rule.ts'
import { FORMULA_VERSION, type PartName, parts } from './rules.ts'

export type Band = 'good' | 'attention' | 'at risk' | 'unknown'

export interface ScoreItem {
  readonly name: string
  readonly title: string
  readonly weight: number
  readonly points: number
  /** It could not be found out; that counts as nothing. */
  readonly isUnknown: boolean
}

export interface ScorePart {
  readonly name: PartName
  readonly title: string
  readonly weight: number
  readonly points: number
  readonly items: readonly ScoreItem[]
}

export interface LostPoints {
  readonly part: PartName
  readonly item: string
  readonly points: number
  /** How many of them the fix wins back. */
  readonly winnable: number
  readonly reason: string
  readonly fix: string
}

export interface HealthScore {
  /** Scores of different versions are not comparable. */
  readonly formula: number
  /** ISO 8601 UTC. */
  readonly at: string
  /** Undefined: too little is known for a number. */
  readonly value?: number | undefined
  readonly band: Band
  /** Why there is no number. */
  readonly unknownBecause?: string | undefined
  /** What the parts come to, without caps. */
  readonly points: number
  readonly parts: readonly ScorePart[]
  /** Every cap that holds, the lowest first; the first one binds when it is below the points. */
  readonly caps: readonly Cap[]
  /** The most points first. */
  readonly lost: readonly LostPoints[]
}

/**
 * The score of what checks have found.
 *
 * ```ts
 * const { value, lost } = scoreHealth({ checks, history, targets, now, intervalMs })
 * ```
 */
export function scoreHealth(input: HealthInput): HealthScore {
  const evidence = evidenceOf(input)
  const lost: LostPoints[] = []
  const scored = parts.map(({ name, title, items }): ScorePart => {
    const found = items.map((rule) => scoreItem(rule, { evidence, part: name, lost }))
    return {
      name,
      title,
      weight: sum(found.map(({ weight }) => weight)),
      points: round(sum(found.map(({ points }) => points))),
      items: found.map((item) => ({ ...item, points: round(item.points) })),
    }
  })
  const caps = capsOf(evidence)
  const total =
    sum(parts.flatMap(({ items }) => items.map((rule) => rule.weight))) - sum(lost.map(({ points }) => points))
  const unknownBecause = whyUnknown(evidence)
  const value = Math.floor(Math.min(total, caps[0]?.limit ?? 100) + 1e-9)
  return {
    formula: FORMULA_VERSION,
    at: input.now.toISOString(),
    ...(unknownBecause === undefined ? { value } : { unknownBecause }),
    band: unknownBecause === undefined ? bandOf(value) : 'unknown',
    points: round(total),
    parts: scored,
    caps,
    lost: lost
      .map((one) => ({ ...one, points: round(one.points), winnable: round(one.winnable) }))
      .sort((left, right) => right.points - left.points),
  }
}

export function bandOf(value: number): Band {
  if (value >= 90) return 'good'
  return value >= 70 ? 'attention' : 'at risk'
}

/** Lost points are added to `lost`. */
function scoreItem(
  rule: ScoreRule,
  context: { readonly evidence: Evidence; readonly part: PartName; readonly lost: LostPoints[] },
): ScoreItem {
  const { name, title, weight } = rule
  const { factor, reason, fix, reaches = 1, isUnknown = false } = rule.judge(context.evidence)
  const points = weight * (isUnknown ? 0 : clamp(factor))
  if (points < weight) {
    const winnable = Math.max(0, weight * reaches - points)
    context.lost.push({ part: context.part, item: name, points: weight - points, winnable, reason, fix })
  }
  return { name, title, weight, points, isUnknown }
}

/** A repository that is certainly gone is a finding; one of which nothing is known, and so no backup, is none. */
function whyUnknown({ get, why }: Evidence): string | undefined {
  const repository = get('repository')
  if (repository?.state === 'failed') return undefined
  if (repository?.state !== 'passed') return why('repository').reason
  const backup = get('backup')
  return backup === undefined || backup.state === 'unknown' ? why('backup').reason : undefined
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** To a tenth, never upward: a point that is not there is not shown. */
function round(points: number): number {
  return Math.floor(points * 10 + 1e-6) / 10
}
