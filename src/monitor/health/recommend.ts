/** What should be done, the most effective first. */
import type { HealthCheckResult } from '../checks/result.ts'
import type { HealthScore } from './score.ts'

export interface Recommendation {
  /** What it wins in the score; 0 where the score does not see it, or cannot yet. */
  readonly points: number
  /** What is lost for this reason. */
  readonly lost: number
  /** Raises a cap that binds: without it, nothing else raises the score. */
  readonly liftsCap?: number | undefined
  readonly reason: string
  readonly fix: string
}

/** One for each fix: first what caps the score, then lost points, then checks that failed and cost none. */
export function recommend(score: HealthScore, checks: readonly HealthCheckResult[]): Recommendation[] {
  const found = new Map<string, Recommendation>()
  const add = (one: Recommendation) => {
    const known = found.get(one.fix)
    found.set(
      one.fix,
      known ? { ...known, points: tenths(known.points + one.points), lost: tenths(known.lost + one.lost) } : one,
    )
  }
  for (const { limit, reason, fix } of score.caps) {
    if (limit < score.points) add({ points: 0, lost: 0, liftsCap: limit, reason, fix })
  }
  for (const { points, winnable, reason, fix } of score.lost) add({ points: winnable, lost: points, reason, fix })
  const danger = checks.filter(({ state, severity }) => state === 'failed' && severity === 'danger')
  const warnings = checks.filter(({ state, severity }) => state === 'failed' && severity !== 'danger')
  for (const { finding, fix } of [...danger, ...warnings]) {
    if (fix !== undefined) add({ points: 0, lost: 0, reason: finding, fix })
  }
  const isFirst = ({ liftsCap }: Recommendation) => liftsCap !== undefined
  const all = [...found.values()].sort((left, right) => right.points - left.points)
  return [...all.filter(isFirst), ...all.filter((one) => !isFirst(one))]
}

function tenths(points: number): number {
  return Math.round(points * 10) / 10
}
