import assert from 'node:assert/strict'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { describe, test } from 'node:test'
import { type Endpoint, openEndpoint } from '../../../test/support/notices/endpoint.ts'
import { ALERT, noticeOf } from '../../../test/support/notices/notices.ts'
import {
  discordApi,
  ntfyServer,
  pagerDuty,
  slackApi,
  slackWebhook,
  teamsWorkflow,
  telegramApi,
} from '../../../test/support/notices/providers.ts'
import type { Channel, Receipt } from './channel.ts'
import type { ChannelConfig } from './config.ts'
import { deliver } from './deliver.ts'
import { openChannel } from './open-channel.ts'

const PATH = '/services/T0000000000/B0000000000/thisisverysecret'
const SLACK_TOKEN = 'xoxb-123456789012-very-secret'
const BOT_TOKEN = '123456:AAveryverysecretbottoken'
const ROUTING_KEY = 'R0123456789abcdef0123456789abcde'
const WEBHOOK_KEY = Buffer.alloc(32, 7)
const WEBHOOK_SECRET = `whsec_${WEBHOOK_KEY.toString('base64')}`
const NOW = new Date('2026-11-22T12:00:00.000Z')

const open = (config: ChannelConfig, env: Readonly<Record<string, string>>): Promise<Channel> =>
  openChannel(config, { env, now: () => NOW })

const fired = noticeOf()
const acknowledged = noticeOf({ id: 'n-2', kind: 'acknowledged', alerts: [{ ...ALERT, acknowledgedBy: 'Ada' }] })
const escalated = noticeOf({ id: 'n-3', kind: 'escalated', level: 2 })
const resolved = noticeOf({
  id: 'n-4',
  kind: 'resolved',
  alerts: [{ ...ALERT, resolvedAt: '2026-11-22T13:00:00.000Z' }],
})
const links = { acknowledge: 'https://retake.example.org/ack/1', open: 'https://retake.example.org/i/7' }

async function story(channel: Channel): Promise<readonly Receipt[]> {
  const receipts: Receipt[] = []
  for (const notice of [fired, escalated, acknowledged, resolved]) {
    const previous = receipts.at(-1)
    const receipt = await channel.send(notice, { links, ...(previous ? { previous } : {}) })
    // It is stored between two notices.
    receipts.push(JSON.parse(JSON.stringify(receipt)) as Receipt)
  }
  return receipts
}

