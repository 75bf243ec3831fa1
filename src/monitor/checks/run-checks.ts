/** Runs checks side by side, each within its time limit. What hangs is unknown, and holds up none of the others. */
import { attempt } from '../../base/attempt.ts'
import type { Measurements } from './measurements.ts'
import { type HealthCheckName, type HealthCheckResult, type Outcome, unknownBecause } from './result.ts'
import type { HealthSources } from './sources.ts'

export const DEFAULT_CHECK_LIMIT_MS = 10_000

export interface HealthCheck<N extends HealthCheckName = HealthCheckName> {
  readonly name: N
  readonly title: string
  /** What may take longer than {@link DEFAULT_CHECK_LIMIT_MS} by its nature, as a factor of it. */
  readonly patience?: number | undefined
  readonly run: (sources: HealthSources, signal: AbortSignal) => Promise<Outcome<Measurements[N]>>
}

export interface RunChecksOptions {
  readonly limitMs: number
  readonly signal?: AbortSignal | undefined
}

/** In the order of the checks. @throws RetakeError `aborted` */
export async function runChecks(
  checks: readonly AnyHealthCheck[],
  sources: HealthSources,
  { limitMs, signal }: RunChecksOptions,
): Promise<HealthCheckResult[]> {
  const { clock } = sources.settings
  return Promise.all(
    checks.map(async ({ name, title, patience = 1, run }) => {
      const begunMs = clock.monotonicMs()
      const outcome = await attempt<Outcome<unknown>>((ending) => run(sources, ending), {
        limitMs: limitMs * patience,
        what: title.toLowerCase(),
        hint: 'Look at what does not answer, or give it longer: retake health --timeout 60',
        signal,
      })
      const found = 'value' in outcome ? outcome.value : unknownBecause<unknown>(outcome.error)
      const durationMs = clock.monotonicMs() - begunMs
      // The name and what was measured belong together, because both come from one check.
      return { name, title, at: clock.now().toISOString(), durationMs, ...found } as HealthCheckResult
    }),
  )
}

/** A check of any name; the names keep what each measures apart. */
export type AnyHealthCheck = { readonly [N in HealthCheckName]: HealthCheck<N> }[HealthCheckName]
