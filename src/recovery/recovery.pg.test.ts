import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { test } from 'node:test'
import '../../test/support/leaks.ts'
import { compareDigests, type DatabaseDigest, digestDatabase } from '../../test/support/digest.ts'
import { type Protection, protect } from '../../test/support/lab.ts'
import { localTarget, postgresMajors, startTestServer } from '../../test/support/postgres.ts'
import { makeTemp } from '../../test/support/temp.ts'
import { openSql, type SqlConnection } from '../postgres/connection/sql.ts'
import { serverAccount } from '../postgres/server/account.ts'
import { applyRestore } from './apply.ts'
import { type PlanRestoreOptions, planRestore } from './plan.ts'
import type { RestoreReport } from './report.ts'
import { parseTarget } from './targets.ts'

interface Restored extends AsyncDisposable {
  readonly report: RestoreReport
  readonly sql: SqlConnection
}

/** Restores to a target and connects; the server is stopped and removed at the end. */
async function restoreTo(lab: Protection, at: string, options: Partial<PlanRestoreOptions> = {}): Promise<Restored> {
  await using undo = new AsyncDisposableStack()
  const temp = undo.use(makeTemp({ label: 'restored', owner: serverAccount() }))
  const plan = await planRestore({
    cluster: lab.cluster,
    target: parseTarget(at),
    targetDirectory: temp.join('data'),
    settings: { fsync: 'off' },
    ...options,
  })
  assert.deepEqual(
    plan.preflight.filter((one) => one.status === 'failed'),
    [],
  )
  const report = await applyRestore({ cluster: lab.cluster, plan })
  const { server } = report
  assert.ok(server)
  undo.defer(() => stopServer(server.pid))
  const sql = undo.use(await openSql(localTarget({ port: server.port })))
  const stack = undo.move()
  return { report, sql, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

async function stopServer(pid: number): Promise<void> {
  process.kill(pid, 'SIGINT')
  for (;;) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function assertSame(actual: DatabaseDigest, expected: DatabaseDigest, what: string): void {
  assert.deepEqual(compareDigests(expected, actual), [], what)
}

for (const major of postgresMajors()) {
  test(`PostgreSQL ${major}: every kind of target gives exactly its content`, async () => {
    await using server = await startTestServer({ major, settings: { archive_mode: 'on', archive_command: 'false' } })
    await using lab = await protect(server)
    await server.query(`
      create table item (id bigint primary key, body text not null);
      create unlogged table scratch (id int);
      insert into scratch select generate_series(1, 100);
      insert into item select n, repeat(md5(n::text), 20) from generate_series(1, 5000) n`)
    await lab.backUp()
    const expected = new Map<string, DatabaseDigest>()
    await server.query('update item set body = md5(body) where id % 3 = 0')
    const [row] = await server.query<{ xid: string }>(
      `insert into item values (100001, 'one') returning pg_current_xact_id()::text as xid`,
    )
    const xid = `xid:${row?.xid}`
    expected.set(xid, await digestDatabase(server))
    await server.query('select pg_sleep(0.01)')
    const [now] = await server.query<{ at: string }>(
      `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`,
    )
    expected.set(now?.at ?? '', await digestDatabase(server))
    await server.query('select pg_sleep(0.01)')
    await server.query('delete from item where id % 2 = 0')
    const beforeDrop = await digestDatabase(server)
    await server.query(`select pg_create_restore_point('before drop')`)
    expected.set('name:before drop', beforeDrop)
    const [drop] = await server.query<{ xid: string }>(
      `begin; drop table item; create table other as select 1 as a; select pg_current_xact_id()::text as xid`,
    )
    await server.query('commit')
    expected.set(`before-xid:${drop?.xid}`, beforeDrop)
    expected.set('latest', await digestDatabase(server))
    const lsn = `lsn:${await server.currentLsn()}`
    expected.set(lsn, await digestDatabase(server))
    await lab.catchUp()
    const caughtUp = new Date(Date.now() - 1).toISOString()
    await server.kill()
    for (const [at, digest] of expected) {
      await using restored = await restoreTo(lab, at)
      assert.equal(restored.report.outcome, 'promoted')
      assert.equal(restored.report.reached?.newTimeline, 2)
      assertSame(await digestDatabase(restored.sql), digest, at)
      const [facts] = await restored.sql.query<{ archive: string; recovery: boolean }>(
        `select current_setting('archive_mode') as archive, pg_is_in_recovery() as recovery`,
      )
      if (process.env.SHOW) process.stderr.write(`${at} ${JSON.stringify(restored.report)}\n`)
      assert.deepEqual(facts, { archive: 'off', recovery: false })
      if (at !== 'latest' && at !== lsn && !at.startsWith('before')) {
        const [scratch] = await restored.sql.query<{ n: number }>('select count(*)::int as n from scratch')
        assert.equal(scratch?.n, 0, 'an unlogged table comes back empty')
      }
    }
    assert.ok(caughtUp)
    mkdirSync(lab.temp.join('x'))
  })
}
