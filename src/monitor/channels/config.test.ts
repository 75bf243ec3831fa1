import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import '../../../test/support/leaks.ts'
import { openEndpoint } from '../../../test/support/notices/endpoint.ts'
import { slackWebhook } from '../../../test/support/notices/providers.ts'
import { makeTemp } from '../../../test/support/temp.ts'
import { type ChannelConfig, channelSchema, channelsSchema } from './config.ts'
import { openChannel } from './open-channel.ts'
import { canaryNotice } from './own-notices.ts'
import { readChannels } from './read-channels.ts'
import { readSecret } from './secret.ts'
import { testChannel } from './test-channel.ts'

const mail = {
  kind: 'email',
  name: 'ops',
  server: 'smtp://mail.example.org',
  from: 'retake@example.org',
  to: ['ops@example.org'],
} as const

describe('the configuration of channels', () => {
  test('takes each kind, and gives back the same', () => {
    const all: readonly ChannelConfig[] = [
      { ...mail, user: 'retake', password: { file: '/run/secrets/smtp' }, from: 'Retake <retake@example.org>' },
      { ...mail, name: 'relay', server: 'smtp://localhost:25', tls: 'none' },
      { kind: 'slack-webhook', name: 'a', url: { env: 'X' } },
      { kind: 'slack-bot', name: 'b', token: { command: 'pass show slack' }, channel: 'C0123456789' },
      { kind: 'webhook', name: 'c', url: { env: 'X' }, secret: { env: 'Y' } },
      { kind: 'discord', name: 'd', url: { env: 'X' } },
      { kind: 'teams', name: 'e', url: { env: 'X' } },
      { kind: 'pagerduty', name: 'f', routingKey: { env: 'X' }, server: 'https://events.eu.pagerduty.com' },
      { kind: 'ntfy', name: 'g', topic: { env: 'X' }, server: 'http://ntfy.internal' },
      { kind: 'telegram', name: 'h', token: { env: 'X' }, chat: '-1001234567890' },
    ]
    assert.deepEqual(channelsSchema.parse(all), all)
  })

  for (const [name, config, says] of [
    [
      'a secret as itself',
      { kind: 'discord', name: 'd', url: 'https://discord.com/api/webhooks/1/secret' },
      /never as itself/,
    ],
    [
      'a password in the address',
      { ...mail, server: 'smtp://user:secret@mail.example.org' },
      /without user and password/,
    ],
    ['a password in the clear', { ...mail, tls: 'none', user: 'u', password: { env: 'X' } }, /not sent in the clear/],
    ['a user without a password', { ...mail, user: 'u' }, /a user and a password/],
    ['two addresses in one', { ...mail, to: ['a@example.org, b@example.org'] }, /mail address/],
    ['a line break in an address', { ...mail, from: 'x\r\nBcc: <a@example.org>' }, /mail address/],
    ['nobody to tell', { ...mail, to: [] }, /to/],
    ['an address of another kind', { ...mail, server: 'http://mail.example.org' }, /smtp:\/\/host/],
    [
      'an address in the clear',
      { kind: 'pagerduty', name: 'p', routingKey: { env: 'X' }, server: 'http://example.org' },
      /https:\/\//,
    ],
    ['an option that there is none of', { kind: 'discord', name: 'd', url: { env: 'X' }, colour: 'red' }, /colour/],
    ['a name that is none', { kind: 'discord', name: 'D d', url: { env: 'X' } }, /lower-case/],
  ] as const) {
    test(`${name} is refused`, () => {
      const { success, error } = channelSchema.safeParse(config)
      assert.equal(success, false)
      assert.match(JSON.stringify(error?.issues), says)
    })
  }

  test('what is wrong is said with its place, and without its value', () => {
    const address = 'https://discord.com/api/webhooks/1/very-secret'
    for (const [value, says] of [
      [
        [mail, { kind: 'discord', name: 'd', url: address }],
        /^channels\[1\]\.url cannot be used: a secret is given as/,
      ],
      [[{ kind: 'email', name: address }], /^channels\[0\]\.\w+ cannot be used/],
      [[{ kind: address, name: 'x' }], /^channels\[0\]\.kind cannot be used/],
      [address, /^channels cannot be used/],
    ] as const) {
      assert.throws(
        () => readChannels(value),
        (error: Error & { code: string }) =>
          error.code === 'config.invalid' && says.test(error.message) && !error.message.includes('very-secret'),
      )
    }
    assert.deepEqual(readChannels([mail]), [mail])
  })

  test('two channels of one name are refused', () => {
    assert.equal(channelsSchema.safeParse([mail, mail]).success, false)
  })
})

