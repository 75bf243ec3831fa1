/** Rounds of alerts with a real control database: looks that fail as a whole, and maintenance that the file of the server names. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { sql } from 'kysely'
import { startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { waitFor } from '../../test/support/serve.ts'
import { makeTemp } from '../../test/support/temp.ts'
import '../../test/support/leaks.ts'
import { maintenanceSchema } from '../api/contract/alerts.ts'
import { silentLogger } from '../base/progress.ts'
import { type ControlDatabase, openControlDatabase } from '../control/database/open.ts'
import { defaultPolicy } from '../monitor/alerts/policy.ts'
import { readAlertPolicy } from '../monitor/alerts/read-policy.ts'
import { bad, reportOf } from '../monitor/alerts/testing/reports.ts'
import { judgeReport } from './alerting.ts'
import { keepLooking } from './looking.ts'
import { ManagedCluster } from './managed-cluster.ts'
import { maintenanceServices } from './services/notice-services.ts'
import { Turns } from './turns.ts'

const MINUTE_MS = 60_000
const policy = {
  ...defaultPolicy,
  levels: [
    { channels: ['one'], afterMs: 0 },
    { channels: ['two'], afterMs: 15 * MINUTE_MS },
  ],
}

let server: TestServer
let control: ControlDatabase
const temp = makeTemp({ label: 'alerting' })

before(async () => {
  server = await startTestServer()
  const url = `postgres://postgres@127.0.0.1:${server.server.port}/postgres`
  control = await openControlDatabase({ url, directory: temp.path })
})

after(async () => {
  await control?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await temp[Symbol.asyncDispose]()
})

test('in a time that the file names nobody is told, and whoever asks reads why', async () => {
  const { db } = control
  const window = { cron: '* * * * *', minutes: 5, clusters: ['quiet'], reason: 'the weekly restart' }
  const { maintenance } = readAlertPolicy({ maintenance: [window] }, { channels: ['one'], clusters: ['quiet', 'loud'] })
  const told = async (cluster: string) =>
    (await db.selectFrom('notice').select('id').where('cluster', '=', cluster).execute()).length
  for (const minutes of [30, 27, 20]) {
    const now = new Date(Date.now() - minutes * MINUTE_MS)
    for (const cluster of ['quiet', 'loud']) {
      await judgeReport(db, { report: { ...reportOf({ table: bad }, now), cluster }, policy, maintenance, now })
    }
  }
  assert.deepEqual([await told('quiet'), await told('loud')], [0, 1])
  const clusters = new Map(['quiet', 'loud'].map((name) => [name, clusterOf(name)]))
  const services = maintenanceServices({
    control,
    db,
    clusters,
    logger: silentLogger,
    now: () => new Date(),
    staleAfterMs: 1,
    regular: maintenance,
  })
  const { items } = await services.listMaintenance({ limit: 10 }, { signal: new AbortController().signal })
  assert.deepEqual(
    items.map(({ cluster, state, reason }) => [cluster, state, reason]),
    [['quiet', 'open', window.reason]],
  )
  assert.ok(items.every((item) => maintenanceSchema.safeParse(item).success))
})

const clusterOf = (name: string) =>
  new ManagedCluster(
    { name, file: undefined, options: { repo: temp.join('none'), directory: temp.path, env: {} } },
    silentLogger,
  )

test('who does not answer is called also while no look comes to a report, and that is an alert of its own', async () => {
  const { db } = control
  for (const minutes of [30, 27, 20]) {
    const now = new Date(Date.now() - minutes * MINUTE_MS)
    await judgeReport(db, { report: reportOf({ table: bad }, now), policy, now })
  }
  const kinds = async () =>
    (await db.selectFrom('notice').select('body').where('cluster', '=', 'main').execute()).map(({ body }) => body)
  assert.equal((await kinds()).length, 1)

  await sql`ALTER TABLE retake.look RENAME TO elsewhere`.execute(db)
  const stop = new AbortController()
  await using cluster = clusterOf('main')
  const looking = keepLooking(cluster, {
    db,
    policy,
    everyMs: 20,
    signal: stop.signal,
    logger: silentLogger,
    turns: new Turns(1),
    onReport: (report) => judgeReport(db, { report, policy, now: new Date() }),
  })
  await waitFor(async () => (await kinds()).some((body) => 'kind' in body && body.kind === 'escalated'), {
    what: () => 'the next level',
  })
  stop.abort()
  await looking
  const alerts = await db.selectFrom('alert').select(['body', 'state']).where('cluster', '=', 'main').execute()
  const shown = alerts.map(({ body, state }) => `${'rule' in body ? body.rule : ''} ${state}`)
  assert.deepEqual(shown.sort(), ['critical-table-missing firing', 'looking-failed pending'])
})
