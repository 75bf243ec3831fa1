/**
 * A notice for Discord: one embed. Its text is markdown, so every mark is escaped; nobody is mentioned. Pure.
 * https://discord.com/developers/docs/resources/message#embed-object-embed-limits
 */

import type { Notice } from '../../alerts/notice.ts'
import type { RenderOptions } from '../channel.ts'
import { andMore, clip, fitItems } from './fit.ts'
import { composeMessage, type MessageItem, type Tone } from './message.ts'

export const DISCORD_LIMITS = { title: 256, description: 4096, footer: 2048, total: 6000 } as const

const COLOURS: Readonly<Record<Tone, number>> = {
  critical: 0xd32f2f,
  warning: 0xe08600,
  info: 0x1976d2,
  good: 0x2e8b3d,
  quiet: 0x757575,
}

export interface DiscordMessage {
  readonly embeds: readonly [
    {
      readonly title: string
      readonly description?: string
      readonly color: number
      readonly footer: { readonly text: string }
    },
  ]
  readonly allowed_mentions: { readonly parse: readonly never[] }
}

/** A backslash makes any of these marks a plain character; the colon ends addresses, names of emoji and times. */
export function escapeDiscord(character: string): string {
  return /[\\*_~`|>#\-+[\]()<:@]/.test(character) ? `\\${character}` : character
}

const escapeAll = (text: string) => clip(text, Number.POSITIVE_INFINITY, { escape: escapeDiscord })

export function renderDiscord(notice: Notice, options: RenderOptions = {}): DiscordMessage {
  const message = composeMessage(notice, options)
  const title = clip(message.firstLine, DISCORD_LIMITS.title, { escape: escapeDiscord })
  const footer = clip(message.footer, 500)
  const links = message.links.map(({ label, url }) => `**[${label}](${url})**`)
  const budget = Math.min(DISCORD_LIMITS.description, DISCORD_LIMITS.total - title.length - footer.length)
  // Addresses are never cut; those that would leave no room for what has happened are left away.
  const keptLinks = fitItems(links, { budget: budget / 2, cost: (link) => link.length + 3 }).shown.join(' · ')
  // What the title had to leave away stands below it.
  const whole = title.endsWith('…') ? [clip(message.firstLine, 1000, { escape: escapeDiscord })] : []
  const lines = fitItems([...whole, ...message.lines.map(escapeAll)], {
    budget: budget / 3,
    cost: (line) => line.length + 1,
  })
  const head = [...lines.shown, ...(lines.hidden > 0 ? [andMore(lines.hidden, 'line')] : [])].join('\n')
  const items = fitItems(message.items.map(item), {
    budget: budget - keptLinks.length - head.length - 60,
    cost: (text) => text.length + 2,
  })
  const description = [head, ...items.shown, items.hidden > 0 ? andMore(items.hidden, message.itemName) : '', keptLinks]
    .filter((text) => text !== '')
    .join('\n\n')
  return {
    embeds: [
      { title, ...(description === '' ? {} : { description }), color: COLOURS[message.tone], footer: { text: footer } },
    ],
    allowed_mentions: { parse: [] },
  }
}

/** Short enough that one always fits beside the rest. */
const LONGEST_ITEM_TEXT = 450

function item({ heading, rows }: MessageItem): string {
  return [
    `**${clip(heading, 300, { escape: escapeDiscord })}**`,
    ...rows.map(({ label, text }) => `${label}: ${clip(text, LONGEST_ITEM_TEXT, { escape: escapeDiscord })}`),
  ].join('\n')
}
