/** What a running server tells by itself, to a real mail server and a webhook: the digest, canaries and their confirmation. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createClient } from '../../src/client.ts'
import { runCli } from '../support/cli.ts'
import '../support/leaks.ts'
import { openEndpoint } from '../support/notices/endpoint.ts'
import { openMailServer, readMail } from '../support/notices/mail-server.ts'
import { startTestServer } from '../support/postgres.ts'
import { type ServeProcess, stageServe, waitFor } from '../support/serve.ts'

const addressOf = (server: ServeProcess) => /ready at (http:\S+?)\.["\s]/.exec(server.log())?.[1] ?? ''

interface Told {
  readonly notice: { readonly kind: string; readonly lines?: readonly string[] }
  readonly confirmationCode?: string
}

test('two servers send one digest and one canary through each channel; who has read it proves the channel, and the score counts it', async () => {
  await using server = await startTestServer()
  // Half a day away, whatever the zone makes of it: nothing is due by itself while this runs.
  const faraway = new Date(Date.now() + 12 * 3_600_000).toISOString().slice(11, 13)
  await using control = await startTestServer({ ownIdentity: true })
  await using mail = await openMailServer()
  await using hook = await openEndpoint()
  await using stage = await stageServe({
    server,
    control,
    schedules: '[]',
    serverFile: `channels:
  - { kind: email, name: team, server: smtp://127.0.0.1:${mail.port}, tls: none, from: retake@example.org, to: [dba@example.org] }
  - { kind: webhook, name: pager, url: { command: cat hook }, secret: { command: cat secret } }
alerts:
  levels: [{ channels: [team] }, { channels: [pager] }]
  groupWaitSeconds: 0
  digest: { at: "${faraway}:00", zone: Europe/Berlin, channels: [team, pager] }
  canary: { cron: 0 ${faraway} * * * }
`,
    files: {
      hook: `${hook.url}/secret-path`,
      secret: `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`,
      token: 'the-token-of-both',
    },
  })
  const first = await stage.serve()
  const second = await stage.serve()
  const log = () => first.log() + second.log()
  const client = createClient({
    url: addressOf(first),
    token: readFileSync(stage.temp.join('data/token'), 'utf8').trim(),
  })
  const mails = (kind: string) =>
    mail.mails.map(({ raw }) => readMail(raw)).filter(({ headers }) => headers.get('x-retake-notice') === kind)
  const told = (kind: string) =>
    hook.requests
      .map(({ body }) => (JSON.parse(body) as { data: Told }).data)
      .filter(({ notice }) => notice.kind === kind)
  const alertPath = async () => {
    const { score } = await client.getHealth({ cluster: 'main' })
    return score.lost.find(({ item }) => item === 'alert-path')
  }
  await waitFor(async () => (await client.listScores({ cluster: 'main' })).items.length > 0, { what: log })
  assert.match((await alertPath())?.fix ?? '', /^retake alerts canary team/)

  // Nobody was there when they were due last: a server that comes late sends the newest.
  await waitFor(async () => (await stage.query('select from retake.appointment')).length === 2, { what: log })
  assert.deepEqual([mail.mails.length, hook.requests.length], [0, 0], 'what was due before the first start is not sent')
  await stage.query(`update retake.appointment set kept_at = '2020-01-01'`)
  const isThere = () => ['digest', 'canary'].every((kind) => mails(kind).length > 0 && told(kind).length > 0)
  await waitFor(isThere, { what: log })

  const [digest] = mails('digest')
  assert.match(digest?.headers.get('subject') ?? '', /^DIGEST: 1 cluster: main /)
  assert.match(digest?.parts.get('text/plain') ?? '', /^ {2}Last backup: none$/m)
  assert.match(digest?.parts.get('text/plain') ?? '', /^From \d{4}-\d\d-\d\d \d\d:\d\d \+0[12]:00 to /m)
  assert.match(digest?.parts.get('text/html') ?? '', /<td[^>]*>Recoverable<\/td>/)

  const asked = ['--server', addressOf(second), '--server-token-file', stage.temp.join('data/token')]
  const text = mails('canary')[0]?.parts.get('text/plain') ?? ''
  const code = /retake alerts confirm (\S+)$/m.exec(text)?.[1] ?? ''
  assert.match(code, /^[A-Z0-9]{4}-[A-Z0-9]{4}$/, text)
  await waitFor(async () => /^retake alerts confirm CODE/.test((await alertPath())?.fix ?? ''), { what: log })
  const wrong = await runCli(['alerts', 'confirm', 'AAAA-AAAA', ...asked])
  assert.notEqual(wrong.code, 0)
  const confirmed = await runCli(['alerts', 'confirm', code.toLowerCase().replace('-', ''), '--by', 'ada', ...asked])
  assert.match(confirmed.stdout, /Notices reach ada through team/, confirmed.stderr)
  await waitFor(async () => (await alertPath()) === undefined, { what: log })

  // A program confirms through the API; each channel has a code of its own.
  const hookCode = told('canary')[0]?.confirmationCode ?? ''
  assert.notEqual(hookCode, code)
  assert.equal((await client.confirmCanary({ body: { code: hookCode, by: 'robot' } })).channel, 'pager')
  const channels = await runCli(['alerts', 'channels', '--json', ...asked])
  assert.equal(channels.code, 0, channels.stderr)
  const { channels: shown } = JSON.parse(channels.stdout) as {
    channels: { provenAt?: string; canary?: { state: string } }[]
  }
  assert.deepEqual(
    shown.map(({ provenAt, canary }) => [provenAt !== undefined, canary?.state]),
    [
      [true, 'confirmed'],
      [true, 'confirmed'],
    ],
  )

  const tested = await runCli(['alerts', 'test', ...asked])
  assert.equal(tested.code, 0, tested.stderr)
  assert.match(tested.stdout, /^team: taken by the other side after \d+ ms, as <retake-/m)
  hook.queue({ status: 410 })
  const refused = await runCli(['alerts', 'test', 'pager', ...asked])
  assert.equal(refused.code, 1, refused.stdout)
  assert.match(refused.stdout, /^pager: did not arrive/)

  await runCli(['alerts', 'canary', 'team', ...asked])
  await waitFor(() => mails('canary').length === 2, { what: log })
  // Each exactly once, although both servers were there.
  assert.deepEqual([mails('digest').length, told('digest').length, told('canary').length], [1, 1, 1])

  // A channel that fails is told through the other one.
  hook.queue({ status: 410 })
  await runCli(['alerts', 'canary', 'pager', ...asked])
  const failing = () => mails('fired').find(({ headers }) => /notices do not arrive/.test(headers.get('subject') ?? ''))
  await waitFor(() => failing() !== undefined, { what: log })
  assert.match(failing()?.headers.get('subject') ?? '', /^CRITICAL: retake-server: .*: pager/)
  assert.match(failing()?.parts.get('text/plain') ?? '', /410.*retake alerts test pager/s)
  const listed = await runCli(['alerts', 'list', '--json', ...asked])
  assert.match(listed.stdout, /"rule": ?"channel-failing"/, listed.stderr)
  assert.equal(await first.stop(), 0)
  assert.equal(await second.stop(), 0)
})
