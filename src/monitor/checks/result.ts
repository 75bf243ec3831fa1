/** What a check found: one of four states, what was measured, and the fix. A check that could not find out never passed. */
import type { ErrorCode } from '../../base/error-codes.ts'
import type { RetakeError } from '../../base/errors.ts'
import type { Measurements } from './measurements.ts'

/**
 * `passed`: as it should be. `failed`: it is not, and `severity` says how bad that is. `skipped`: it does not apply here.
 * `unknown`: it could not be found out, also when the time limit ran out. Why a check was skipped or is unknown stands in `finding`.
 */
export type HealthCheckState = 'passed' | 'failed' | 'skipped' | 'unknown'

/** `danger`: recovery is endangered now. `warning`: it will be, or a promise is not kept. */
export type Severity = 'danger' | 'warning'

export type HealthCheckName = keyof Measurements

export interface Outcome<M> {
  readonly state: HealthCheckState
  /** Only of what failed. */
  readonly severity?: Severity | undefined
  /** A sentence for people. */
  readonly finding: string
  /** A command, a statement or a sentence that says exactly what to do. */
  readonly fix?: string | undefined
  /** What stopped the check, where an error did. */
  readonly code?: ErrorCode | undefined
  /** Absent when nothing was measured. */
  readonly measured?: M | undefined
}

export interface HealthCheckResult<N extends HealthCheckName = HealthCheckName> extends Outcome<Measurements[N]> {
  readonly name: N
  readonly title: string
  /** When it ended, our clock, ISO 8601 UTC. */
  readonly at: string
  readonly durationMs: number
}

export const passed = <M>(finding: string, measured: M): Outcome<M> => ({ state: 'passed', finding, measured })

export const failed = <M>(
  finding: string,
  facts: { readonly severity: Severity; readonly fix: string; readonly measured?: M },
): Outcome<M> => ({ state: 'failed', finding, ...facts })

export const skipped = <M>(
  finding: string,
  facts: { readonly fix?: string; readonly measured?: M } = {},
): Outcome<M> => ({
  state: 'skipped',
  finding,
  ...facts,
})

export const unknown = <M>(
  finding: string,
  facts: { readonly fix?: string; readonly measured?: M } = {},
): Outcome<M> => ({
  state: 'unknown',
  finding,
  ...facts,
})

/** What a check says when something that it needs threw. */
export function unknownBecause<M>(error: RetakeError): Outcome<M> {
  return { ...unknown<M>(error.message, error.hint === undefined ? {} : { fix: error.hint }), code: error.code }
}

/** The result of a check of this name, if it was run. */
export function resultOf<N extends HealthCheckName>(
  results: readonly HealthCheckResult[],
  name: N,
): HealthCheckResult<N> | undefined {
  // The name decides which values were measured.
  return results.find((result): result is HealthCheckResult<N> => result.name === name)
}
