/** The first line of a notice, readable on a watch, and what is said at the end. */
import { aftermathLines } from './aftermath.ts'
import type { AlertSeverity, NoticeAlert, NoticeKind } from './notice.ts'
import type { Look } from './rule.ts'
import type { AlertMemory, Withdrawn } from './state.ts'

const SEVERITY: Readonly<Record<AlertSeverity, string>> = { critical: 'CRITICAL', warning: 'WARNING', info: 'INFO' }

interface HeadlineFacts {
  readonly kind: NoticeKind
  /** The worst first. */
  readonly alerts: readonly NoticeAlert[]
  readonly cluster: string
  readonly level?: number | undefined
}

/** How bad, which cluster, what; the effect on recovery follows with each alert. */
export function headlineOf({ kind, alerts, cluster }: HeadlineFacts): string {
  const [first] = alerts
  if (!first) return cluster
  const more = alerts.length > 1 ? `, and ${alerts.length - 1} more` : ''
  const prefix = kind === 'resolved' ? '' : `${SEVERITY[first.severity]}: `
  return `${prefix}${cluster}: ${first.title}${more}. ${first.effect}`
}

/** Why nobody watches it any more: nobody shall read that it is gone. */
export function withdrawnHeadline(
  alerts: readonly AlertMemory[],
  { cluster, why }: { readonly cluster: string; readonly why: Withdrawn['why'] },
): string {
  const names = `${cluster}: ${alerts.map(nameOf).join('; ')}`
  if (why === 'switched-off') {
    const rules = alerts.length === 1 ? 'the rule was' : 'the rules were'
    return `${names}: ${rules} switched off. Whether it is gone is not known, and nobody is told of it any more.`
  }
  const people = [...new Set(alerts.map(({ withdrawn }) => withdrawn?.by ?? 'somebody'))].join(', ')
  return `${names}: ${people} acknowledged it and left it as it is, so it counts as meant.`
}

const nameOf = ({ title, target }: AlertMemory): string => (target === '' ? title : `${title}: ${target}`)

interface ResolvedFacts {
  readonly now: Date
  /** All of the cluster. */
  readonly all: readonly AlertMemory[]
  readonly report: Look
}

/** How long it lasted, and what stays of it. */
export function resolvedLines(alerts: readonly AlertMemory[], { now, all, report }: ResolvedFacts): string[] {
  const lines = alerts.map(
    (alert) => `${nameOf(alert)}: lasted ${duration(now.getTime() - Date.parse(alert.since))}, from ${alert.since}.`,
  )
  const [since = now.toISOString()] = alerts.map((alert) => alert.since).sort()
  lines.push(...aftermathLines({ since, report }))
  const open = all.filter(({ phase }) => phase === 'firing')
  if (open.length > 0) return [...lines, `Still there: ${open.map(nameOf).join('; ')}.`]
  return [...lines, 'Nothing else is open.']
}

function duration(ms: number): string {
  const minutes = Math.max(0, Math.round(ms / 60_000))
  if (minutes < 1) return 'less than a minute'
  const hours = Math.floor(minutes / 60)
  return hours === 0 ? `${minutes} min` : `${hours} h ${minutes % 60} min`
}
