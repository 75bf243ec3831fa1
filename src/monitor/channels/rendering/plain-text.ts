/** A notice as plain text: the text part of a mail, and what a terminal shows. Pure. */

import type { Notice } from '../../alerts/notice.ts'
import type { RenderOptions } from '../channel.ts'
import { andMore, fitItems } from './fit.ts'
import { composeMessage, type Message, type MessageItem } from './message.ts'

/** Longer mails are cut by some servers; nobody reads further either. */
const BUDGET = 64 * 1024
const MOST_LINES = 200

export function renderPlainText(notice: Notice, options: RenderOptions = {}): string {
  return plainTextOf(composeMessage(notice, options), BUDGET)
}

/** At most `budget` UTF-16 units, when that leaves room for the first line, the links and the footer. */
export function plainTextOf(message: Message, budget: number): string {
  const head = message.firstLine
  const links = message.links.map(({ label, url }) => `${label}: ${url}`)
  const tail = [...(links.length > 0 ? [links.join('\n')] : []), `-- \n${message.footer}`]
  const lines = message.lines.slice(0, MOST_LINES)
  const fixed = [head, ...tail].join('\n\n').length + 120
  const fittedLines = fitItems(lines, { budget: budget - fixed, cost: (line) => line.length + 1 })
  const spent = fittedLines.shown.reduce((sum, line) => sum + line.length + 1, 0)
  const items = fitItems(message.items.map(plainItem), {
    budget: budget - fixed - spent,
    cost: (text) => text.length + 2,
  })
  const hiddenLines = message.lines.length - fittedLines.shown.length
  return [
    head,
    ...(fittedLines.shown.length > 0 ? [fittedLines.shown.join('\n')] : []),
    ...(hiddenLines > 0 ? [andMore(hiddenLines, 'line')] : []),
    ...items.shown,
    ...(items.hidden > 0 ? [andMore(items.hidden, message.itemName)] : []),
    ...tail,
  ].join('\n\n')
}

function plainItem({ heading, rows }: MessageItem): string {
  return [heading, ...rows.map(({ label, text }) => `  ${label}: ${text.replaceAll('\n', '\n    ')}`)].join('\n')
}
