/** What should be done, the most effective first. */
import type { HealthCheckResult } from '../checks/result.ts'
import type { HealthScore } from './score.ts'

export interface Recommendation {
  /** What it wins in the score; 0 where the score does not see it. */
  readonly points: number
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
    found.set(one.fix, known ? { ...known, points: Math.round((known.points + one.points) * 10) / 10 } : one)
  }
  for (const { limit, reason, fix } of score.caps) {
    if (limit < score.points) add({ points: 0, liftsCap: limit, reason, fix })
  }
  for (const { points, reason, fix } of score.lost) add({ points, reason, fix })
  const danger = checks.filter(({ state, severity }) => state === 'failed' && severity === 'danger')
  const warnings = checks.filter(({ state, severity }) => state === 'failed' && severity !== 'danger')
  for (const { finding, fix } of [...danger, ...warnings]) {
    if (fix !== undefined) add({ points: 0, reason: finding, fix })
  }
  const isFirst = ({ liftsCap }: Recommendation) => liftsCap !== undefined
  const all = [...found.values()]
  return [...all.filter(isFirst), ...all.filter((one) => !isFirst(one))]
}