describe('Slack with a token', () => {
  const config = (endpoint: Endpoint) =>
    ({ kind: 'slack-bot', name: 'team', token: { env: 'TOKEN' }, channel: 'ops', server: endpoint.url }) as const

  test('an incident is one message, brought up to date, with the rest in its thread', async () => {
    const slack = slackApi(SLACK_TOKEN)
    await using endpoint = await openEndpoint(slack.handle)
    const receipts = await story(await open(config(endpoint), { TOKEN: SLACK_TOKEN }))
    const [first, ...answers] = [...slack.messages.values()]
    assert.match(String(first?.content.text), /🟢 RESOLVED: no backup of prod/)
    assert.deepEqual(
      answers.map(({ thread, loud }) => [thread, loud]),
      [
        [first?.id, true],
        [first?.id, false],
        [first?.id, false],
      ],
    )
    assert(receipts.every((receipt) => receipt.first === first?.id && receipt.place === 'C0123456789'))
    // The answer to what was updated does not say all of it again.
    assert.doesNotMatch(JSON.stringify(answers.at(-1)?.content), /Effect/)
    assert.match(JSON.stringify(first?.content), /"url":"https:\/\/retake.example.org\/i\/7"/)
  })

  test('when somebody deleted the message, the news is posted anew', async () => {
    const slack = slackApi(SLACK_TOKEN)
    await using endpoint = await openEndpoint(slack.handle)
    const channel = await open(config(endpoint), { TOKEN: SLACK_TOKEN })
    const previous = await channel.send(fired)
    slack.messages.clear()
    const receipt = await channel.send(resolved, { previous })
    const [only] = [...slack.messages.values()]
    assert.equal(only?.thread, undefined)
    assert.equal(receipt.first, only?.id)
    assert.match(JSON.stringify(only?.content), /Effect/)
  })

  test('when the app has no place where the message stands, the news is posted where it belongs today', async () => {
    const slack = slackApi(SLACK_TOKEN)
    await using endpoint = await openEndpoint(slack.handle)
    const channel = await open(config(endpoint), { TOKEN: SLACK_TOKEN })
    const previous = { ...(await channel.send(fired)), place: 'C_OLD' }
    for (const notice of [escalated, resolved]) {
      const receipt = await channel.send(notice, { previous })
      assert.equal(receipt.place, 'C0123456789')
      assert.equal(receipt.first, receipt.message)
    }
  })

  test('blocks that are not taken do not cost the notice', async () => {
    const slack = slackApi(SLACK_TOKEN)
    await using endpoint = await openEndpoint((request) =>
      request.body.includes('"blocks"')
        ? { status: 200, body: { ok: false, error: 'invalid_blocks' } }
        : slack.handle({ ...request, body: request.body.replace('{', '{"blocks":[],') }),
    )
    await (await open(config(endpoint), { TOKEN: SLACK_TOKEN })).send(fired)
    assert.match(String([...slack.messages.values()][0]?.content.text), /CRITICAL: no backup of prod/)
  })

  for (const [error, code, hint] of [
    ['channel_not_found', 'notice.refused', /invite @app/],
    ['is_archived', 'notice.refused', /Unarchive/],
    ['token_revoked', 'notice.denied', /chat:write/],
    ['missing_scope', 'notice.denied', /chat:write/],
    ['internal_error', 'notice.failed', undefined],
    ['ratelimited', 'notice.rate-limited', undefined],
  ] as const) {
    test(`${error} is ${code}`, async () => {
      await using endpoint = await openEndpoint(() => ({ status: 200, body: { ok: false, error } }))
      const outcome = await deliver(await open(config(endpoint), { TOKEN: SLACK_TOKEN }), fired)
      assert(!outcome.delivered)
      assert.equal(outcome.failure.code, code)
      assert.equal(outcome.failure.mayRetry, code === 'notice.failed' || code === 'notice.rate-limited')
      if (hint) assert.match(String(outcome.failure.hint), hint)
    })
  }

  test('a receipt of another incident is not answered', async () => {
    const slack = slackApi(SLACK_TOKEN)
    await using endpoint = await openEndpoint(slack.handle)
    const channel = await open(config(endpoint), { TOKEN: SLACK_TOKEN })
    const previous = await channel.send(noticeOf({ incident: 'another' }))
    await channel.send(resolved, { previous })
    assert.deepEqual(
      [...slack.messages.values()].map(({ thread }) => thread),
      [undefined, undefined],
    )
  })
})

describe('Slack through an incoming webhook', () => {
  test('posts each notice', async () => {
    const slack = slackWebhook()
    await using endpoint = await openEndpoint(slack.handle)
    await story(await open({ kind: 'slack-webhook', name: 'team', url: { env: 'URL' } }, { URL: endpoint.url + PATH }))
    assert.equal(slack.messages.length, 4)
    assert(endpoint.requests.every(({ path }) => path === PATH))
  })

  test('blocks that are not taken do not cost the notice', async () => {
    await using endpoint = await openEndpoint(({ body }) =>
      body.includes('"blocks"') ? { status: 400, body: 'invalid_blocks' } : { status: 200, body: 'ok' },
    )
    await (await open({ kind: 'slack-webhook', name: 'team', url: { env: 'URL' } }, { URL: endpoint.url + PATH })).send(
      fired,
    )
    assert.match(endpoint.requests[1]?.body ?? '', /CRITICAL: no backup of prod/)
  })

  test('a page of HTML with status 200 is no success', async () => {
    await using endpoint = await openEndpoint(() => ({ status: 200, body: '<html>Please log in</html>' }))
    const channel = await open(
      { kind: 'slack-webhook', name: 'team', url: { env: 'URL' } },
      { URL: endpoint.url + PATH },
    )
    const outcome = await deliver(channel, fired)
    assert(!outcome.delivered)
    assert.equal(outcome.failure.code, 'notice.failed')
    assert.equal(outcome.failure.mayRetry, true)
  })
})

