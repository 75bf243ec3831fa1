/** How an alert stands, in one word, and as a notice tells of it. */
import type { NoticeAlert } from './notice.ts'
import type { AlertMemory } from './state.ts'

export type ShownState =
  | 'pending'
  | 'firing'
  | 'acknowledged'
  | 'resolved'
  | 'withdrawn'
  | 'flapping'
  | 'silenced'
  | 'inhibited'

/** The first that applies, what explains most first. */
export function shownState(alert: AlertMemory, now: Date): ShownState {
  if (alert.phase !== 'firing') return alert.phase
  if (alert.inhibitedBy !== undefined) return 'inhibited'
  if (isSilenced(alert, now)) return 'silenced'
  if (isAcknowledged(alert, now)) return 'acknowledged'
  return alert.isFlapping ? 'flapping' : 'firing'
}

export function isAcknowledged({ acknowledged }: AlertMemory, now: Date): boolean {
  return acknowledged !== undefined && Date.parse(acknowledged.until) > now.getTime()
}

export function isSilenced({ snoozedUntil, isInMaintenance }: AlertMemory, now: Date): boolean {
  return isInMaintenance === true || (snoozedUntil !== undefined && Date.parse(snoozedUntil) > now.getTime())
}

export function noticeAlert(alert: AlertMemory, cluster: string): NoticeAlert {
  const { key, rule, severity, title, finding, effect, fix, since, resolvedAt, acknowledged } = alert
  return {
    key,
    rule,
    severity,
    cluster,
    title: alert.target === '' ? title : `${title}: ${alert.target}`,
    finding,
    effect,
    fix,
    since,
    ...(resolvedAt === undefined ? {} : { resolvedAt }),
    ...(acknowledged === undefined ? {} : { acknowledgedBy: acknowledged.by }),
  }
}
