/** What a channel is: a way to tell people, which takes a notice and gives back a receipt. */

import type { Notice } from '../alerts/notice.ts'
import type { Fetch } from './http.ts'

export type ChannelKind =
  | 'email'
  | 'slack-webhook'
  | 'slack-bot'
  | 'webhook'
  | 'discord'
  | 'teams'
  | 'pagerduty'
  | 'ntfy'
  | 'telegram'

/** Where people can act on a notice. What is absent is not shown. */
export interface NoticeLinks {
  readonly acknowledge?: string | undefined
  readonly open?: string | undefined
  /** Of a canary: whoever opens it confirms that the notice arrived. */
  readonly confirm?: string | undefined
}

/** What a notice is rendered with, besides itself. */
export interface RenderOptions {
  readonly links?: NoticeLinks | undefined
  /** Of a canary: what to enter where no link can be followed. */
  readonly confirmationCode?: string | undefined
}

/** What is kept of a delivery, as JSON. The receipt of an incident's last notice makes the next one update or answer it. */
export interface Receipt {
  /** The name of the channel. */
  readonly channel: string
  readonly kind: ChannelKind
  readonly notice: string
  readonly incident: string
  /** When the other side took it; ISO 8601 UTC. */
  readonly at: string
  /** What the other side calls this message: a Message-ID, Slack's `ts`, a number. Absent where it gives none. */
  readonly message?: string | undefined
  /** The first message of the incident: it is updated, and answered. */
  readonly first?: string | undefined
  /** Where that message is, when the other side has a name of its own for the place (Slack's channel, Telegram's chat). */
  readonly place?: string | undefined
  /** Of a mail: the subject of the first one, which its answers keep. */
  readonly subject?: string | undefined
  /** Whom the mail server did not accept, and why; the others got it. */
  readonly refused?: readonly RefusedRecipient[] | undefined
}

export interface RefusedRecipient {
  readonly address: string
  readonly reason: string
}

export interface SendOptions extends RenderOptions {
  /** The receipt of the last notice of the same incident on this channel; one of another incident or channel is ignored. */
  readonly previous?: Receipt | undefined
  readonly signal?: AbortSignal | undefined
  /** For everything that the delivery takes. Default: 30 s. */
  readonly timeoutMs?: number | undefined
}

export interface Channel {
  readonly name: string
  readonly kind: ChannelKind
  /**
   * Delivers once, without trying again. A notice that is sent twice has the same identity both times (Message-ID, webhook-id,
   * dedup_key), where the other side knows one.
   * @throws RetakeError `notice.unreachable`, `notice.rate-limited`, `notice.failed`, `notice.denied`, `notice.refused`, `timeout`, `aborted`
   */
  send(notice: Notice, options?: SendOptions): Promise<Receipt>
}

/** What every channel is given. */
export interface ChannelSurroundings {
  readonly fetch: Fetch
  readonly now: () => Date
}

/** For a whole delivery, unless the caller says otherwise. */
export const DELIVERY_LIMIT_MS = 30_000

/** The receipt to go by: only one of the same incident on the same channel. */
export function receiptOf(
  channel: Pick<Channel, 'name' | 'kind'>,
  notice: Notice,
  options: SendOptions,
): Receipt | undefined {
  const { previous } = options
  if (previous?.incident !== notice.incident) return undefined
  return previous.channel === channel.name && previous.kind === channel.kind ? previous : undefined
}

/** What is kept of a delivery that the other side took at `at`. */
export function makeReceipt(
  channel: Pick<Channel, 'name' | 'kind'>,
  notice: Notice,
  { at, ...rest }: { readonly at: Date } & Pick<Receipt, 'message' | 'first' | 'place' | 'subject' | 'refused'>,
): Receipt {
  const { name, kind } = channel
  return { channel: name, kind, notice: notice.id, incident: notice.incident, at: at.toISOString(), ...rest }
}
