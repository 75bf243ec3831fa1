/** What stays of a time that is over: runs that did not come, and moments that cannot be restored. Pure. */
import { resultOf } from '../checks/result.ts'
import type { HealthReport } from '../read-health.ts'
import type { Look } from './rule.ts'

/** More of them are counted only. */
const MOST_NAMED = 5

export interface AftermathOptions {
  /** ISO 8601 UTC. */
  readonly since: string
  readonly report: Look
}

/** What is known of it, a sentence each. */
export function aftermathLines(options: AftermathOptions): string[] {
  if (!('checks' in options.report)) return []
  const { checks } = options.report
  return [...runLines(checks, options.since), ...momentLines(checks, options.since)]
}

function runLines(checks: HealthReport['checks'], since: string): string[] {
  const result = resultOf(checks, 'schedules')
  // Without schedules nothing was due.
  if (!result || result.state === 'skipped') return []
  if (!result.measured) return ['Whether runs were missed meanwhile is not known.']
  const { missedRuns, unknown } = result.measured
  const missed = missedRuns.filter(({ at }) => Date.parse(at) >= Date.parse(since))
  const names = missed.map(({ schedule, at, outcome }) => `${schedule}, due at ${at} (${outcome})`)
  const found = names.length > 0 ? `Runs missed meanwhile: ${listed(names)}.` : 'No run was missed meanwhile.'
  return unknown.length === 0 ? [found] : [`${found} Of these schedules it is not known: ${listed(unknown)}.`]
}

/** `No gap` is said up to the last moment that is held, and not beyond. */
function momentLines(checks: HealthReport['checks'], since: string): string[] {
  const measured = resultOf(checks, 'wal')?.measured
  const to = measured?.stretches.at(-1)?.to
  if (measured?.windows === 0) return ['No moment at all can be restored.']
  if (!measured || to === undefined) return ['Whether the moments of that time can be restored is not known.']
  if (Date.parse(to) <= Date.parse(since)) return [`The last moment that can be restored for certain is ${to}.`]
  const gaps: string[] = []
  let reached = since
  for (const { from, to: end } of measured.stretches) {
    if (Date.parse(from) > Date.parse(reached)) gaps.push(`${reached} to ${from}`)
    if (Date.parse(end) > Date.parse(reached)) reached = end
  }
  if (gaps.length === 0) return [`No gap: every moment from ${since} to ${to} can be restored.`]
  return [`A gap stays: no moment can be restored from ${listed(gaps)}.`]
}

function listed(names: readonly string[]): string {
  const more = names.length > MOST_NAMED ? `; and ${names.length - MOST_NAMED} more` : ''
  return `${names.slice(0, MOST_NAMED).join('; ')}${more}`
}
