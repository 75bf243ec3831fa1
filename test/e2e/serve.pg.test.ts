/** `retake serve` beside a real server, as people use it: schedules, the API with its client, alerts to a real mail server and a webhook. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type Client, createClient } from '../../src/client.ts'
import { runCli } from '../support/cli.ts'
import '../support/leaks.ts'
import { openEndpoint } from '../support/notices/endpoint.ts'
import { openMailServer, readMail } from '../support/notices/mail-server.ts'
import { startTestServer } from '../support/postgres.ts'
import { type ServeProcess, type ServeStage, stageServe, waitFor } from '../support/serve.ts'

const addressOf = (server: ServeProcess) => /ready at (http:\S+?)\.["\s]/.exec(server.log())?.[1] ?? ''

function clientOf(stage: ServeStage, server: ServeProcess): Client {
  return createClient({ url: addressOf(server), token: readFileSync(stage.temp.join('data/token'), 'utf8').trim() })
}

test('a table is dropped: told once, told to the next level, acknowledged, resolved; a server that is killed in between changes nothing', async () => {
  await using server = await startTestServer()
  await using mail = await openMailServer()
  await using hook = await openEndpoint()
  await server.query('create table precious (id int primary key)')
  const stage = await stageServe({
    server,
    schedules:
      '[{ name: nightly, task: backup, cron: "* * * * *" }]\ncriticalTables: [{ table: public.precious, tier: high }]',
    serverFile: `channels:
  - { kind: email, name: team, server: smtp://127.0.0.1:${mail.port}, tls: none, from: retake@example.org, to: [dba@example.org] }
  - { kind: webhook, name: pager, url: { command: cat hook }, secret: { command: cat secret } }
alerts:
  groupWaitSeconds: 0
  levels: [{ channels: [team] }, { channels: [pager], afterMinutes: 0.1 }]
  successes: [team]
  digest: { enabled: false }
  canary: { enabled: false }
  rules: { critical-table-missing: { forMinutes: 0, keepFiringMinutes: 0 } }
`,
    files: {
      hook: `${hook.url}/secret-path`,
      secret: `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`,
    },
  })
  await using _stage = stage
  const first = await stage.serve()
  const client = clientOf(stage, first)

  // The schedule has made a backup, and who wants to hear of it has.
  await waitFor(async () => (await client.listRuns({ state: 'succeeded' })).items.length > 0, {
    what: () => first.log(),
  })
  const [run] = (await client.listRuns({ task: 'backup' })).items
  assert.deepEqual(run?.startedBy, { kind: 'schedule', name: 'nightly' })
  await waitFor(() => subjects(mail).some((subject) => /is complete and can be restored/.test(subject)), {
    what: () => `a notice of success: ${subjects(mail)} ${first.log()}`,
  })

  await server.query('drop table precious')
  await waitFor(() => subjects(mail).some(isMissing), { what: () => `a mail: ${subjects(mail)} ${first.log()}` })
  first.run.kill()
  await first.run.ended

  const second = await stage.serve()
  const again = clientOf(stage, second)
  await waitFor(() => hook.requests.length > 0, { what: () => `the next level: ${second.log()}` })
  const [alert] = (await again.listAlerts({ state: 'firing' })).items.filter(
    ({ rule }) => rule === 'critical-table-missing',
  )
  assert.ok(alert)
  assert.equal(alert.level, 2)
  assert.match(alert.finding, /public\.precious/)
  const asked = ['--server', addressOf(second), '--server-token-file', stage.temp.join('data/token')]
  const listed = await runCli(['alerts', 'list', '--json', ...asked])
  assert.equal(listed.code, 40, listed.stderr)
  assert.ok((JSON.parse(listed.stdout) as { alerts: { key: string }[] }).alerts.some(({ key }) => key === alert.key))
  const acknowledged = await runCli(['alerts', 'ack', alert.key, '--by', 'ada', ...asked])
  assert.match(acknowledged.stdout, /acknowledged by ada/, acknowledged.stderr)
  assert.equal((await again.getAlert({ alert: alert.key })).state, 'acknowledged')

  await server.query('create table precious (id int primary key)')
  await waitFor(async () => (await again.getAlert({ alert: alert.key })).state === 'resolved', {
    what: () => second.log(),
  })
  const { history } = await again.getAlert({ alert: alert.key })
  assert.deepEqual(
    history.map(({ state }) => state),
    ['resolved', 'acknowledged', 'firing'],
  )
  await waitFor(() => bodies(hook).some(({ kind }) => kind === 'resolved'), { what: () => `the end: ${second.log()}` })
  assert.deepEqual(
    bodies(hook).map(({ kind }) => kind),
    ['escalated', 'acknowledged', 'resolved'],
  )
  const missing = subjects(mail).filter(isMissing)
  assert.equal(missing.filter((subject) => !subject.startsWith('Re:')).length, 1, missing.join('\n'))

  assert.equal((await again.getHealth({ cluster: 'main' })).cluster, 'main')
  assert.match(await metrics(second, stage), /retake_health_score\{cluster="main"\}/)
  assert.equal(await second.stop(), 0)
})

const subjects = (mail: Awaited<ReturnType<typeof openMailServer>>) =>
  mail.mails.map(({ raw }) => readMail(raw).headers.get('subject') ?? '')

const bodies = (hook: Awaited<ReturnType<typeof openEndpoint>>) =>
  hook.requests.map(({ body }) => (JSON.parse(body) as { data: { notice: { kind: string } } }).data.notice)

const isMissing = (subject: string) => /critical table is missing/.test(subject)

async function metrics(server: ServeProcess, stage: ServeStage): Promise<string> {
  const token = readFileSync(stage.temp.join('data/token'), 'utf8').trim()
  const answer = await fetch(`${addressOf(server)}/metrics`, { headers: { authorization: `Bearer ${token}` } })
  return answer.text()
}