describe('a signed webhook', () => {
  const config = { kind: 'webhook', name: 'hook', url: { env: 'URL' }, secret: { env: 'SECRET' } } as const

  test('a receiver can verify who sent it, and knows one that is sent again', async () => {
    await using endpoint = await openEndpoint(() => ({ status: 204 }))
    const channel = await open(config, { URL: `${endpoint.url}/in`, SECRET: WEBHOOK_SECRET })
    await channel.send(fired, { links })
    await channel.send(fired, { links })
    const ids = endpoint.requests.map(({ headers, body }) => {
      const id = String(headers['webhook-id'])
      const timestamp = String(headers['webhook-timestamp'])
      assert.equal(timestamp, String(NOW.getTime() / 1000))
      // As the specification describes it, without our code.
      const expected = createHmac('sha256', WEBHOOK_KEY)
        .update(Buffer.from(`${id}.${timestamp}.${body}`, 'utf8'))
        .digest()
      const [version, signature = ''] = String(headers['webhook-signature']).split(',')
      assert.equal(version, 'v1')
      assert(timingSafeEqual(expected, Buffer.from(signature, 'base64')))
      assert.match(id, /^[\w-]+$/)
      return id
    })
    assert.equal(new Set(ids).size, 1)
    const { type, data } = JSON.parse(endpoint.requests[0]!.body) as {
      type: string
      data: { notice: unknown; links: unknown }
    }
    assert.equal(type, 'retake.notice.fired')
    assert.deepEqual(data, { notice: JSON.parse(JSON.stringify(fired)), links })
  })

  test('the known answer of the specification', async () => {
    const { signatureHeaders } = await import('./webhook.ts')
    const key = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64')
    const headers = signatureHeaders({
      id: 'p5jXN8AQM9LWM0D4loKWxJek',
      body: '{"test": 2432232314}',
      key,
      now: new Date(1_614_265_330_000),
    })
    // The published vector signs this id as it stands.
    const published = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    const asPublished = createHmac('sha256', key)
      .update('msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}')
      .digest('base64')
    assert.equal(`v1,${asPublished}`, published)
    assert.equal(headers['webhook-signature'], published)
  })

  for (const secret of [
    'whsec_',
    'whsec_c2hvcnQ=',
    'plain text that is long enough to be one',
    `whsec_${'A'.repeat(100)}`,
  ]) {
    test(`the secret ${secret.slice(0, 12)}… is refused without being repeated`, async () => {
      await assert.rejects(
        open(config, { URL: 'https://example.org/x', SECRET: secret }),
        (error: Error & { code: string; hint: string }) => {
          assert.equal(error.code, 'config.invalid')
          assert.match(error.hint, /openssl rand/)
          return secret.length < 10 || !error.message.includes(secret)
        },
      )
    })
  }
})

describe('Discord', () => {
  const openDiscord = (endpoint: Endpoint) =>
    open(
      { kind: 'discord', name: 'd', url: { env: 'URL' } },
      { URL: `${endpoint.url}/api/webhooks/123456789012/veryverysecret` },
    )

  test('the first message is brought up to date, and the news posted', async () => {
    const discord = discordApi()
    await using endpoint = await openEndpoint(discord.handle)
    const receipts = await story(await openDiscord(endpoint))
    const titles = [...discord.messages.values()].map(
      ({ content }) => (content.embeds as { title: string }[])[0]?.title,
    )
    assert.equal(titles.length, 4)
    assert.match(String(titles[0]), /^RESOLVED/)
    assert(receipts.every(({ first }) => first === receipts[0]?.first))
  })

  test('a message that was deleted does not stop the news', async () => {
    const discord = discordApi()
    await using endpoint = await openEndpoint(discord.handle)
    const channel = await openDiscord(endpoint)
    const previous = await channel.send(fired)
    discord.messages.clear()
    const receipt = await channel.send(resolved, { previous })
    assert.equal(receipt.first, receipt.message)
  })

  test('waits as long as it says, in the header or in the body', async () => {
    await using endpoint = await openEndpoint(() => ({
      status: 429,
      body: { message: 'You are being rate limited.', retry_after: 1.337, global: false },
    }))
    const outcome = await deliver(await openDiscord(endpoint), fired)
    assert(!outcome.delivered)
    assert.equal(outcome.failure.code, 'notice.rate-limited')
    assert.equal(outcome.failure.retryAfterMs, 1337)
  })
})

