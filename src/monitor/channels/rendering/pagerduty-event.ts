/**
 * A notice for PagerDuty: an event that triggers, acknowledges or resolves its incident; a digest, a success, and the end of one alert
 * among several is a change event, which calls nobody. What is withdrawn is one as well: a person closes the incident, because nobody
 * knows that it is over. Pure. https://developer.pagerduty.com/docs/events-api-v2-overview
 */
import { createHash } from 'node:crypto'
import type { Notice, NoticeKind } from '../../alerts/notice.ts'
import type { RenderOptions } from '../channel.ts'
import { bytesOf, cleanLine, clip, fitItems } from './fit.ts'
import { composeMessage } from './message.ts'

export const PAGERDUTY_LIMITS = { summary: 1024, dedupKey: 255, eventBytes: 512 * 1024 } as const
/** Far below the limit of an event; what nobody reads is not sent. */
const DETAILS_BUDGET_BYTES = 64 * 1024

export type PagerDutyAction = 'trigger' | 'acknowledge' | 'resolve'

export interface PagerDutyAlertEvent {
  readonly event_action: PagerDutyAction
  readonly dedup_key: string
  readonly client: 'Retake'
  readonly payload?: {
    readonly summary: string
    readonly source: string
    readonly severity: 'critical' | 'warning' | 'info'
    readonly timestamp: string
    readonly component?: string
    readonly class?: string
    readonly custom_details: unknown
  }
  readonly links?: readonly { readonly href: string; readonly text: string }[]
}

export interface PagerDutyChangeEvent {
  readonly payload: {
    readonly summary: string
    readonly source: string
    readonly timestamp: string
    readonly custom_details: unknown
  }
  readonly links?: readonly { readonly href: string; readonly text: string }[]
}

export type PagerDutyEvent =
  | { readonly kind: 'alert'; readonly body: PagerDutyAlertEvent }
  | { readonly kind: 'change'; readonly body: PagerDutyChangeEvent }

const CHANGES: readonly NoticeKind[] = ['digest', 'success', 'withdrawn']

export function renderPagerDuty(notice: Notice, options: RenderOptions = {}): PagerDutyEvent {
  const message = composeMessage(notice, options)
  const links = message.links.map(({ label, url }) => ({ href: url, text: label }))
  const common = {
    summary: clip(message.firstLine, PAGERDUTY_LIMITS.summary),
    source: clip(cleanLine(notice.cluster ?? ''), 200) || 'retake',
    timestamp: notice.at,
    custom_details: detailsOf(notice),
  }
  const linked = links.length > 0 ? { links } : {}
  const isPartial = notice.kind === 'resolved' && notice.isOver === false
  if (CHANGES.includes(notice.kind) || isPartial) return { kind: 'change', body: { payload: common, ...linked } }
  const key = { dedup_key: dedupKey(notice.incident), client: 'Retake' } as const
  if (notice.kind === 'acknowledged') return { kind: 'alert', body: { event_action: 'acknowledge', ...key } }
  if (notice.kind === 'resolved') return { kind: 'alert', body: { event_action: 'resolve', ...key } }
  const [first] = notice.alerts
  const payload = {
    ...common,
    severity: notice.kind === 'canary' || notice.kind === 'test' ? 'info' : notice.severity,
    ...(notice.cluster === undefined ? {} : { component: common.source }),
    ...(first === undefined ? {} : { class: clip(cleanLine(first.rule), 200) }),
  } as const
  return { kind: 'alert', body: { event_action: 'trigger', ...key, payload, ...linked } }
}

/** The same for every notice of an incident; one that is too long is told by its digest. */
export function dedupKey(incident: string): string {
  if (incident.length <= PAGERDUTY_LIMITS.dedupKey) return incident
  return createHash('sha256').update(incident).digest('hex')
}

function detailsOf(notice: Notice): unknown {
  const message = composeMessage(notice)
  const lines = fitItems(message.lines, {
    budget: DETAILS_BUDGET_BYTES / 2,
    cost: (line) => bytesOf(JSON.stringify(line)) + 1,
  })
  const items = fitItems(
    message.items.map(({ heading, rows }) => ({
      title: heading,
      ...Object.fromEntries(rows.map(({ label, text }) => [label, text])),
    })),
    { budget: DETAILS_BUDGET_BYTES / 2, cost: (item) => bytesOf(JSON.stringify(item)) + 1 },
  )
  return {
    incident: notice.incident,
    notice: notice.kind,
    ...(notice.level === undefined ? {} : { level: notice.level }),
    ...(lines.shown.length > 0 ? { lines: lines.shown } : {}),
    ...(message.itemName === 'alert' ? { alerts: items.shown } : { items: items.shown }),
    ...(items.hidden > 0 ? { andMore: items.hidden } : {}),
  }
}
