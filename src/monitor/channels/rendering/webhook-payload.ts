/** A notice for a program: the notice itself, as data. Pure. */

import type { Notice } from '../../alerts/notice.ts'
import type { NoticeLinks, RenderOptions } from '../channel.ts'
import { bytesOf, fitItems } from './fit.ts'

/** What a receiver takes without being asked; `omittedAlerts` says how many were left away. */
export const WEBHOOK_BUDGET_BYTES = 256 * 1024

export interface WebhookPayload {
  /** `retake.notice.fired`. */
  readonly type: string
  /** When the notice was made. */
  readonly timestamp: string
  readonly data: {
    readonly notice: Notice
    readonly links?: NoticeLinks
    readonly confirmationCode?: string
    readonly omittedAlerts?: number
    readonly omittedLines?: number
    readonly omittedSections?: number
  }
}

export function renderWebhook(notice: Notice, options: RenderOptions = {}): WebhookPayload {
  const cost = (value: unknown) => bytesOf(JSON.stringify(value)) + 1
  const lines = fitItems(notice.lines ?? [], { budget: WEBHOOK_BUDGET_BYTES / 8, cost })
  const sections = fitItems(notice.sections ?? [], { budget: WEBHOOK_BUDGET_BYTES / 4, cost })
  const alerts = fitItems(notice.alerts, { budget: WEBHOOK_BUDGET_BYTES / 2, cost })
  return {
    type: `retake.notice.${notice.kind}`,
    timestamp: notice.at,
    data: {
      notice: {
        ...notice,
        alerts: alerts.shown,
        ...(notice.lines === undefined ? {} : { lines: lines.shown }),
        ...(notice.sections === undefined ? {} : { sections: sections.shown }),
      },
      ...(options.links === undefined ? {} : { links: options.links }),
      ...(options.confirmationCode === undefined ? {} : { confirmationCode: options.confirmationCode }),
      ...(alerts.hidden > 0 ? { omittedAlerts: alerts.hidden } : {}),
      ...(lines.hidden > 0 ? { omittedLines: lines.hidden } : {}),
      ...(sections.hidden > 0 ? { omittedSections: sections.hidden } : {}),
    },
  }
}