describe('Teams', () => {
  const openTeams = (endpoint: Endpoint) =>
    open(
      { kind: 'teams', name: 't', url: { env: 'URL' } },
      { URL: `${endpoint.url}/workflows/abcdef0123456789?sig=veryverysecret` },
    )

  test('gets a card', async () => {
    const teams = teamsWorkflow()
    await using endpoint = await openEndpoint(teams.handle)
    await story(await openTeams(endpoint))
    assert.equal(teams.cards.length, 4)
    assert.match(JSON.stringify(teams.cards[0]), /Action\.OpenUrl/)
    assert.equal(endpoint.requests[0]?.query.get('sig'), 'veryverysecret')
  })

  test('five hundred alerts are still one card', async () => {
    const teams = teamsWorkflow()
    await using endpoint = await openEndpoint(teams.handle)
    await (await openTeams(endpoint)).send(noticeOf({ alerts: Array.from({ length: 500 }, () => ALERT) }))
    assert.match(JSON.stringify(teams.cards[0]), /… and \d+ more alerts/)
  })

  test('an error that an old connector reports with status 200 is one', async () => {
    await using endpoint = await openEndpoint(() => ({
      status: 200,
      body: 'Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId',
    }))
    const outcome = await deliver(await openTeams(endpoint), fired)
    assert(!outcome.delivered && outcome.failure.code === 'notice.rate-limited')
  })
})

describe('PagerDuty', () => {
  const openPagerDuty = (endpoint: Endpoint, key = ROUTING_KEY) =>
    open({ kind: 'pagerduty', name: 'p', routingKey: { env: 'KEY' }, server: endpoint.url }, { KEY: key })

  test('an incident is triggered, acknowledged and resolved', async () => {
    const service = pagerDuty(ROUTING_KEY)
    await using endpoint = await openEndpoint(service.handle)
    const channel = await openPagerDuty(endpoint)
    const states: unknown[] = []
    for (const notice of [fired, escalated, acknowledged, resolved]) {
      await channel.send(notice)
      states.push([...service.incidents.values()].map(({ status }) => status))
    }
    assert.deepEqual(states, [['triggered'], ['triggered'], ['acknowledged'], ['resolved']])
    assert.equal(service.incidents.get('inc-7')?.severity, 'critical')
  })

  test('a digest calls nobody, and a test leaves no open incident', async () => {
    const service = pagerDuty(ROUTING_KEY)
    await using endpoint = await openEndpoint(service.handle)
    const channel = await openPagerDuty(endpoint)
    await channel.send(noticeOf({ kind: 'digest', incident: 'digest-1', lines: ['Three backups.'] }))
    assert.equal(service.incidents.size, 0)
    assert.equal(service.changes.length, 1)
    await channel.send(noticeOf({ kind: 'test', incident: 'test-1', severity: 'info' }))
    assert.deepEqual(
      [...service.incidents.values()].map(({ status, severity }) => [status, severity]),
      [['resolved', 'info']],
    )
  })

  test('a wrong key is said with what to do', async () => {
    await using endpoint = await openEndpoint(pagerDuty(ROUTING_KEY).handle)
    const outcome = await deliver(await openPagerDuty(endpoint, 'another0123456789'), fired)
    assert(!outcome.delivered && !outcome.failure.mayRetry)
    assert.match(String(outcome.failure.hint), /Events API v2/)
  })
})

