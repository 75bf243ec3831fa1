/** The health of a cluster in one line, for whoever looks on while it is developed or set up. Pure. */
import type { HealthCheckResult } from '../checks/result.ts'
import type { HealthReport } from '../read-health.ts'

type Seen = Pick<HealthReport, 'cluster' | 'verdict' | 'score' | 'checks'>

export function healthLine({ cluster, score, checks, verdict }: Seen): string {
  const wrong = wrongOf(checks)
  const number = score.value === undefined ? 'score unknown' : `${score.value} of 100, ${score.band}`
  const word = { ok: 'ok', endangered: 'ENDANGERED', unknown: 'UNKNOWN' }[verdict]
  const [worst] = wrong
  const more = wrong.length > 1 ? [`And ${wrong.length - 1} more (retake health).`] : []
  const fix = worst?.fix === undefined ? [] : [`Fix: ${worst.fix}`]
  return [`${cluster}: ${word} (${number}).`, ...(worst ? [nameIt(worst)] : []), ...more, ...fix].join(' ')
}

/** A line that says the same needs not be said again; that the score moves by a point is not news. */
export function healthLineKey({ verdict, score, checks }: Seen): string {
  return JSON.stringify([
    verdict,
    score.band,
    wrongOf(checks).map(({ name, state, severity }) => [name, state, severity]),
  ])
}

/** The worst first. */
function wrongOf(checks: readonly HealthCheckResult[]): HealthCheckResult[] {
  const rank = ({ state, severity }: HealthCheckResult) => (state === 'unknown' ? 1 : severity === 'danger' ? 0 : 2)
  return checks
    .filter(({ state }) => state === 'failed' || state === 'unknown')
    .toSorted((left, right) => rank(left) - rank(right))
}

const nameIt = ({ title, state, finding }: HealthCheckResult) =>
  `${title}${state === 'unknown' ? ', unknown' : ''}: ${finding}`
