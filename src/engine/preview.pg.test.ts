/** What a recovery would lose, against what a real one has lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import '../../test/support/leaks.ts'
import { protect } from '../../test/support/lab.ts'
import { postgresMajors, startTestServer } from '../../test/support/postgres.ts'
import { openRetake } from './open.ts'
import { preview } from './preview.ts'
import { openServer } from './tables/open-server.ts'

/** The oldest and the newest: what the log of each says is tried with the decoder, and the catalogs of each with their reader. */
const majors = [...new Set([postgresMajors()[0] ?? 17, postgresMajors().at(-1) ?? 17])]

for (const major of majors) {
  test(`PostgreSQL ${major}: what is lost since a target is known row by row`, async () => {
    await using server = await startTestServer({ major })
    await server.query('create table kept (id int primary key, n int); create table dropped (id int)')
    await server.query(
      'insert into kept select g, 0 from generate_series(1, 500) g; insert into dropped select generate_series(1, 50)',
    )
    await server.query('analyze')
    await using lab = await protect(server)
    await lab.backUp()
    await using retake = await openRetake({ repo: lab.url, key: lab.key, databaseUrl: server.url })
    const xidOf = async (statement: string) => {
      const client = await server.connect()
      const run = async (text: string) => (await client.query<{ xid: string }>(text)).rows[0]?.xid
      await client.query('begin')
      const xid = await run('select pg_current_xact_id()::text as xid')
      await client.query(statement)
      await client.query('commit')
      await client.end()
      return Number(xid)
    }
    const open = await server.connect()
    await open.query('begin; insert into kept values (9001, 0)')
    const kept = await xidOf('insert into kept values (1000, 0)')
    const first = await xidOf('update kept set n = 1 where id <= 120')
    await open.query('commit')
    await open.end()
    await server.query('delete from kept where id > 400 and id <= 500')
    await server.query('insert into kept select g, 0 from generate_series(2001, 2030) g')
    await server.query(`select pg_create_restore_point('a mark')`)
    await server.query('begin; delete from kept; rollback')
    await server.query(
      'create schema later; create table later.made (id int); create view later.seen as select 1 as one',
    )
    await server.query('create table later.gone (id int); drop table later.gone')
    const drop = await xidOf('drop table dropped')
    await lab.catchUp()

    const report = await preview(retake, { at: `before-xid:${first}`, sample: true }).result
    assert.equal(report.lastKept?.xid, kept)
    // Rows as they were, out of a server: of the table that is gone, and the one that lost most; not of what was not there.
    assert.deepEqual(
      report.samples?.map(({ table, rows, some }) => [table, rows, some.length]),
      [
        ['public.dropped', 50, 5],
        ['public.kept', 501, 5],
      ],
    )
    assert.deepEqual(Object.keys(report.samples?.[1]?.some[0] ?? {}), ['id', 'n'])
    const one = await preview(retake, { at: `before-xid:${first}`, sample: ['kept'] }).result
    assert.deepEqual(
      one.samples?.map(({ table }) => table),
      ['kept'],
    )
    assert.deepEqual([report.firstLost.length, report.firstLost[0]?.xid], [3, first])
    // The one that is left open, and the first itself, which ends with the record that is not applied.
    const { tables, commits, underWay, isExact, newest } = report.lost
    assert.deepEqual([commits, underWay, isExact, newest?.xid], [7, 2, false, drop])
    assert.deepEqual(report.lost.madeSince, ['later.made', 'later.seen'])
    assert.deepEqual(tables, [{ name: 'public.kept', database: 'postgres', inserted: 31, updated: 120, deleted: 100 }])
    assert.ok(report.undone.some(({ kind, what }) => kind === 'drop' && /public\.dropped/.test(what)))
    assert.deepEqual(
      report.marks.map(({ name }) => name),
      ['a mark'],
    )
    assert.deepEqual([report.gaps, report.notHeldBytes], [[], 0])

    // What a real recovery has brought back, and what came since, is what there is now.
    await using then = await openServer(retake, { at: report.target, tables: ['kept'] }).result
    const [old] = await then.query('select count(*) as rows, sum(n) as changed from kept')
    const [now] = await server.query<{ rows: number }>('select count(*)::int as rows from kept')
    const loss = tables[0]
    assert.deepEqual(old, {
      rows: String((now?.rows ?? 0) - (loss?.inserted ?? 0) + (loss?.deleted ?? 0)),
      changed: '0',
    })

    // One more: the targets that it names are what they say.
    const withFirst = await preview(retake, { at: report.firstLost[0]?.target ?? '' }).result
    assert.deepEqual([withFirst.lastKept?.xid, withFirst.lost.commits], [first, 6])
    assert.equal((await preview(retake, { at: `xid:${first}` }).result).lost.commits, 6)
    const latest = await preview(retake, { at: 'latest' }).result
    assert.deepEqual([latest.lost.commits, latest.lost.tables, latest.lastKept?.xid], [0, [], drop])
    await server.query('insert into kept values (5000, 0)')
    const behind = await preview(retake, { at: 'latest' }).result
    assert.ok((behind.notHeldBytes ?? 0) > 0)
    await assert.rejects(preview(retake, { at: '2020-01-01T00:00:00Z' }).result, { code: 'target.outside' })
  })
}