describe('ntfy', () => {
  const config = (endpoint: Endpoint) =>
    ({ kind: 'ntfy', name: 'n', server: endpoint.url, topic: { env: 'TOPIC' }, token: { env: 'TOKEN' } }) as const

  test('what is critical sounds through', async () => {
    const ntfy = ntfyServer('my-topic', 'tk_secret')
    await using endpoint = await openEndpoint(ntfy.handle)
    await story(await open(config(endpoint), { TOPIC: 'my-topic', TOKEN: 'tk_secret' }))
    assert.deepEqual(
      ntfy.messages.map(({ priority }) => priority),
      [5, 5, 2, 3],
    )
  })

  test('a token that may not write is said with what to do', async () => {
    await using endpoint = await openEndpoint(ntfyServer('my-topic', 'tk_secret').handle)
    const outcome = await deliver(await open(config(endpoint), { TOPIC: 'my-topic', TOKEN: 'tk_wrong' }), fired)
    assert(!outcome.delivered && outcome.failure.code === 'notice.denied')
    assert.match(String(outcome.failure.hint), /access token/)
  })
})

describe('Telegram', () => {
  const config = (endpoint: Endpoint, chat = '-100123') =>
    ({ kind: 'telegram', name: 'tg', token: { env: 'TOKEN' }, chat, server: endpoint.url }) as const

  test('the first message is edited, and answered', async () => {
    const telegram = telegramApi(BOT_TOKEN, '-100123')
    await using endpoint = await openEndpoint(telegram.handle)
    await story(await open(config(endpoint), { TOKEN: BOT_TOKEN }))
    const [first, ...answers] = [...telegram.messages.values()]
    assert.match(String(first?.content.text), /^🟢 <b>RESOLVED/)
    assert.deepEqual(
      answers.map(({ thread, loud }) => [thread, loud]),
      [
        ['41', true],
        ['41', false],
        ['41', true],
      ],
    )
  })

  test('a message in another chat is not touched', async () => {
    const telegram = telegramApi(BOT_TOKEN, '-100123')
    await using endpoint = await openEndpoint(telegram.handle)
    const channel = await open(config(endpoint), { TOKEN: BOT_TOKEN })
    await channel.send(noticeOf({ incident: 'another' }))
    const previous = { ...(await channel.send(fired)), place: '77', first: '41' }
    await channel.send(resolved, { previous })
    assert.doesNotMatch(String(telegram.messages.get(41)?.content.text), /RESOLVED/)
  })

  test('an edit that was already made is one that was made', async () => {
    const telegram = telegramApi(BOT_TOKEN, '-100123')
    await using endpoint = await openEndpoint(telegram.handle)
    const channel = await open(config(endpoint), { TOKEN: BOT_TOKEN })
    const previous = await channel.send(fired)
    await channel.send(resolved, { previous })
    const again = await channel.send(resolved, { previous })
    assert.equal(again.first, '41')
  })

  test('a message that was deleted does not stop the news, which is whole', async () => {
    const telegram = telegramApi(BOT_TOKEN, '-100123')
    await using endpoint = await openEndpoint(telegram.handle)
    const channel = await open(config(endpoint), { TOKEN: BOT_TOKEN })
    const previous = await channel.send(fired)
    telegram.messages.clear()
    const receipt = await channel.send(resolved, { previous })
    assert.equal(receipt.first, receipt.message)
    assert.match(String([...telegram.messages.values()][0]?.content.text), /Effect:/)
  })

  for (const [name, chat, token, hint] of [
    ['a chat that the bot is not in', '5', BOT_TOKEN, /Write to the bot/],
    ['a wrong token', '-100123', '1:wrong', /BotFather/],
  ] as const) {
    test(`${name} is said with what to do`, async () => {
      await using endpoint = await openEndpoint(telegramApi(BOT_TOKEN, '-100123').handle)
      const outcome = await deliver(await open(config(endpoint, chat), { TOKEN: token }), fired)
      assert(!outcome.delivered && !outcome.failure.mayRetry)
      assert.match(String(outcome.failure.hint), hint)
    })
  }

  test('waits as long as it says in its parameters', async () => {
    await using endpoint = await openEndpoint(() => ({
      status: 429,
      body: {
        ok: false,
        error_code: 429,
        description: 'Too Many Requests: retry after 35',
        parameters: { retry_after: 35 },
      },
    }))
    const outcome = await deliver(await open(config(endpoint), { TOKEN: BOT_TOKEN }), fired)
    assert(!outcome.delivered && outcome.failure.retryAfterMs === 35_000)
  })
})