describe('a secret', () => {
  const read = (source: Parameters<typeof readSecret>[0], env = {}) =>
    readSecret(source, { env, what: 'the token', limitMs: 5_000 })

  test('comes from the environment, a file or a command, without what surrounds it', async () => {
    await using temp = makeTemp({ label: 'secret' })
    writeFileSync(temp.join('s'), 'from a file\n')
    assert.equal(await read({ env: 'X' }, { X: ' from the environment ' }), 'from the environment')
    assert.equal(await read({ file: temp.join('s') }), 'from a file')
    assert.equal(await read({ command: 'echo from a command' }), 'from a command')
  })

  for (const [name, source] of [
    ['a variable that is not set', { env: 'X' }],
    ['a file that is not there', { file: '/nowhere/secret' }],
    ['a command that fails', { command: 'echo very-secret; exit 3' }],
    ['a command that there is none of', { command: '/nowhere/program' }],
    ['a command that says more than one line', { command: 'echo very-secret; echo another' }],
    ['a command that prints without end', { command: 'yes very-secret' }],
  ] as const) {
    test(`${name} is said with the next step, and without what it holds`, async () => {
      await assert.rejects(read(source), (error: Error & { code: string; hint: string }) => {
        assert.equal(error.code, 'config.invalid')
        assert(error.hint.length > 20)
        return !JSON.stringify([error.message, error.hint]).includes('very-secret')
      })
    })
  }

  test('a command that hangs is ended', async () => {
    await assert.rejects(readSecret({ command: 'sleep 1000' }, { env: {}, what: 'the token', limitMs: 50 }), {
      code: 'timeout',
    })
  })

  test('what cannot be part of a header, or is no address, is refused without being repeated', async () => {
    for (const [config, env] of [
      [{ kind: 'slack-bot', name: 'b', token: { env: 'X' }, channel: 'c' }, { X: 'very secret ü' }],
      [{ kind: 'discord', name: 'd', url: { env: 'X' } }, { X: 'http://example.org/very-secret' }],
      [{ kind: 'teams', name: 'd', url: { env: 'X' } }, { X: 'very-secret' }],
    ] as const) {
      await assert.rejects(openChannel(config, { env }), (error: Error & { code: string; hint: string }) => {
        assert.equal(error.code, 'config.invalid')
        return !/very.secret/.test(error.message + error.hint)
      })
    }
  })
})

describe('testing a channel', () => {
  test('sends one harmless notice', async () => {
    const slack = slackWebhook()
    await using endpoint = await openEndpoint(slack.handle)
    const outcome = await testChannel(
      { kind: 'slack-webhook', name: 'team', url: { env: 'URL' } },
      { env: { URL: `${endpoint.url}/x` } },
    )
    assert.equal(outcome.delivered, true)
    assert.match(String(slack.messages[0]?.text), /TEST: Notices of Retake arrive through the channel "team"/)
  })

  test('says what is wrong with the configuration', async () => {
    const outcome = await testChannel({ kind: 'slack-webhook', name: 'team', url: { env: 'URL' } }, { env: {} })
    assert(!outcome.delivered)
    assert.equal(outcome.failure.code, 'config.invalid')
    assert.match(String(outcome.failure.hint), /URL/)
  })

  test('a canary is one of its own kind, with an incident of its own', () => {
    const now = new Date('2026-11-22T12:00:00.000Z')
    const [one, two] = ['1', '2'].map((id) => canaryNotice({ id, now, channel: 'team' }))
    assert.equal(one?.kind, 'canary')
    assert.notEqual(one?.incident, two?.incident)
  })
})
