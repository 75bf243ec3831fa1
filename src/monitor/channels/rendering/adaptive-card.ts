/**
 * A notice as an Adaptive Card in a message for Teams. Runs of rich text are taken literally (a TextBlock would read markdown). Pure.
 * https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
 */

import type { Notice } from '../../alerts/notice.ts'
import type { RenderOptions } from '../channel.ts'
import { andMore, bytesOf, fitItems } from './fit.ts'
import { composeMessage, type MessageItem, type Tone } from './message.ts'

/** Documented are 28 KB for a message with all that Teams makes of it; in practice cards of more than 21 KB were refused. */
export const ADAPTIVE_CARD_BUDGET_BYTES = 20_000

const STYLES: Readonly<Record<Tone, string>> = {
  critical: 'attention',
  warning: 'warning',
  info: 'accent',
  good: 'good',
  quiet: 'emphasis',
}

interface TextRun {
  readonly type: 'TextRun'
  readonly text: string
  readonly weight?: 'Bolder'
  readonly size?: 'Medium' | 'Small'
  readonly isSubtle?: true
}

interface RichTextBlock {
  readonly type: 'RichTextBlock'
  readonly spacing?: 'None' | 'Small' | 'Medium'
  readonly inlines: readonly TextRun[]
}

interface CardContainer {
  readonly type: 'Container'
  readonly style: string
  readonly bleed: true
  readonly items: readonly RichTextBlock[]
}

export interface TeamsMessage {
  readonly type: 'message'
  readonly summary: string
  readonly attachments: readonly [
    {
      readonly contentType: 'application/vnd.microsoft.card.adaptive'
      readonly contentUrl: null
      readonly content: {
        readonly $schema: string
        readonly type: 'AdaptiveCard'
        readonly version: '1.4'
        readonly fallbackText: string
        readonly msteams: { readonly width: 'Full' }
        readonly body: readonly (CardContainer | RichTextBlock)[]
        readonly actions?: readonly { readonly type: 'Action.OpenUrl'; readonly title: string; readonly url: string }[]
      }
    },
  ]
}

export function renderTeams(notice: Notice, options: RenderOptions = {}): TeamsMessage {
  const message = composeMessage(notice, options)
  const lines = fitItems(
    message.lines.map((line) => block([run(line)])),
    { budget: ADAPTIVE_CARD_BUDGET_BYTES / 3, cost: sizeOf },
  )
  const build = (items: readonly RichTextBlock[]): TeamsMessage => ({
    type: 'message',
    summary: message.firstLine,
    attachments: [
      {
        contentType: 'application/vnd.microsoft.card.adaptive',
        contentUrl: null,
        content: {
          $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
          type: 'AdaptiveCard',
          version: '1.4',
          fallbackText: message.firstLine,
          msteams: { width: 'Full' },
          body: [
            {
              type: 'Container',
              style: STYLES[message.tone],
              bleed: true,
              items: [block([{ type: 'TextRun', text: message.firstLine, weight: 'Bolder', size: 'Medium' }])],
            },
            ...lines.shown,
            ...(lines.hidden > 0 ? [block([run(andMore(lines.hidden, 'line'))])] : []),
            ...items,
            block([{ type: 'TextRun', text: message.footer, size: 'Small', isSubtle: true }], 'Medium'),
          ],
          ...(message.links.length > 0
            ? {
                actions: message.links.map(
                  ({ label, url }) => ({ type: 'Action.OpenUrl', title: label, url }) as const,
                ),
              }
            : {}),
        },
      },
    ],
  })
  const items = fitItems(message.items.map(itemBlocks), {
    budget: ADAPTIVE_CARD_BUDGET_BYTES - sizeOf(build([])) - 200,
    cost: (blocks) => sizeOf(blocks) + 2,
  })
  return build([
    ...items.shown.flat(),
    ...(items.hidden > 0 ? [block([run(andMore(items.hidden, message.itemName))])] : []),
  ])
}

function itemBlocks({ heading, rows }: MessageItem): RichTextBlock[] {
  return [
    block([{ type: 'TextRun', text: heading, weight: 'Bolder' }], 'Medium'),
    ...rows.map(({ label, text }) =>
      block([{ type: 'TextRun', text: `${label}: `, isSubtle: true }, run(text)], 'None'),
    ),
  ]
}

function run(text: string): TextRun {
  return { type: 'TextRun', text }
}

function block(inlines: readonly TextRun[], spacing: 'None' | 'Small' | 'Medium' = 'Small'): RichTextBlock {
  return { type: 'RichTextBlock', spacing, inlines }
}

function sizeOf(value: unknown): number {
  return bytesOf(JSON.stringify(value))
}
