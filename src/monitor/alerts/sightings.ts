/** The common ways to look at a report. Pure. */
import { type HealthCheckName, type HealthCheckResult, resultOf, type Severity } from '../checks/result.ts'
import type { HealthReport } from '../read-health.ts'
import type { Sighting } from './rule.ts'

export const MINUTE_MS = 60_000
export const HOUR_MS = 60 * MINUTE_MS

export const clear = (target = ''): Sighting => ({ target, state: 'clear', finding: '', fix: '' })

interface Named {
  readonly target?: string | undefined
  readonly finding?: string | undefined
  readonly fix?: string | undefined
  readonly newestAt?: string | undefined
}

function sightingOf(result: HealthCheckResult, isBad: boolean, named: Named = {}): Sighting {
  const { target = '', finding = result.finding, fix = result.fix ?? 'retake health', newestAt } = named
  if (!isBad) return clear(target)
  return { target, state: 'firing', finding, fix, ...(newestAt === undefined ? {} : { newestAt }) }
}

/** A check that is as bad as this. Skipped is clear; without a result nothing is known. */
export function whenFailed(name: HealthCheckName, severity?: Severity): (report: HealthReport) => readonly Sighting[] {
  return ({ checks }) => {
    const result = resultOf(checks, name)
    if (!result || result.state === 'unknown') return [unknownSighting(result)]
    return [sightingOf(result, result.state === 'failed' && (severity === undefined || result.severity === severity))]
  }
}

/** What a check has measured is bad, whatever it says of it. */
export function whenMeasured<N extends HealthCheckName>(
  name: N,
  judge: (measured: NonNullable<HealthCheckResult<N>['measured']>) => boolean | Named | undefined,
): (report: HealthReport) => readonly Sighting[] {
  return (report) => {
    const result = resultOf(report.checks, name)
    if (!result?.measured) return [result?.state === 'skipped' ? clear() : unknownSighting(result)]
    const verdict = judge(result.measured)
    if (verdict === undefined) return [unknownSighting(result)]
    return typeof verdict === 'boolean' ? [sightingOf(result, verdict)] : [sightingOf(result, true, verdict)]
  }
}

/** Several of a kind, each with its own alert; `notKnown` names those that cannot be told of. */
export function eachMeasured<N extends HealthCheckName>(
  name: N,
  list: (measured: NonNullable<HealthCheckResult<N>['measured']>) => readonly (Named & { readonly target: string })[],
  notKnown: (measured: NonNullable<HealthCheckResult<N>['measured']>) => readonly string[] = () => [],
): (report: HealthReport) => readonly Sighting[] {
  return (report) => {
    const result = resultOf(report.checks, name)
    if (!result?.measured) return [result?.state === 'skipped' ? clear() : unknownSighting(result)]
    // Those that are not named any more are clear; the empty one says that it could be looked at.
    return [
      clear(),
      ...list(result.measured).map((one) => sightingOf(result, true, one)),
      ...notKnown(result.measured).map((target) => ({ ...unknownSighting(result), target })),
    ]
  }
}

export function unknownSighting(result: Pick<HealthCheckResult, 'finding' | 'fix'> | undefined): Sighting {
  return {
    target: '',
    state: 'unknown',
    finding: result?.finding ?? 'It was not looked at.',
    fix: result?.fix ?? 'retake health',
  }
}

/** Undefined, which is unknown, where there is no value. */
export function isBelow(value: number | undefined, limit: number): boolean | undefined {
  return value === undefined ? undefined : value < limit
}
