/** The first line of a notice, readable on a watch, and what is said at the end. */
import type { AlertSeverity, NoticeAlert, NoticeKind } from './notice.ts'
import type { AlertMemory } from './state.ts'

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

/** How long it lasted, and what stays of it. */
export function resolvedLines(
  alerts: readonly AlertMemory[],
  { now, all }: { readonly now: Date; readonly all: readonly AlertMemory[] },
): string[] {
  const lines = alerts.map(({ title, target, since }) => {
    const name = target === '' ? title : `${title}: ${target}`
    return `${name}: lasted ${duration(now.getTime() - Date.parse(since))}, from ${since}.`
  })
  const open = all.filter(({ phase }) => phase === 'firing')
  if (open.length > 0) return [...lines, `Still there: ${open.map(({ title }) => title).join('; ')}.`]
  return [...lines, 'Nothing else is open.']
}

function duration(ms: number): string {
  const minutes = Math.max(0, Math.round(ms / 60_000))
  if (minutes < 1) return 'less than a minute'
  const hours = Math.floor(minutes / 60)
  return hours === 0 ? `${minutes} min` : `${hours} h ${minutes % 60} min`
}
