/**
 * A notice for Slack: blocks of rich text, whose texts are taken literally, so that nothing in them can become a mention, a link or
 * broken markup; and a text for notifications and screen readers, which is escaped. Pure.
 * https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
 */

import type { Notice } from '../../alerts/notice.ts'
import type { RenderOptions } from '../channel.ts'
import { andMore, clip, type Fitted, fitItems } from './fit.ts'
import { composeMessage, type MessageItem, type Tone } from './message.ts'

/** Slack refuses more than about 13,200 characters of blocks in one message (`msg_blocks_too_long`), which its reference does not say. */
export const SLACK_BLOCKS_BUDGET = 11_000
/** Of the 50 blocks of a message; the rest is for the first line, the ends of both lists, links and footer. */
const MOST_LINES = 20
const MOST_ITEMS = 24
/** Of a message's text; longer ones are cut by Slack in the middle of what they say. */
const LONGEST_TEXT = 3000

export const SIGNS: Readonly<Record<Tone, string>> = {
  critical: '🔴',
  warning: '🟠',
  info: '🔵',
  good: '🟢',
  quiet: '⚪',
}

type RichElement =
  | { readonly type: 'text'; readonly text: string; readonly style?: { readonly bold: true } }
  | { readonly type: 'link'; readonly text: string; readonly url: string; readonly style?: { readonly bold: true } }

interface RichSection {
  readonly type: 'rich_text_section'
  readonly elements: readonly RichElement[]
}

interface SlackBlock {
  readonly type: 'rich_text'
  readonly elements: readonly RichSection[]
}

export interface SlackMessage {
  readonly text: string
  readonly blocks: readonly SlackBlock[]
}

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }

/** https://docs.slack.dev/messaging/formatting-message-text#escaping */
export function escapeSlack(character: string): string {
  return escapes[character] ?? character
}

/** `brief`: the first line and the links, for an answer to a message that holds the rest. */
export function renderSlack(notice: Notice, options: RenderOptions & { readonly brief?: boolean } = {}): SlackMessage {
  const message = composeMessage(notice, options)
  const title = `${SIGNS[message.tone]} ${message.firstLine}`
  const lines = options.brief ? [] : message.lines
  const fitted = limited(fitItems(lines, { budget: SLACK_BLOCKS_BUDGET / 3, cost: sizeOf }), MOST_LINES)
  const links: RichElement[] = message.links.flatMap(({ label, url }, index) => [
    ...(index === 0 ? [] : [text('   ')]),
    { type: 'link', text: label, url, style: { bold: true } } as const,
  ])
  const tail = [...(links.length > 0 ? [links] : []), [text(message.footer)]]
  const head = [
    [bold(title)],
    ...fitted.shown.map((line) => [text(line)]),
    ...(fitted.hidden > 0 ? [[text(andMore(fitted.hidden, 'line'))]] : []),
  ]
  const fittedItems = fitItems(options.brief ? [] : message.items.map(itemElements), {
    budget: SLACK_BLOCKS_BUDGET - sizeOf([...head, ...tail]) - 300,
    cost: (elements) => sizeOf(elements) + 60,
  })
  const items = limited(fittedItems, MOST_ITEMS)
  const more = items.hidden > 0 ? [[text(andMore(items.hidden, message.itemName))]] : []
  return {
    text: clip(title, LONGEST_TEXT, { escape: escapeSlack }),
    blocks: [...head, ...items.shown, ...more, ...tail].map((elements) => ({
      type: 'rich_text',
      elements: [{ type: 'rich_text_section', elements }],
    })),
  }
}

function limited<T>({ shown, hidden }: Fitted<T>, most: number): Fitted<T> {
  return { shown: shown.slice(0, most), hidden: hidden + Math.max(0, shown.length - most) }
}

function itemElements({ heading, rows }: MessageItem): RichElement[] {
  return [bold(heading), ...rows.flatMap(({ label, text: value }) => [text(`\n${label}: `), text(value)])]
}

function text(value: string): RichElement {
  return { type: 'text', text: value }
}

function bold(value: string): RichElement {
  return { type: 'text', text: value, style: { bold: true } }
}

function sizeOf(value: unknown): number {
  return JSON.stringify(value).length
}
