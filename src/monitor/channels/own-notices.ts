/** Notices about notices: someone tries a channel, or asks whether it still reaches people. Pure. */
import type { Notice } from '../alerts/notice.ts'

export interface OwnNoticeOptions {
  readonly id: string
  readonly now: Date
  /** The name of the channel. */
  readonly channel: string
}

export function testNotice({ id, now, channel }: OwnNoticeOptions): Notice {
  return {
    id,
    kind: 'test',
    at: now.toISOString(),
    incident: `test-${id}`,
    severity: 'info',
    headline: `Notices of Retake arrive through the channel "${channel}"`,
    alerts: [],
  }
}

/** To be confirmed by a person; how, is said by the links and the code that it is sent with. */
export function canaryNotice({ id, now, channel }: OwnNoticeOptions): Notice {
  return {
    id,
    kind: 'canary',
    at: now.toISOString(),
    incident: `canary-${id}`,
    severity: 'info',
    headline: `Please confirm that notices arrive through the channel "${channel}"`,
    alerts: [],
  }
}
