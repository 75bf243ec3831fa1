/** What people do about an alert. Pure. */

import { headlineOf } from './headline.ts'
import type { Notice } from './notice.ts'
import { idOf } from './notice-id.ts'
import type { AlertPolicy } from './policy.ts'
import { alertRules } from './rules.ts'
import { noticeAlert } from './shown.ts'
import { type AlertMemory, type ClusterAlerts, isOver } from './state.ts'

interface ActionFacts {
  readonly cluster: string
  readonly key: string
  readonly by: string
  readonly now: Date
}

export interface ActionOutcome {
  readonly states: ClusterAlerts
  readonly alert: AlertMemory
  readonly outgoing: readonly { readonly notice: Notice; readonly channels: readonly string[] }[]
}

/** Escalation stops for as long as an acknowledgement holds; those who were told are told who takes care of it. Undefined: it is not there, or over. */
export function acknowledge(
  states: ClusterAlerts,
  { cluster, key, by, now, policy }: ActionFacts & { readonly policy: AlertPolicy },
): ActionOutcome | undefined {
  const known = states.alerts[key]
  if (!known || isOver(known)) return undefined
  const until = new Date(now.getTime() + policy.acknowledgedForMs).toISOString()
  const alert: AlertMemory = { ...known, acknowledged: { by, at: now.toISOString(), until } }
  const told = [noticeAlert(alert, cluster)]
  const notice: Notice = {
    id: idOf(['acknowledged', key, now.toISOString()]),
    kind: 'acknowledged',
    at: now.toISOString(),
    incident: alert.incident ?? key,
    severity: alert.severity,
    cluster,
    headline: headlineOf({ kind: 'acknowledged', alerts: told, cluster }),
    alerts: told,
    lines: [whatFollows(alert, { by, until })],
  }
  return {
    states: put(states, alert),
    alert,
    outgoing: alert.told ? [{ notice, channels: alert.told.channels }] : [],
  }
}

function whatFollows(alert: AlertMemory, { by, until }: { readonly by: string; readonly until: string }): string {
  if (alertRules.find(({ name }) => name === alert.rule)?.endsWithAcknowledgement) {
    return `${by} takes care of it; what is still so at ${until} counts as meant, and only what happens after now fires anew.`
  }
  return `${by} takes care of it; it fires again at ${until} if it is still there.`
}

/** Nobody is told for a while; it is recorded all the same. */
export function snooze(
  states: ClusterAlerts,
  { key, now, minutes }: ActionFacts & { readonly minutes: number },
): ActionOutcome | undefined {
  const known = states.alerts[key]
  if (!known || isOver(known)) return undefined
  const alert = { ...known, snoozedUntil: new Date(now.getTime() + minutes * 60_000).toISOString() }
  return { states: put(states, alert), alert, outgoing: [] }
}

function put(states: ClusterAlerts, alert: AlertMemory): ClusterAlerts {
  return { ...states, alerts: { ...states.alerts, [alert.key]: alert } }
}
