/** Each alert goes one step on, by what its rule sees. Pure. */
import { advance, alertKey, type StepFacts } from './advance.ts'
import type { AlertRule, Look, Past, Sighting } from './rule.ts'
import { type AlertMemory, type ClusterAlerts, isOver } from './state.ts'

interface StepAllFacts {
  readonly report: Look
  readonly states: ClusterAlerts
  readonly past: Past
  readonly now: Date
}

/** So long one that is over is remembered: for flapping. */
const FORGET_MS = 24 * 3_600_000

export function stepAll(rules: readonly AlertRule[], facts: StepAllFacts): AlertMemory[] {
  const { report, states, past, now } = facts
  const { cluster } = report
  const names = new Set(rules.map(({ name }) => name))
  const next = Object.values(states.alerts)
    .filter(({ rule, phase }) => !names.has(rule) && phase === 'firing')
    .map((alert) => withdraw(alert, { at: now.toISOString(), why: 'switched-off' }))
  for (const rule of rules) {
    const known = Object.values(states.alerts).filter((alert) => alert.rule === rule.name)
    for (const [target, sighting] of sightingsOf(rule, { report, past, known })) {
      const key = alertKey({ cluster, rule: rule.name, target })
      const memory = step(states.alerts[key], { key, rule, sighting, now })
      if (memory && !isForgotten(memory, { sighting, now })) next.push(memory)
    }
  }
  return next
}

/** By target, with one for each that is known: what is not seen is unknown. */
function sightingsOf(
  rule: AlertRule,
  { report, past, known }: Pick<StepAllFacts, 'report' | 'past'> & { readonly known: readonly AlertMemory[] },
): Map<string, Sighting> {
  const sightings = 'checks' in report ? rule.look(report, past) : (rule.lookWithout?.(report) ?? [])
  const byTarget = new Map(sightings.map((sighting) => [sighting.target, sighting]))
  for (const { target } of known) {
    if (!byTarget.has(target)) byTarget.set(target, unnamed(target, sightings))
  }
  return byTarget
}

/** Of what is not named any more: gone, or not looked at. */
function unnamed(target: string, sightings: readonly Sighting[]): Sighting {
  const blind = sightings.find((sighting) => sighting.target === '' && sighting.state === 'unknown')
  return {
    target,
    state: blind || sightings.length === 0 ? 'unknown' : 'clear',
    finding: blind?.finding ?? '',
    fix: blind?.fix ?? '',
  }
}

function step(known: AlertMemory | undefined, facts: StepFacts): AlertMemory | undefined {
  const { rule, sighting, now } = facts
  const { newestAt } = sighting
  if (!known || !rule.endsWithAcknowledgement || sighting.state !== 'firing' || newestAt === undefined) {
    return advance(known, facts)
  }
  const isAfter = (instant: string) => Date.parse(newestAt) > Date.parse(instant)
  if (known.meantUntil !== undefined && !isAfter(known.meantUntil)) {
    if (known.phase === 'withdrawn') return known
    return advance(known, { ...facts, sighting: { ...sighting, state: 'clear' } })
  }
  const { acknowledged } = known
  if (!acknowledged || isOver(known)) return advance(known, facts)
  // It was given for what was there then.
  if (isAfter(acknowledged.at)) return advance({ ...known, acknowledged: { ...acknowledged, until: newestAt } }, facts)
  if (Date.parse(acknowledged.until) > now.getTime()) return advance(known, facts)
  const { by, at } = acknowledged
  return { ...withdraw(known, { at: now.toISOString(), why: 'meant', by }), meantUntil: at }
}

function withdraw(alert: AlertMemory, withdrawn: NonNullable<AlertMemory['withdrawn']>): AlertMemory {
  const { acknowledged: _answered, inhibitedBy: _explained, quietSince: _quiet, ...rest } = alert
  return { ...rest, phase: 'withdrawn', withdrawn }
}

/** What is meant is known as long as it is there. */
function isForgotten(
  memory: AlertMemory,
  { sighting, now }: { readonly sighting: Sighting; readonly now: Date },
): boolean {
  if (!isOver(memory) || (memory.meantUntil !== undefined && sighting.state !== 'clear')) return false
  const endedAt = memory.resolvedAt ?? memory.withdrawn?.at ?? ''
  return now.getTime() - Date.parse(endedAt) > FORGET_MS
}
