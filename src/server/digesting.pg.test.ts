/** The digest over a real control database, with the time passed in. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { makeTemp } from '../../test/support/temp.ts'
import '../../test/support/leaks.ts'
import { changeAlerts, type StoredAlert } from '../control/alerts.ts'
import { type ControlDatabase, openControlDatabase } from '../control/database/open.ts'
import { recordLook } from '../control/health.ts'
import { claimDeliveries, listNotices } from '../control/outbox.ts'
import { changeRun, recordRun } from '../control/runs.ts'
import { readAlertPolicy } from '../monitor/alerts/read-policy.ts'
import { bad, reportOf } from '../monitor/alerts/testing/reports.ts'
import { tellDigest } from './digesting.ts'

let server: TestServer
let one: ControlDatabase
let other: ControlDatabase

const temp = makeTemp({ label: 'digest' })

before(async () => {
  server = await startTestServer()
  const url = `postgres://postgres@127.0.0.1:${server.server.port}/postgres`
  one = await openControlDatabase({ url, directory: temp.path })
  other = await openControlDatabase({ url, directory: temp.path })
})

after(async () => {
  await one?.[Symbol.asyncDispose]()
  await other?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await temp[Symbol.asyncDispose]()
})

const HOUR_MS = 3_600_000
const today = new Date()
/** Around now, because the database notes with its own clock when a run ended. */
const at = (hours: number) => new Date(today.getTime() + hours * HOUR_MS)
const wallTime = today.toISOString().slice(11, 16)

const { digest: plan } = readAlertPolicy({ digest: { at: wallTime } }, { channels: ['mail'], clusters: [] }).regular

function tell(control: ControlDatabase, now: Date) {
  assert.ok(plan)
  const clusters = ['main', 'unseen'].map((name) => ({ name, options: { cluster: name, schedules: [] } }))
  return tellDigest(control.db, { plan, clusters, staleAfterMs: 10 * 60_000, now })
}

const digests = async () =>
  (await listNotices(one.db, { limit: 100 })).map(({ notice }) => notice).filter(({ kind }) => kind === 'digest')

const alert = (key: string, facts: Partial<StoredAlert>): StoredAlert => ({
  key,
  rule: 'disk-low',
  severity: 'info',
  state: 'firing',
  cluster: 'main',
  title: 'the disk has little room left',
  finding: 'It has.',
  effect: 'None yet.',
  fix: 'Buy one.',
  since: at(-3).toISOString(),
  incident: 'i',
  ...facts,
})

test('once a day, whoever tells it; what was due before the first look is not; after a silence only the newest', async () => {
  assert.equal(await tell(one, at(0.1)), false, 'nobody was there when it was due')
  assert.deepEqual(await digests(), [])

  await recordLook(one.db, { report: reportOf({}, at(0)), metrics: [] })
  await recordLook(one.db, { report: reportOf({ repository: bad }, at(24)), metrics: [] })
  for (const [id, outcome] of [
    ['r1', { state: 'succeeded', result: {} }],
    ['r2', { state: 'failed', error: { code: 'internal', message: 'x', retry: 'never', details: {} } }],
  ] as const) {
    await recordRun(one.db, { id, cluster: 'main', task: 'backup', options: {}, startedBy: 'token' })
    await changeRun(one.db, id, outcome)
  }
  await changeAlerts<object>(one.db, { cluster: 'main', now: at(1) }, () => ({
    states: {},
    alerts: [
      alert('open', {}),
      alert('explained', { state: 'inhibited' }),
      alert('over', { state: 'resolved', resolvedAt: at(2).toISOString() }),
      alert('long-over', { state: 'resolved', resolvedAt: at(-200).toISOString() }),
    ],
    outgoing: [],
  }))

  const now = at(24)
  const told = await Promise.all([tell(one, now), tell(other, now), tell(one, now), tell(other, now)])
  assert.deepEqual(told.filter(Boolean), [true])
  assert.equal(await tell(other, at(30)), false)
  const [digest, ...more] = await digests()
  assert.ok(digest)
  assert.deepEqual(more, [])
  assert.deepEqual(
    digest.alerts.map(({ key }) => key),
    ['open', 'over'],
  )
  assert.match(digest.lines?.join('\n') ?? '', /1 more alerts are open that others explain/)
  const main = digest.sections?.find(({ heading }) => heading.startsWith('main'))
  const rows = Object.fromEntries(main?.rows.map(({ label, text }) => [label, text]) ?? [])
  assert.match(rows.Runs ?? '', /^backup 1 succeeded, 1 failed; /)
  const then = reportOf({}, at(0)).score.value
  assert.ok(then !== undefined)
  assert.match(rows.Score ?? '', new RegExp(`the day before: ${then}$`))
  const unseen = digest.sections?.find(({ heading }) => heading.startsWith('unseen'))
  assert.equal(unseen?.heading, 'unseen: unknown')
  const [delivery] = await claimDeliveries(one.db, { limit: 10 })
  assert.deepEqual([delivery?.channel, delivery?.notice.id], ['mail', digest.id])

  assert.equal(await tell(other, at(24 * 5 + 1)), true)
  assert.equal(await tell(one, at(24 * 5 + 2)), false)
  const [late, , ...others] = await digests()
  assert.deepEqual(others, [])
  // Four days without one: it tells of all of them.
  const days = (Date.parse(late?.at ?? '') - Date.parse(`${late?.lines?.[0]?.slice(5, 15)}T00:00:00Z`)) / (24 * HOUR_MS)
  assert.ok(days >= 4 && days < 6, late?.lines?.[0])
})
