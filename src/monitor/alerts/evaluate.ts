/** One round: a report comes in, states and notices come out. Pure: the same input gives the same output, with the same ids. */
import { announce } from './announce.ts'
import { explain, quieten } from './marks.ts'
import type { Notice } from './notice.ts'
import type { AlertPolicy, QuietTime } from './policy.ts'
import type { AlertRule, Look } from './rule.ts'
import { alertRules } from './rules.ts'
import { followScore } from './scores.ts'
import { type AlertMemory, type ClusterAlerts, noAlerts } from './state.ts'
import { stepAll } from './steps.ts'

export interface EvaluateOptions {
  /** Without one a round is made all the same: time goes on, though nothing fires or is resolved but what a failed look says itself. */
  readonly report: Look
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

export function evaluateAlerts({ states = noAlerts, ...options }: EvaluateOptions): Evaluation {
  const { policy, quiet, now } = options
  const report = fresh(options.report, now)
  const rules = alertRules.flatMap((rule) => configured(rule, policy))
  const scores = 'checks' in report ? followScore(states.scores, report.score) : states.scores
  const stepped = stepAll(rules, { report, states, past: { scores }, now })
  const marked = quieten(explain(stepped, rules), { quiet, now })
  const { alerts, incident, outgoing } = announce(marked, { report, states, policy, now })
  const kept = alerts.filter(({ withdrawn }) => withdrawn?.why !== 'switched-off')
  return {
    states: {
      alerts: Object.fromEntries(kept.map((alert) => [alert.key, alert])),
      ...(incident ? { incident } : {}),
      ...(scores ? { scores } : {}),
    },
    changed: changedOf(alerts, states),
    forgotten: Object.values(states.alerts)
      .filter(({ key, phase }) => phase === 'pending' && !alerts.some((alert) => alert.key === key))
      .map(({ key }) => key),
    outgoing,
  }
}

function fresh(report: Look, now: Date): Look {
  if (!('checks' in report) || now.getTime() - Date.parse(report.at) <= STALE_MS) return report
  return { cluster: report.cluster, failed: { finding: `The last look is of ${report.at}.`, fix: 'retake health' } }
}

function configured(rule: AlertRule, { rules }: AlertPolicy): AlertRule[] {
  const { enabled = true, ...changes } = rules[rule.name] ?? {}
  const { severity = rule.severity, forMs = rule.forMs, keepFiringMs = rule.keepFiringMs } = changes
  return enabled ? [{ ...rule, severity, forMs, keepFiringMs }] : []
}

/** The evaluations alone are no change to anybody. */
function changedOf(alerts: readonly AlertMemory[], { alerts: before }: ClusterAlerts): AlertMemory[] {
  return alerts.filter((alert) => {
    const { changes: _new, ...now } = alert
    const { changes: _old, ...then } = before[alert.key] ?? { changes: '' }
    return JSON.stringify(now) !== JSON.stringify(then)
  })
}
