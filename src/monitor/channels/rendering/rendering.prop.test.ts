import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ALERT, anyLinks, anyNotice, noticeOf } from '../../../../test/support/notices/notices.ts'
import { ADAPTIVE_CARD_BUDGET_BYTES, renderTeams } from './adaptive-card.ts'
import { renderDiscord } from './discord-embed.ts'
import { renderEmailHtml } from './email-html.ts'
import { cleanText, clip } from './fit.ts'
import { composeMessage } from './message.ts'
import { NTFY_MESSAGE_LIMIT_BYTES, renderNtfy } from './ntfy-message.ts'
import { renderPagerDuty } from './pagerduty-event.ts'
import { renderPlainText } from './plain-text.ts'
import { renderSlack } from './slack-blocks.ts'
import { renderTelegram } from './telegram-html.ts'
import { renderWebhook } from './webhook-payload.ts'

const runs = { numRuns: 150 }
const cases = [anyNotice, anyLinks] as const
const json = (value: unknown) => JSON.stringify(value)

/** What no sender may pass on: half characters, control characters, marks that turn the writing. */
const FORBIDDEN = /\p{Cs}|[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069]/u

/** A strict reader of the little HTML that is sent; returns the texts. Throws on anything that is not well formed. */
function readHtml(html: string, tags: readonly string[], empty: readonly string[] = []): string[] {
  const open: string[] = []
  const texts: string[] = []
  const token = /<(\/?)([a-z]+)((?: [a-z-]+="[^"<>]*")*)>|([^<]+)/gy
  let match = token.exec(html)
  let end = 0
  for (; match; match = token.exec(html)) {
    end = token.lastIndex
    const [, slash, tag, attributes = '', text] = match
    for (const part of [text ?? '', attributes]) {
      assert.equal(
        part.replace(/&(?:amp|lt|gt|quot|#39);/g, '').includes('&'),
        false,
        `an & that is not escaped: ${part}`,
      )
    }
    if (text !== undefined) {
      assert.equal(text.includes('>'), false, 'a > that is not escaped')
      texts.push(text)
    } else if (tag !== undefined) {
      assert(tags.includes(tag) || empty.includes(tag), `a tag that is not ours: ${tag}`)
      if (empty.includes(tag)) continue
      if (slash === '') open.push(tag)
      else assert.equal(open.pop(), tag, 'tags are closed in order')
    }
  }
  assert.equal(end, html.length, `cannot be read from: ${html.slice(end, end + 80)}`)
  assert.deepEqual(open, [], 'every tag is closed')
  return texts
}

describe('whatever a notice says', () => {
  test('Slack gets blocks that it takes, with texts that are taken literally', () => {
    fc.assert(
      fc.property(...cases, fc.boolean(), (notice, links, brief) => {
        const { text, blocks } = renderSlack(notice, { links, brief })
        assert(blocks.length >= 1 && blocks.length <= 50, `${blocks.length} blocks`)
        assert(json(blocks).length <= 13_000, `${json(blocks).length} characters of blocks`)
        assert(text.length > 0 && text.length <= 4000)
        assert.equal(/[<>]/.test(text), false)
        assert.equal(text.replace(/&(?:amp|lt|gt);/g, '').includes('&'), false)
        for (const element of blocks.flatMap((block) => block.elements.flatMap((section) => section.elements))) {
          assert(element.type === 'text' || element.type === 'link')
          assert(element.text.length > 0 && element.text.length <= 3000)
          assert.doesNotMatch(element.text, FORBIDDEN)
          if (element.type === 'link') assert.match(element.url, /^https?:\/\//)
        }
      }),
      runs,
    )
  })

  test('Teams gets a card within its size, of elements that know no markup', () => {
    fc.assert(
      fc.property(...cases, (notice, links) => {
        const message = renderTeams(notice, { links })
        assert(
          Buffer.byteLength(json(message)) <= ADAPTIVE_CARD_BUDGET_BYTES + 200,
          `${Buffer.byteLength(json(message))} bytes`,
        )
        const { content } = message.attachments[0]
        const blocks = content.body.flatMap((part) => (part.type === 'Container' ? part.items : [part]))
        for (const { type, inlines } of blocks) {
          assert.equal(type, 'RichTextBlock')
          for (const run of inlines) assert(run.type === 'TextRun' && run.text !== '' && !FORBIDDEN.test(run.text))
        }
        for (const action of content.actions ?? []) assert.match(action.url, /^https?:\/\//)
      }),
      runs,
    )
  })

  test('Discord gets an embed within its limits, in which no mark has a meaning but ours', () => {
    fc.assert(
      fc.property(...cases, (notice, links) => {
        const { embeds, allowed_mentions } = renderDiscord(notice, { links })
        const [{ title, description = '', footer }] = embeds
        assert(title.length >= 1 && title.length <= 256)
        assert(description.length <= 4096)
        assert(title.length + description.length + footer.text.length <= 6000)
        assert.deepEqual(allowed_mentions, { parse: [] })
        // Without what is escaped and without our own bold headings and links, no mark is left over.
        const rest = `${title}\n${description}`
          .replace(/\\[\\*_~`|>#\-+[\]()<:@]/g, '')
          .replace(/\*\*\[[A-Za-z ]+\]\(https?:\/\/[^\s()]+\)\*\*/g, '')
          .replace(/^(Found|Effect|Do|Since|Lasted|Acknowledged by): /gm, '')
          .replace(/^\*\*([^*]*)\*\*$/gm, '$1')
        assert.doesNotMatch(rest, /[\\*_~`|><[\]@]/)
        assert.doesNotMatch(title + description, FORBIDDEN)
      }),
      runs,
    )
  })

  test('Telegram gets well-formed HTML within its limit', () => {
    fc.assert(
      fc.property(...cases, fc.boolean(), (notice, links, brief) => {
        const text = renderTelegram(notice, { links, brief })
        assert(text.length >= 1 && text.length <= 4096, `${text.length} characters`)
        readHtml(text, ['b', 'i', 'a'])
        assert.doesNotMatch(text, FORBIDDEN)
      }),
      runs,
    )
  })

  test('ntfy gets a message that stays one', () => {
    fc.assert(
      fc.property(...cases, (notice, links) => {
        const { message, title, actions = [], priority } = renderNtfy(notice, { topic: 't', links })
        assert(
          Buffer.byteLength(message) >= 1 && Buffer.byteLength(message) <= NTFY_MESSAGE_LIMIT_BYTES,
          `${Buffer.byteLength(message)} bytes`,
        )
        assert(Buffer.byteLength(title) <= 250 && !title.includes('\n'))
        assert(actions.length <= 3)
        assert(priority >= 1 && priority <= 5)
        assert.doesNotMatch(title + message, FORBIDDEN)
      }),
      runs,
    )
  })

  test('PagerDuty gets an event within its limits, with all that it requires', () => {
    fc.assert(
      fc.property(...cases, (notice, links) => {
        const event = renderPagerDuty(notice, { links })
        assert(Buffer.byteLength(json(event.body)) <= 512 * 1024)
        const { payload } = event.body
        if (event.kind === 'alert') {
          assert(event.body.dedup_key.length <= 255)
          assert.equal(payload === undefined, event.body.event_action !== 'trigger')
        }
        if (payload) {
          assert(payload.summary.length >= 1 && payload.summary.length <= 1024)
          assert(payload.source.length >= 1)
          assert(!Number.isNaN(Date.parse(payload.timestamp)))
        }
      }),
      runs,
    )
  })

  test('a mail has well-formed HTML without anything from elsewhere, and a text of bounded length', () => {
    const tags = ['html', 'head', 'title', 'body', 'div', 'p', 'a', 'table', 'tr', 'td']
    fc.assert(
      fc.property(...cases, (notice, links) => {
        const html = renderEmailHtml(notice, { links })
        assert(html.startsWith('<!DOCTYPE html>'))
        readHtml(html.slice('<!DOCTYPE html>'.length), tags, ['meta', 'br'])
        assert(Buffer.byteLength(html) <= 250_000)
        for (const tag of html.match(/<[^>]*>/g) ?? []) assert.doesNotMatch(tag, /\ssrc=|url\(|<link/)
        const text = renderPlainText(notice, { links })
        assert(text.length <= 65_536)
        assert.doesNotMatch(text, FORBIDDEN)
      }),
      runs,
    )
  })

  test('a program gets the notice itself', () => {
    fc.assert(
      fc.property(...cases, (notice, links) => {
        const payload = renderWebhook(notice, { links })
        const { data } = payload
        assert(Buffer.byteLength(json(payload)) <= 256 * 1024)
        assert.equal(data.notice.alerts.length + (data.omittedAlerts ?? 0), notice.alerts.length)
        assert.deepEqual(data.notice.alerts, notice.alerts.slice(0, data.notice.alerts.length))
        const { sections = [] } = data.notice
        assert.equal(sections.length + (data.omittedSections ?? 0), notice.sections?.length ?? 0)
        assert.deepEqual(sections, notice.sections?.slice(0, sections.length) ?? [])
      }),
      runs,
    )
  })

  test('cutting keeps to the limit, cuts nothing that fits, and never parts an escape', () => {
    const escapeIt = (one: string) => (one === '&' ? '&amp;' : one)
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 60 }), (text, limit) => {
        const clean = cleanText(text)
        const whole = clip(clean, Number.POSITIVE_INFINITY, { escape: escapeIt })
        const cut = clip(clean, limit, { escape: escapeIt })
        assert(cut.length <= limit)
        if (whole.length <= limit) assert.equal(cut, whole)
        else assert(cut.endsWith('…') && whole.startsWith(cut.slice(0, -1)))
        assert.doesNotMatch(cut.replace(/&amp;/g, ''), /&/)
      }),
    )
  })
})

describe('five hundred alerts', () => {
  const alerts = Array.from({ length: 500 }, (_, index) => ({ ...ALERT, title: `Alert number ${index}` }))
  const notice = noticeOf({ alerts })
  const hiddenIn = (text: string) => Number(/… and (\d+) more alerts/.exec(text)?.[1])
  const shownIn = (text: string) => new Set(text.match(/Alert number \d+/g)).size

  for (const [name, render] of [
    ['plain text', renderPlainText],
    ['e-mail', renderEmailHtml],
    ['Slack', (one: typeof notice) => json(renderSlack(one))],
    ['Teams', (one: typeof notice) => json(renderTeams(one))],
    ['Discord', (one: typeof notice) => json(renderDiscord(one))],
    ['Telegram', (one: typeof notice) => renderTelegram(one)],
    ['ntfy', (one: typeof notice) => json(renderNtfy(one, { topic: 't' }))],
  ] as const) {
    test(`${name} shows the first ones and says how many there are besides`, () => {
      const text = render(notice)
      assert(shownIn(text) >= 1, 'none is shown')
      assert(text.includes('Alert number 0'))
      assert.equal(shownIn(text) + hiddenIn(text), 500)
    })
  }
})

describe('what people read', () => {
  const first = (facts: Parameters<typeof noticeOf>[0]) => composeMessage(noticeOf(facts)).firstLine

  test('the first line says how bad it is, or what has become of it', () => {
    assert.equal(first({}), 'CRITICAL: no backup of prod for 27 hours; recovery would take 3 h')
    assert.equal(first({ kind: 'resolved' }), 'RESOLVED: no backup of prod for 27 hours; recovery would take 3 h')
    assert.equal(
      first({ kind: 'resolved', headline: 'Resolved: prod has a backup again' }),
      'Resolved: prod has a backup again',
    )
    assert.equal(first({ kind: 'escalated', level: 2, headline: 'x' }), 'CRITICAL, LEVEL 2: x')
    assert.equal(first({ kind: 'reminder', headline: 'Criticality of x' }), 'STILL CRITICAL: Criticality of x')
    assert.equal(first({ kind: 'broadcast', headline: '' }), 'CRITICAL, NOBODY ANSWERED')
  })

  test('what is over says how long it lasted, and asks for nothing', () => {
    const alert = { ...ALERT, resolvedAt: '2026-11-22T12:24:11.000Z' }
    const text = renderPlainText(noticeOf({ kind: 'resolved', alerts: [alert] }))
    assert.match(text, /Lasted: 3 h 20 min \(2026-11-22 09:04:11 UTC to 2026-11-22 12:24:11 UTC\)/)
    assert.doesNotMatch(text, /Do:/)
  })

  test('a link that is absent or does not lead to a page is not shown', () => {
    const links = { open: 'javascript:alert(1)', acknowledge: 'https://retake.example.org/a?x=(1)' }
    assert.deepEqual(composeMessage(noticeOf(), { links }).links, [
      { label: 'Acknowledge', url: 'https://retake.example.org/a?x=%281%29' },
    ])
    assert.deepEqual(composeMessage(noticeOf()).links, [])
  })

  test('a canary asks for its confirmation', () => {
    const text = renderPlainText(noticeOf({ kind: 'canary', headline: 'x', alerts: [] }), { confirmationCode: 'K7-22' })
    assert.match(
      text,
      /^CANARY: x\n\nThis asks whether notices arrive here. Nothing is wrong.\nConfirmation code: K7-22\n/,
    )
  })
})
