/** A look that fails as a whole, with a real control database. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from 'kysely'
import { startTestServer } from '../../test/support/postgres.ts'
import { waitFor } from '../../test/support/serve.ts'
import { makeTemp } from '../../test/support/temp.ts'
import '../../test/support/leaks.ts'
import { silentLogger } from '../base/progress.ts'
import { openControlDatabase } from '../control/database/open.ts'
import { defaultPolicy } from '../monitor/alerts/policy.ts'
import { bad, reportOf } from '../monitor/alerts/testing/reports.ts'
import { judgeReport } from './alerting.ts'
import { keepLooking } from './looking.ts'
import { ManagedCluster } from './managed-cluster.ts'
import { Turns } from './turns.ts'

const MINUTE_MS = 60_000
const policy = {
  ...defaultPolicy,
  levels: [
    { channels: ['one'], afterMs: 0 },
    { channels: ['two'], afterMs: 15 * MINUTE_MS },
  ],
}

test('who does not answer is called also while no look comes to a report, and that is an alert of its own', async () => {
  await using server = await startTestServer()
  await using temp = makeTemp({ label: 'looking' })
  const url = `postgres://postgres@127.0.0.1:${server.server.port}/postgres`
  await using control = await openControlDatabase({ url, directory: temp.path })
  const { db } = control
  for (const minutes of [30, 27, 20]) {
    const now = new Date(Date.now() - minutes * MINUTE_MS)
    await judgeReport(db, { report: reportOf({ table: bad }, now), policy, now })
  }
  const kinds = async () => (await db.selectFrom('notice').select('body').execute()).map(({ body }) => body)
  assert.equal((await kinds()).length, 1)

  await sql`ALTER TABLE retake.look RENAME TO elsewhere`.execute(db)
  const stop = new AbortController()
  await using cluster = new ManagedCluster(
    { name: 'main', file: undefined, options: { repo: temp.join('none'), directory: temp.path, env: {} } },
    silentLogger,
  )
  const looking = keepLooking(cluster, {
    db,
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
  const alerts = await db.selectFrom('alert').select(['body', 'state']).execute()
  const shown = alerts.map(({ body, state }) => `${'rule' in body ? body.rule : ''} ${state}`)
  assert.deepEqual(shown.sort(), ['critical-table-missing firing', 'looking-failed pending'])
})
