/** What the server itself tells: that it answers, its clock, and what of its configuration no backup holds. */
import { toRetakeError } from '../../base/errors.ts'
import type { Verdict } from '../../engine/doctor/check.ts'
import { clockCheck, outsideFilesCheck } from '../../engine/doctor/server-checks.ts'
import type { Measurements } from './measurements.ts'
import type { Observation } from './observation.ts'
import { failed, type Outcome, passed, unknown } from './result.ts'
import type { HealthCheck } from './run-checks.ts'

export const connectivity: HealthCheck<'connectivity'> = {
  name: 'connectivity',
  title: 'Database answers',
  run: async (sources) => {
    try {
      const { connectMs, latencyMs, sql } = await sources.link()
      const { database, inRecovery } = await sources.moment()
      const measured = { latencyMs, connectMs, serverVersionNum: sql.serverVersionNum, database, inRecovery }
      return passed(`The database "${database}" answers within ${latencyMs.toFixed(1)} ms.`, measured)
    } catch (thrown) {
      const error = toRetakeError(thrown)
      return { ...failed(error.message, { severity: 'danger', fix: error.hint ?? 'retake doctor' }), code: error.code }
    }
  },
}

export const clock: HealthCheck<'clock'> = {
  name: 'clock',
  title: 'Clocks agree',
  run: async (sources) => {
    const facts = await sources.serverFacts()
    const measured = { offsetMs: facts.clockOffsetMs, uncertaintyMs: facts.clockUncertaintyMs }
    return outcomeOf(clockCheck.judge(facts), measured)
  },
}

export const configuration: HealthCheck<'configuration'> = {
  name: 'configuration',
  title: 'Configuration is in the backup',
  run: async (sources) => {
    const verdict = outsideFilesCheck.judge(await sources.serverFacts())
    if (verdict.state === 'unknown') return outcomeOf<Measurements['configuration']>(verdict, undefined)
    const seenAt = sources.settings.clock.now().toISOString()
    return outcomeOf(verdict, followOutside(verdict.state !== 'passed', { earlier: sources.earlier, seenAt }))
  },
}

/** What came to lie outside was inside before. */
export function followOutside(
  outside: boolean,
  { earlier, seenAt }: { readonly earlier: Pick<Observation, 'configuration'> | undefined; readonly seenAt: string },
): Measurements['configuration'] {
  const before = earlier?.configuration
  const outsideSince = before?.outside === false ? seenAt : before?.outsideSince
  return { outside, ...(outside && outsideSince !== undefined ? { outsideSince } : {}) }
}

/** What `retake doctor` says, in the words of a health check. */
export function outcomeOf<M>({ state, finding, fix }: Verdict, measured: M | undefined): Outcome<M> {
  const more = measured === undefined ? {} : { measured }
  if (state === 'failed' || state === 'warning') {
    return failed(finding, {
      severity: state === 'failed' ? 'danger' : 'warning',
      fix: fix ?? 'retake doctor',
      ...more,
    })
  }
  if (state === 'passed' && measured !== undefined) return passed(finding, measured)
  if (state === 'passed') return unknown(finding)
  return { state, finding, ...(fix === undefined ? {} : { fix }), ...more }
}
