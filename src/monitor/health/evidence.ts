/** The results of checks as the score may use them: what is too old, or did not come to an end, is not known. */
import { type HealthCheckName, type HealthCheckResult, resultOf } from '../checks/result.ts'
import type { HealthInput } from './input.ts'

export interface Evidence extends HealthInput {
  /** The result of a check when it is fresh. */
  readonly get: <N extends HealthCheckName>(name: N) => HealthCheckResult<N> | undefined
  /** What a check measured, when that is known and fresh. */
  readonly measured: <N extends HealthCheckName>(name: N) => HealthCheckResult<N>['measured']
  /** Why something is not known: the finding of the check. */
  readonly why: (name: HealthCheckName) => { readonly reason: string; readonly fix: string }
}

const LOOK = 'retake doctor'

export function evidenceOf(input: HealthInput): Evidence {
  const get = <N extends HealthCheckName>(name: N): HealthCheckResult<N> | undefined => {
    const result = resultOf(input.checks, name)
    return result && isFresh(result, input) ? result : undefined
  }
  return {
    ...input,
    get,
    measured: (name) => {
      const result = get(name)
      return result === undefined || result.state === 'unknown' ? undefined : result.measured
    },
    why: (name) => {
      const result = get(name)
      if (result) return { reason: result.finding, fix: result.fix ?? LOOK }
      const stale = resultOf(input.checks, name)
      const reason = stale
        ? `${stale.title}: last looked at ${stale.at}, which is too long ago.`
        : `Not looked at: ${name}.`
      return { reason, fix: 'retake health' }
    },
  }
}

function isFresh({ at }: { readonly at: string }, { now, intervalMs }: HealthInput): boolean {
  return now.getTime() - Date.parse(at) <= 2 * intervalMs
}
