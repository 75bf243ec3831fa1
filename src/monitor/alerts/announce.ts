/** What is told after a round: alerts that have the same news for the same people are one notice. Pure. */
import { headlineOf, resolvedLines, withdrawnHeadline } from './headline.ts'
import type { AlertSeverity, Notice, NoticeKind } from './notice.ts'
import { idOf } from './notice-id.ts'
import type { AlertPolicy } from './policy.ts'
import type { Look } from './rule.ts'
import { isAcknowledged, noticeAlert } from './shown.ts'
import { type AlertMemory, type ClusterAlerts, isOver, type Withdrawn } from './state.ts'
import { tellingOf } from './tell.ts'

interface AnnounceFacts {
  readonly report: Look
  /** Of the round before. */
  readonly states: ClusterAlerts
  readonly policy: AlertPolicy
  readonly now: Date
}

interface Announced {
  readonly alerts: readonly AlertMemory[]
  readonly incident: ClusterAlerts['incident']
  readonly outgoing: readonly { readonly notice: Notice; readonly channels: readonly string[] }[]
}

export function announce(alerts: readonly AlertMemory[], facts: AnnounceFacts): Announced {
  const { states, policy, now, report } = facts
  const { cluster } = report
  const incident = states.incident ?? { id: idOf(['incident', cluster, now.toISOString()]), toldAt: '' }
  const toldAt = incident.toldAt === '' ? undefined : incident.toldAt
  const groups = new Map<string, Group>()
  const next = alerts.map((alert) => {
    if (isOver(alert)) return alert
    const telling = tellingOf(alert, { policy, now, toldAt })
    if (!telling) return alert
    const { acknowledged: _over, ...rest } = alert
    const told: AlertMemory = {
      ...(isAcknowledged(alert, now) ? alert : rest),
      told: telling.told,
      incident: incident.id,
    }
    const { kind } = telling
    put(groups, told, {
      kind,
      channels: telling.channels,
      ...(kind === 'escalated' ? { level: telling.told.level } : {}),
    })
    return told
  })
  const isNew = [...groups.values()].some(({ kind }) => kind === 'fired')
  putEnds(groups, next, states)
  const isOpen = next.some(isOpenForPeople)
  return {
    alerts: next,
    incident: isOpen ? { id: incident.id, toldAt: isNew ? now.toISOString() : incident.toldAt } : undefined,
    outgoing: [...groups.values()].map((group) => noticeOf(group, { report, incident: incident.id, now, all: next })),
  }
}

const isOpenForPeople = ({ phase, told }: AlertMemory): boolean => phase === 'firing' && told !== undefined

/** Said once, and to everybody who was told that it fired; for those who know of nothing else the incident is over. */
function putEnds(groups: Map<string, Group>, alerts: readonly AlertMemory[], { alerts: before }: ClusterAlerts): void {
  const busy = new Set(alerts.filter(isOpenForPeople).flatMap(({ told }) => told?.channels ?? []))
  for (const alert of alerts) {
    if (!isOver(alert) || before[alert.key]?.phase !== 'firing') continue
    for (const isIncidentOver of [true, false]) {
      const channels = (alert.told?.channels ?? []).filter((name) => busy.has(name) !== isIncidentOver)
      if (channels.length === 0) continue
      const kind = alert.phase === 'withdrawn' ? 'withdrawn' : 'resolved'
      put(groups, alert, { kind, channels, isOver: isIncidentOver, why: alert.withdrawn?.why })
    }
  }
}

interface GroupFacts {
  readonly kind: NoticeKind
  readonly channels: readonly string[]
  readonly level?: number | undefined
  readonly isOver?: boolean | undefined
  readonly why?: Withdrawn['why'] | undefined
}

interface Group extends GroupFacts {
  readonly alerts: AlertMemory[]
}

function put(groups: Map<string, Group>, alert: AlertMemory, facts: GroupFacts): void {
  // One notice for those whom it concerns: nobody is told of what was kept from them so far.
  const channels = [...facts.channels].sort()
  const name = JSON.stringify([facts.kind, facts.level, facts.isOver, facts.why, channels])
  const group = groups.get(name) ?? { ...facts, alerts: [], channels }
  groups.set(name, group)
  group.alerts.push(alert)
}

interface NoticeFacts {
  readonly report: Look
  readonly incident: string
  readonly now: Date
  /** All of the cluster. */
  readonly all: readonly AlertMemory[]
}

function noticeOf({ kind, level, isOver: over, why, alerts, channels }: Group, facts: NoticeFacts) {
  const { incident, now, report } = facts
  const { cluster } = report
  const at = now.toISOString()
  const sorted = [...alerts].sort(
    (left, right) => rank(left.severity) - rank(right.severity) || (left.key < right.key ? -1 : 1),
  )
  const told = sorted.map((alert) => noticeAlert(alert, cluster))
  const lines = kind === 'resolved' ? resolvedLines(sorted, facts) : []
  const notice: Notice = {
    id: idOf([kind, String(level ?? ''), String(over ?? ''), incident, at, ...sorted.map(({ key }) => key)]),
    kind,
    at,
    incident: sorted[0]?.incident ?? incident,
    severity: sorted[0]?.severity ?? 'info',
    cluster,
    headline:
      why === undefined
        ? headlineOf({ kind, alerts: told, cluster, level })
        : withdrawnHeadline(sorted, { cluster, why }),
    alerts: told,
    ...(level === undefined ? {} : { level }),
    ...(over === undefined ? {} : { isOver: over }),
    ...(lines.length > 0 ? { lines } : {}),
  }
  return { notice, channels }
}

const rank = (severity: AlertSeverity): number => ['critical', 'warning', 'info'].indexOf(severity)
