/** One step in the life of an alert: ok, pending, firing, resolved. Pure. */
import { createHash } from 'node:crypto'
import { addEvaluation, isFlapping } from './flapping.ts'
import type { AlertRule, Sighting } from './rule.ts'
import { type AlertMemory, isOver } from './state.ts'

export function alertKey({
  cluster,
  rule,
  target,
}: {
  readonly cluster: string
  readonly rule: string
  readonly target: string
}): string {
  const text = JSON.stringify([rule, cluster, target])
  return `${rule}-${createHash('sha256').update(text).digest('hex').slice(0, 16)}`
}

export interface StepFacts {
  readonly key: string
  readonly rule: AlertRule
  readonly sighting: Sighting
  readonly now: Date
}

/** Undefined: there is nothing to remember. What is unknown changes nothing. */
export function advance(known: AlertMemory | undefined, facts: StepFacts): AlertMemory | undefined {
  const { sighting } = facts
  if (sighting.state === 'unknown') return known
  const holds = sighting.state === 'firing'
  if (!known || (isOver(known) && holds)) return holds ? begin(known, facts) : known
  const changes = addEvaluation(known.changes, holds)
  const counted = { ...known, changes, isFlapping: isFlapping(changes, known.isFlapping) }
  if (isOver(known)) return counted
  return holds ? hold(counted, facts) : fade(counted, facts)
}

function begin(known: AlertMemory | undefined, { key, rule, sighting, now }: StepFacts): AlertMemory {
  const changes = addEvaluation(known?.changes ?? '0', true)
  const fresh: AlertMemory = {
    key,
    rule: rule.name,
    target: sighting.target,
    severity: rule.severity,
    title: rule.title,
    effect: rule.effect,
    finding: sighting.finding,
    fix: sighting.fix,
    phase: 'pending',
    since: now.toISOString(),
    changes,
    isFlapping: isFlapping(changes, known?.isFlapping ?? false),
    // A snooze lasts as long as it was said, whatever comes and goes meanwhile.
    ...(known?.snoozedUntil === undefined ? {} : { snoozedUntil: known.snoozedUntil }),
    ...(known?.meantUntil === undefined ? {} : { meantUntil: known.meantUntil }),
  }
  return rule.forMs === 0 ? fire(fresh, now) : fresh
}

function hold(known: AlertMemory, { rule, sighting, now }: StepFacts): AlertMemory {
  const { clearSince: _clear, ...rest } = known
  const held = { ...rest, finding: sighting.finding, fix: sighting.fix, severity: rule.severity }
  const isDue = now.getTime() - Date.parse(known.since) >= rule.forMs
  return known.phase === 'pending' && isDue ? fire(held, now) : held
}

function fire(memory: AlertMemory, now: Date): AlertMemory {
  return { ...memory, phase: 'firing', firedAt: now.toISOString() }
}

/** What was pending is forgotten; what fires is resolved when it has been away for a while. */
function fade(known: AlertMemory, { rule, now }: StepFacts): AlertMemory | undefined {
  if (known.phase === 'pending') return undefined
  const clearSince = known.clearSince ?? now.toISOString()
  // What comes and goes is not over before it has held still.
  const isStill = !known.isFlapping && now.getTime() - Date.parse(clearSince) >= rule.keepFiringMs
  if (!isStill) return { ...known, clearSince }
  const { acknowledged: _acknowledged, inhibitedBy: _inhibited, ...rest } = known
  return { ...rest, clearSince, phase: 'resolved', resolvedAt: now.toISOString() }
}
