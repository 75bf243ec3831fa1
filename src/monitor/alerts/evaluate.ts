/** One round: a report comes in, states and notices come out. Pure: the same input gives the same output, with the same ids. */
import { createHash } from 'node:crypto'
import type { HealthReport } from '../read-health.ts'
import { advance, alertKey } from './advance.ts'
import { headlineOf, resolvedLines } from './headline.ts'
import type { AlertSeverity, Notice, NoticeKind } from './notice.ts'
import type { AlertPolicy, QuietTime } from './policy.ts'
import type { AlertRule, Sighting } from './rule.ts'
import { alertRules } from './rules.ts'
import { isAcknowledged, noticeAlert } from './shown.ts'
import type { AlertMemory, ClusterAlerts } from './state.ts'
import { noAlerts } from './state.ts'
import { tellingOf } from './tell.ts'

export interface EvaluateOptions {
  readonly report: HealthReport
  /** Of the round before. */
  readonly states?: ClusterAlerts | undefined
  readonly policy: AlertPolicy
  readonly quiet: readonly QuietTime[]
  readonly now: Date
}

export interface Evaluation {
  readonly states: ClusterAlerts
  /** Those that are not as they were. */
  readonly changed: readonly AlertMemory[]
  /** Keys of those that were pending, and are gone. */
  readonly forgotten: readonly string[]
  readonly outgoing: readonly { readonly notice: Notice; readonly channels: readonly string[] }[]
}

/** A report that is older says nothing of now. */
const STALE_MS = 10 * 60_000
/** So long a resolved alert is remembered: for flapping. */
const FORGET_MS = 24 * 3_600_000

export function evaluateAlerts(options: EvaluateOptions): Evaluation {
  const { report, states = noAlerts, policy, now } = options
  const isStale = now.getTime() - Date.parse(report.at) > STALE_MS
  const rules = alertRules.flatMap((rule) => configured(rule, policy))
  const stepped = isStale ? Object.values(states.alerts) : stepAll(rules, options)
  const marked = quieten(explain(stepped, rules), options)
  return announce(marked, { ...options, states })
}

function configured(rule: AlertRule, { rules }: AlertPolicy): AlertRule[] {
  const { enabled = true, ...changes } = rules[rule.name] ?? {}
  const { severity = rule.severity, forMs = rule.forMs, keepFiringMs = rule.keepFiringMs } = changes
  return enabled ? [{ ...rule, severity, forMs, keepFiringMs }] : []
}

