import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Answer, type Endpoint, openEndpoint } from '../../../test/support/notices/endpoint.ts'
import { noticeOf } from '../../../test/support/notices/notices.ts'
import type { Channel } from './channel.ts'
import type { ChannelConfig } from './config.ts'
import { deliver } from './deliver.ts'
import { openChannel } from './open-channel.ts'

const NOW = new Date('2026-11-22T12:00:00.000Z')
const SECRET = 'S3cretS3cretS3cret'
const WEBHOOK_SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`

/** Every channel over HTTP, with a secret that is easy to find again. */
const configs = (url: string): readonly ChannelConfig[] => [
  { kind: 'slack-webhook', name: 'a', url: { env: 'URL' } },
  { kind: 'slack-bot', name: 'b', token: { env: 'SECRET' }, channel: 'ops', server: url },
  { kind: 'webhook', name: 'c', url: { env: 'URL' }, secret: { env: 'WEBHOOK_SECRET' } },
  { kind: 'discord', name: 'd', url: { env: 'URL' } },
  { kind: 'teams', name: 'e', url: { env: 'URL' } },
  { kind: 'pagerduty', name: 'f', routingKey: { env: 'SECRET' }, server: url },
  { kind: 'ntfy', name: 'g', server: url, topic: { env: 'SECRET' } },
  { kind: 'telegram', name: 'h', token: { env: 'SECRET' }, chat: '1', server: url },
]

const kinds = configs('https://example.org').map(({ kind }) => kind)

function open(kind: ChannelConfig['kind'], endpoint: Pick<Endpoint, 'url'>): Promise<Channel> {
  const config = configs(endpoint.url).find((one) => one.kind === kind)
  assert(config)
  const env = { URL: `${endpoint.url}/hooks/${SECRET}/x?sig=${SECRET}`, SECRET, WEBHOOK_SECRET }
  return openChannel(config, { env, now: () => NOW })
}

interface Fault {
  readonly name: string
  readonly answer: Answer
  readonly code: string
  readonly mayRetry: boolean
  readonly retryAfterMs?: number
}

/** An answer that repeats the secret, as some do. */
const said = (status: number, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status,
  headers,
  body: `no: /hooks/${SECRET}/x ${WEBHOOK_SECRET}`,
})

const faults: readonly Fault[] = [
  { name: 'is torn', answer: 'reset', code: 'notice.unreachable', mayRetry: true },
  { name: 'has a problem of its own', answer: said(500), code: 'notice.failed', mayRetry: true },
  {
    name: 'stands behind a proxy with a page',
    answer: { status: 502, body: `<html>${SECRET}</html>` },
    code: 'notice.failed',
    mayRetry: true,
  },
  {
    name: 'says when to come back, in seconds',
    answer: said(429, { 'retry-after': '17' }),
    code: 'notice.rate-limited',
    mayRetry: true,
    retryAfterMs: 17_000,
  },
  {
    name: 'says when to come back, as a date',
    answer: said(429, { 'retry-after': 'Sun, 22 Nov 2026 12:01:30 GMT' }),
    code: 'notice.rate-limited',
    mayRetry: true,
    retryAfterMs: 90_000,
  },
  {
    name: 'says nonsense about when to come back',
    answer: said(429, { 'retry-after': 'soon' }),
    code: 'notice.rate-limited',
    mayRetry: true,
  },
  {
    name: 'is overloaded and says for how long',
    answer: said(503, { 'retry-after': '5' }),
    code: 'notice.failed',
    mayRetry: true,
    retryAfterMs: 5_000,
  },
  { name: 'does not accept the credential', answer: said(401), code: 'notice.denied', mayRetry: false },
  { name: 'forbids it', answer: said(403), code: 'notice.denied', mayRetry: false },
  { name: 'is not there any more', answer: said(404), code: 'notice.refused', mayRetry: false },
  { name: 'is gone for good', answer: said(410), code: 'notice.refused', mayRetry: false },
  { name: 'does not like the message', answer: said(400), code: 'notice.refused', mayRetry: false },
  {
    name: 'leads elsewhere',
    answer: said(302, { location: 'https://evil.example/' }),
    code: 'notice.refused',
    mayRetry: false,
  },
]

for (const kind of kinds) {
  describe(kind, () => {
    for (const { name, answer, code, mayRetry, retryAfterMs } of faults) {
      test(`${name}: ${code}`, async () => {
        await using endpoint = await openEndpoint(() => answer)
        const outcome = await deliver(await open(kind, endpoint), noticeOf())
        assert(!outcome.delivered)
        const { failure } = outcome
        assert.equal(failure.code, code)
        assert.equal(failure.mayRetry, mayRetry)
        assert.equal(failure.retryAfterMs, retryAfterMs)
        assert.equal(mayRetry || (failure.hint ?? '').length > 20, true, 'what must be changed has a next step')
        assert.equal(JSON.stringify(failure).includes(SECRET), false, JSON.stringify(failure))
        if (kind === 'webhook')
          assert.equal(JSON.stringify(failure).includes(WEBHOOK_SECRET), false, JSON.stringify(failure))
        assert.equal(endpoint.requests.length, 1, 'it is tried once')
      })
    }

    for (const answer of ['silent', 'half'] as const) {
      test(`a peer that is ${answer} is left in time`, async () => {
        await using endpoint = await openEndpoint(() => answer)
        const outcome = await deliver(await open(kind, endpoint), noticeOf(), { timeoutMs: 100 })
        assert(!outcome.delivered)
        assert.equal(outcome.failure.code, 'timeout')
        assert.equal(outcome.failure.mayRetry, true)
        assert.equal(JSON.stringify(outcome).includes(SECRET), false)
      })
    }

    test('a peer that sends without end is cut off', async () => {
      await using endpoint = await openEndpoint(() => 'endless')
      // What has answered with success and then talked on is judged by its beginning.
      const outcome = await deliver(await open(kind, endpoint), noticeOf())
      assert(outcome.delivered || outcome.failure.code === 'notice.failed')
    })

    test('nobody there, and no such name', async () => {
      const endpoint = await openEndpoint()
      await endpoint[Symbol.asyncDispose]()
      for (const url of [endpoint.url, 'https://nowhere.invalid']) {
        const outcome = await deliver(await open(kind, { url }), noticeOf())
        assert(!outcome.delivered && outcome.failure.mayRetry)
        assert.equal(outcome.failure.code, 'notice.unreachable')
        assert.equal(JSON.stringify(outcome).includes(SECRET), false)
      }
    })

    test('who wants to stop is not held up', async () => {
      await using endpoint = await openEndpoint(() => 'silent')
      const controller = new AbortController()
      const sending = deliver(await open(kind, endpoint), noticeOf(), { signal: controller.signal })
      setImmediate(() => controller.abort())
      await assert.rejects(sending, { code: 'aborted' })
    })
  })
}

describe('two steps', () => {
  for (const kind of ['slack-bot', 'discord', 'telegram'] as const) {
    test(`${kind}: when the second one fails, the whole is tried again`, async () => {
      await using endpoint = await openEndpoint(({ path, method }) =>
        method === 'PATCH' || /edit|update/.test(path)
          ? { status: 200, body: { ok: true, ts: '1.1', channel: 'C1', id: '1', result: { message_id: 1 } } }
          : { status: 500 },
      )
      const channel = await open(kind, endpoint)
      const notice = noticeOf({ kind: 'resolved' })
      const previous = {
        channel: channel.name,
        kind,
        notice: 'n-0',
        incident: notice.incident,
        at: NOW.toISOString(),
        message: '1',
        first: '1',
        place: kind === 'telegram' ? '1' : 'C1',
      }
      const outcome = await deliver(channel, notice, { previous })
      assert(!outcome.delivered && outcome.failure.mayRetry)
      assert.equal(outcome.failure.code, 'notice.failed')
      assert.equal(endpoint.requests.length, 2)
    })
  }
})

test('a channel that does not keep its time is left all the same', async () => {
  const { promise, resolve } = Promise.withResolvers<never>()
  const stuck: Channel = { name: 'stuck', kind: 'webhook', send: () => promise }
  const outcome = await deliver(stuck, noticeOf(), { timeoutMs: 1 })
  assert(!outcome.delivered && outcome.failure.code === 'timeout')
  resolve(undefined as never)
})
