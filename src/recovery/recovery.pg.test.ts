import assert from 'node:assert/strict'
import { test } from 'node:test'
import '../../test/support/leaks.ts'
import { compareDigests, type DatabaseDigest, digestDatabase } from '../../test/support/digest.ts'
import { protect } from '../../test/support/lab.ts'
import { postgresMajors, startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { restore } from '../../test/support/restore.ts'

/** Writes, and notes after each step the content that a restore to that step must have. */
async function writeHistory(server: TestServer): Promise<Map<string, DatabaseDigest>> {
  const expected = new Map<string, DatabaseDigest>()
  const note = async (target: string) => expected.set(target, await digestDatabase(server))
  await server.query('update item set body = md5(body) where id % 3 = 0')
  const [row] = await server.query<{ xid: string }>(
    `insert into item values (100001, 'one') returning pg_current_xact_id()::text as xid`,
  )
  await note(`xid:${row?.xid}`)
  // The next transaction must not end in the same microsecond.
  const [now] = await server.query<{ at: string }>(
    `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at from pg_sleep(0.01)`,
  )
  await note(now?.at ?? '')
  await server.query('select pg_sleep(0.01)')
  await server.query('delete from item where id % 2 = 0')
  await server.query(`select pg_create_restore_point('before drop')`)
  await note('name:before drop')
  const [drop] = await server.query<{ xid: string }>(
    'begin; drop table item; create table other as select 1 as a; select pg_current_xact_id()::text as xid',
  )
  expected.set(`before-xid:${drop?.xid}`, expected.get('name:before drop') as DatabaseDigest)
  await server.query('commit')
  await note('latest')
  await note(`lsn:${await server.currentLsn()}`)
  return expected
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
    const expected = await writeHistory(server)
    await lab.catchUp()
    await server.kill()
    for (const [at, digest] of expected) {
      await using restored = await restore(lab, { at })
      assert.deepEqual(compareDigests(digest, await digestDatabase(restored)), [], at)
      const { outcome, reached } = restored.report
      assert.equal(outcome, 'promoted')
      assert.equal(reached?.newTimeline, 2)
      const [facts] = await restored.query<{ archive: string; recovery: boolean; scratch: number }>(
        `select current_setting('archive_mode') as archive, pg_is_in_recovery() as recovery,
           (select count(*)::int from scratch) as scratch`,
      )
      assert.deepEqual(
        facts,
        { archive: 'off', recovery: false, scratch: 0 },
        'isolated, promoted, unlogged tables empty',
      )
    }
  })
}