function stepAll(rules: readonly AlertRule[], { report, states = noAlerts, now }: EvaluateOptions): AlertMemory[] {
  const { cluster } = report
  const names = new Set(rules.map(({ name }) => name))
  // What nobody wants to hear of any more is over.
  const next = Object.values(states.alerts)
    .filter(({ rule, phase }) => !names.has(rule) && phase === 'firing')
    .map((alert): AlertMemory => ({ ...alert, phase: 'resolved', resolvedAt: now.toISOString() }))
  for (const rule of rules) {
    const sightings = rule.look(report)
    const known = Object.values(states.alerts).filter((alert) => alert.rule === rule.name)
    const byTarget = new Map(sightings.map((sighting) => [sighting.target, sighting]))
    for (const { target } of known) {
      if (!byTarget.has(target)) byTarget.set(target, unnamed(target, sightings))
    }
    for (const [target, sighting] of byTarget) {
      const key = alertKey({ cluster, rule: rule.name, target })
      const memory = advance(states.alerts[key], { key, rule, sighting, now })
      if (memory && !isForgotten(memory, now)) next.push(memory)
    }
  }
  return next
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

function isForgotten({ phase, resolvedAt }: AlertMemory, now: Date): boolean {
  return phase === 'resolved' && now.getTime() - Date.parse(resolvedAt ?? '') > FORGET_MS
}

/**
 * While what explains it holds, nobody is told of it: also before that has fired, unless that waits longer than it does. A failed backup
 * is told in minutes, though after hours without one the graver alert takes its place.
 */
function explain(alerts: readonly AlertMemory[], rules: readonly AlertRule[]): AlertMemory[] {
  const byName = new Map(rules.map((rule) => [rule.name, rule]))
  const holding = new Map(alerts.filter(({ phase }) => phase !== 'resolved').map((alert) => [alert.rule, alert]))
  return alerts.map((alert) => {
    const { inhibitedBy: _before, ...rest } = alert
    const rule = byName.get(alert.rule)
    if (!rule || alert.phase === 'resolved') return rest
    const explains = (name: string) =>
      holding.get(name)?.phase === 'firing' || (byName.get(name)?.forMs ?? 0) <= rule.forMs
    const why = rule.inhibitedBy.find((name) => holding.has(name) && explains(name))
    const key = why === undefined ? undefined : holding.get(why)?.key
    return key === undefined ? rest : { ...rest, inhibitedBy: key }
  })
}

function quieten(alerts: readonly AlertMemory[], { quiet, now }: EvaluateOptions): AlertMemory[] {
  const open = quiet.filter(({ from, until }) => from <= now && now < until)
  return alerts.map((alert) => {
    const { isInMaintenance: _before, ...rest } = alert
    const isQuiet = open.some(({ rules }) => rules === undefined || rules.includes(alert.rule))
    return isQuiet ? { ...rest, isInMaintenance: true } : rest
  })
}

interface Group {
  readonly kind: NoticeKind
  readonly level: number | undefined
  readonly alerts: AlertMemory[]
  readonly channels: readonly string[]
}

function announce(
  alerts: readonly AlertMemory[],
  options: EvaluateOptions & { readonly states: ClusterAlerts },
): Evaluation {
  const { states, policy, now, report } = options
  const { cluster } = report
  const incident = states.incident ?? { id: idOf(['incident', cluster, now.toISOString()]), toldAt: '' }
  const toldAt = incident.toldAt === '' ? undefined : incident.toldAt
  const groups = new Map<string, Group>()
  const put = (
    kind: NoticeKind,
    alert: AlertMemory,
    facts: { readonly channels: readonly string[]; readonly level?: number },
  ) => {
    // One notice for those whom it concerns: nobody is told of what was kept from them so far.
    const channels = [...facts.channels].sort()
    const name = JSON.stringify([kind, facts.level, channels])
    const group = groups.get(name) ?? { kind, level: facts.level, alerts: [], channels }
    groups.set(name, group)
    group.alerts.push(alert)
  }
  const next = alerts.map((alert) => {
    const before = states.alerts[alert.key]
    if (alert.phase === 'resolved') {
      // Said once, and to everybody who was told that it fired.
      if (before?.phase === 'firing' && alert.told) put('resolved', alert, { channels: alert.told.channels })
      return alert
    }
    const telling = tellingOf(alert, { policy, now, toldAt })
    if (!telling) return alert
    const { acknowledged: _over, ...rest } = alert
    const told: AlertMemory = {
      ...(isAcknowledged(alert, now) ? alert : rest),
      told: telling.told,
      incident: incident.id,
    }
    put(telling.kind, told, {
      channels: telling.channels,
      ...(telling.kind === 'escalated' ? { level: telling.told.level } : {}),
    })
    return told
  })
  const outgoing = [...groups.values()].map((group) =>
    noticeOf(group, { cluster, incident: incident.id, now, alerts: next }),
  )
  const isOpen = next.some(({ phase, told }) => phase === 'firing' && told !== undefined)
  const isNew = [...groups.values()].some(({ kind }) => kind === 'fired')
  return {
    states: {
      alerts: Object.fromEntries(next.map((alert) => [alert.key, alert])),
      ...(isOpen ? { incident: { id: incident.id, toldAt: isNew ? now.toISOString() : incident.toldAt } } : {}),
    },
    changed: changedOf(next, states),
    forgotten: Object.values(states.alerts)
      .filter(({ key, phase }) => phase === 'pending' && !next.some((alert) => alert.key === key))
      .map(({ key }) => key),
    outgoing,
  }
}

/** The evaluations alone are no change to anybody. */
function changedOf(alerts: readonly AlertMemory[], { alerts: before }: ClusterAlerts): AlertMemory[] {
  return alerts.filter((alert) => {
    const { changes: _new, ...now } = alert
    const { changes: _old, ...then } = before[alert.key] ?? { changes: '' }
    return JSON.stringify(now) !== JSON.stringify(then)
  })
}

interface NoticeFacts {
  readonly cluster: string
  readonly incident: string
  readonly now: Date
  /** All of the cluster. */
  readonly alerts: readonly AlertMemory[]
}

function noticeOf({ kind, level, alerts, channels }: Group, { cluster, incident, now, alerts: all }: NoticeFacts) {
  const at = now.toISOString()
  const sorted = [...alerts].sort(
    (left, right) => rank(left.severity) - rank(right.severity) || (left.key < right.key ? -1 : 1),
  )
  const severity = sorted[0]?.severity ?? 'info'
  const told = sorted.map((alert) => noticeAlert(alert, cluster))
  const lines = kind === 'resolved' ? resolvedLines(sorted, { now, all }) : []
  const notice: Notice = {
    id: idOf([kind, String(level ?? ''), incident, at, ...sorted.map(({ key }) => key)]),
    kind,
    at,
    incident: sorted[0]?.incident ?? incident,
    severity,
    cluster,
    headline: headlineOf({ kind, alerts: told, cluster, level }),
    alerts: told,
    ...(level === undefined ? {} : { level }),
    ...(lines.length === 0 ? {} : { lines }),
  }
  return { notice, channels }
}

const rank = (severity: AlertSeverity): number => ['critical', 'warning', 'info'].indexOf(severity)

export function idOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
}
