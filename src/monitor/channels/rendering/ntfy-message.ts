/** A notice for ntfy, as the JSON that is published to the server's root. Pure. https://docs.ntfy.sh/publish/#publish-as-json */

import type { Notice } from '../../alerts/notice.ts'
import type { RenderOptions } from '../channel.ts'
import { andMore, bytesOf, clip, fitItems } from './fit.ts'
import { composeMessage, type MessageItem, type Tone } from './message.ts'

/** A message of more than 4,096 bytes would become an attachment, which some servers refuse. */
export const NTFY_MESSAGE_LIMIT_BYTES = 4096
const TITLE_LIMIT_BYTES = 250
const MOST_ACTIONS = 3

export interface NtfyMessage {
  readonly topic: string
  readonly title: string
  readonly message: string
  /** 1 to 5; 5 sounds through, also when the telephone is quiet. */
  readonly priority: 2 | 3 | 4 | 5
  readonly tags: readonly string[]
  readonly click?: string
  readonly actions?: readonly { readonly action: 'view'; readonly label: string; readonly url: string }[]
}

const TAGS: Readonly<Record<Tone, string>> = {
  critical: 'rotating_light',
  warning: 'warning',
  info: 'information_source',
  good: 'white_check_mark',
  quiet: 'zipper_mouth_face',
}

export function renderNtfy(notice: Notice, options: RenderOptions & { readonly topic: string }): NtfyMessage {
  const message = composeMessage(notice, options)
  const bytes = (text: string, limit: number) => clip(text, limit, { measure: bytesOf })
  const title = bytes(message.firstLine, TITLE_LIMIT_BYTES)
  const cut = title.endsWith('…') ? [bytes(message.firstLine, 1000)] : []
  const footer = bytes(message.footer, 500)
  const lines = fitItems([...cut, ...message.lines], { budget: 1500, cost: (line) => bytesOf(line) + 1 })
  const notes = [...lines.shown, ...(lines.hidden > 0 ? [andMore(lines.hidden, 'line')] : [])].join('\n')
  const items = fitItems(message.items.map(item), {
    budget: NTFY_MESSAGE_LIMIT_BYTES - bytesOf(notes) - bytesOf(footer) - 100,
    cost: (text) => bytesOf(text) + 2,
  })
  const body = [notes, ...items.shown, items.hidden > 0 ? andMore(items.hidden, message.itemName) : '', footer]
  const open = message.links.find(({ label }) => label === 'Open')?.url
  return {
    topic: options.topic,
    title,
    message: body.filter((text) => text !== '').join('\n\n'),
    priority: priorityOf(notice, message.tone),
    tags: [TAGS[message.tone]],
    ...(open === undefined ? {} : { click: open }),
    ...(message.links.length === 0
      ? {}
      : {
          actions: message.links
            .slice(0, MOST_ACTIONS)
            .map(({ label, url }) => ({ action: 'view', label, url }) as const),
        }),
  }
}

function priorityOf(notice: Notice, tone: Tone): NtfyMessage['priority'] {
  if (tone === 'critical') return 5
  if (tone === 'warning') return 4
  return notice.kind === 'digest' || notice.kind === 'success' || tone === 'quiet' ? 2 : 3
}

function item({ heading, rows }: MessageItem): string {
  const limited = (text: string, limit: number) => clip(text, limit, { measure: bytesOf })
  return [limited(heading, 300), ...rows.map(({ label, text }) => `${label}: ${limited(text, 350)}`)].join('\n')
}
