import { type HealthCheckName, type HealthCheckResult, resultOf } from '../checks/result.ts'

/** What a check measured, when it came to an end. */
export type Measured = <N extends HealthCheckName>(name: N) => HealthCheckResult<N>['measured']

export function measuredBy(checks: readonly HealthCheckResult[]): Measured {
  return (name) => {
    const result = resultOf(checks, name)
    return result === undefined || result.state === 'unknown' ? undefined : result.measured
  }
}
