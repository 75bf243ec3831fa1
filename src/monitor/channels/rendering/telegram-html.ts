/** A notice for Telegram, in its HTML. Pure. https://core.telegram.org/bots/api#html-style */

import type { Notice } from '../../alerts/notice.ts'
import type { RenderOptions } from '../channel.ts'
import { andMore, clip, fitItems } from './fit.ts'
import { composeMessage, type MessageItem } from './message.ts'
import { SIGNS } from './slack-blocks.ts'

/** Telegram counts after reading the markup; counting it too is on the safe side. */
export const TELEGRAM_LIMIT = 4096

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

export function escapeTelegram(character: string): string {
  return escapes[character] ?? character
}

const limited = (text: string, limit: number) => clip(text, limit, { escape: escapeTelegram })

/** `brief`: the first line, for an answer to a message that holds the rest. */
export function renderTelegram(notice: Notice, options: RenderOptions & { readonly brief?: boolean } = {}): string {
  const message = composeMessage(notice, options)
  const head = `${SIGNS[message.tone]} <b>${limited(message.firstLine, 900)}</b>`
  if (options.brief) return head
  const footer = `<i>${limited(message.footer, 400)}</i>`
  // Addresses are never cut; Telegram ignores one that it does not like, while a button of that kind would refuse the message.
  const links = fitItems(
    message.links.map(({ label, url }) => `<a href="${limited(url, Number.POSITIVE_INFINITY)}">${label}</a>`),
    { budget: 1200, cost: (link) => link.length + 3 },
  ).shown.join(' · ')
  const lines = fitItems(
    message.lines.map((line) => limited(line, 600)),
    { budget: 1000, cost: (line) => line.length + 1 },
  )
  const notes = [...lines.shown, ...(lines.hidden > 0 ? [andMore(lines.hidden, 'line')] : [])].join('\n')
  const fixed = head.length + footer.length + links.length + notes.length
  const items = fitItems(message.items.map(item), {
    budget: TELEGRAM_LIMIT - fixed - 80,
    cost: (text) => text.length + 2,
  })
  return [head, notes, ...items.shown, items.hidden > 0 ? andMore(items.hidden, message.itemName) : '', links, footer]
    .filter((text) => text !== '')
    .join('\n\n')
}

function item({ heading, rows }: MessageItem): string {
  return [`<b>${limited(heading, 200)}</b>`, ...rows.map(({ label, text }) => `${label}: ${limited(text, 300)}`)].join(
    '\n',
  )
}
