import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { changeKinds, digestInSnapshot, installKinds, KIND_TABLES, REWRITES } from '../../../test/support/kinds.ts'
import { type Protection, protect, waitArchived, waitStreaming } from '../../../test/support/lab.ts'
import { anyMajor, postgresMajors, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { makeTemp } from '../../../test/support/temp.ts'
import { installTpcb, startTpcb } from '../../../test/support/tpcb.ts'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { openSql } from '../../postgres/connection/sql.ts'
import { serverAccount } from '../../postgres/server/account.ts'
import { parseTarget } from '../targets.ts'
import { type RecoverTablesOptions, recoverTables } from './recover-tables.ts'
import { parseTableName } from './table-name.ts'

const optionsFor = (
  lab: Protection,
  wanted: {
    readonly at: string
    readonly tables: readonly string[]
    readonly database?: string
    readonly parent: string
  },
): RecoverTablesOptions => ({
  cluster: lab.cluster,
  target: parseTarget(wanted.at),
  parent: wanted.parent,
  wanted: { database: wanted.database ?? 'postgres', tables: wanted.tables.map(parseTableName) },
  workers: 0,
})

interface Moment {
  readonly at: string
  readonly content: Record<string, string>
}

/** The content of the tables, and the position that has exactly this. Others may be at work: not on these tables. */
async function moment(server: TestServer, tables: readonly string[]): Promise<Moment> {
  const content = await digestInSnapshot(server, tables)
  const [row] = await server.query<{ lsn: string }>(`select pg_create_restore_point('here')::text as lsn`)
  return { at: `lsn:${row?.lsn}`, content }
}

for (const major of postgresMajors()) {
  test(`PostgreSQL ${major}: tables out of a backup are exact at every target, while everything else is rewritten`, async () => {
    // Without checksums pages change in ways that are not logged.
    await using server = await startTestServer({
      major,
      checksums: major % 2 === 0,
      settings: { wal_log_hints: 'off' },
    })
    await installTpcb(server.target, 20_000)
    await installKinds(server)
    await using lab = await protect(server)
    await using receiver = lab.receive()
    await waitStreaming(server)
    const moments: Moment[] = []
    {
      await using _load = await startTpcb({ target: server.target, accounts: 20_000, transactionsPerSecond: 200 })
      await lab.backUp()
      for (const [step, rewrite] of REWRITES.entries()) {
        await changeKinds(server, step)
        await server.query(rewrite)
        if (step % 3 === 1) await server.query('checkpoint')
        moments.push(await moment(server, KIND_TABLES))
      }
      await server.query(`delete from shop.reviews; drop table shop.sales; truncate shop.customers cascade`)
    }
    await waitArchived(server)
    await receiver.stop()
    await using temp = makeTemp({ owner: serverAccount() })
    for (const [index, { at, content }] of moments.entries()) {
      if (index % 3 !== major % 3 && index !== moments.length - 1) continue
      const tables = index % 2 === 0 ? KIND_TABLES : [KIND_TABLES[index % KIND_TABLES.length] ?? 'shop.reviews']
      await using recovered = await recoverTables(optionsFor(lab, { at, tables, parent: temp.path }))
      await using sql = await openSql(recovered.target)
      const expected = Object.fromEntries(tables.map((table) => [table, content[table]]))
      assert.deepEqual(await digestInSnapshot(sql, tables), expected, `at ${at}`)
      const written = recovered.report.files.writtenBytes
      assert(written < (recovered.plan.files.bytes * 4) / 5, `${written} bytes were written`)
      // What was not asked for cannot be read: an error, never an empty table.
      await assert.rejects(() => sql.query('select * from public.pgbench_accounts'), /could not open file/)
      await assert.rejects(
        () => sql.query('select count(aid) from public.pgbench_accounts where aid = 5'),
        /could not open/,
      )
      // Nobody comes in but through the socket, and nothing runs by itself.
      const settings = await sql.query<{ setting: string }>(
        `select setting from pg_settings where name in ('listen_addresses', 'shared_preload_libraries', 'archive_mode', 'autovacuum') order by name`,
      )
      assert.deepEqual(
        settings.map(({ setting }) => setting),
        ['off', 'off', '', ''],
      )
    }
    assert.deepEqual(readdirSync(temp.path), [])
  })
}

test('tables that were renamed, made, or got a database of their own after the backup come out too', async () => {
  await using server = await startTestServer()
  await installKinds(server)
  await server.query('create database tenant')
  const tenant = await server.connect({ database: 'tenant' })
  await tenant.query(`create table notes as select g as id, repeat('x', 500) as body from generate_series(1, 500) g`)
  await tenant.end()
  await using lab = await protect(server)
  await lab.backUp()
  await server.query(`
    alter table shop.customers rename to clients; alter schema shop rename to store;
    create table store.fresh (id serial primary key, body text); insert into store.fresh (body) select 'f' || g from generate_series(1, 200) g`)
  await server.query('create database young strategy wal_log')
  const young = await server.connect({ database: 'young' })
  await young.query('create table kids as select g as id from generate_series(1, 50) g')
  await young.end()
  await server.query('alter database tenant rename to lodger')
  const content = await digestInSnapshot(server, ['store.clients', 'store.fresh'])
  await server.query('create table after_all (id int)')
  await lab.catchUp()
  await using temp = makeTemp({ owner: serverAccount() })
  const open = (tables: readonly string[], database?: string) =>
    recoverTables(optionsFor(lab, { at: 'latest', tables, parent: temp.path, ...(database ? { database } : {}) }))
  {
    await using recovered = await open(['store.clients', 'store.fresh'])
    await using sql = await openSql(recovered.target)
    assert.deepEqual(await digestInSnapshot(sql, ['store.clients', 'store.fresh']), content)
  }
  for (const [database, table, rows] of [
    ['young', 'kids', 50],
    ['lodger', 'notes', 500],
  ] as const) {
    await using recovered = await open([table], database)
    await using sql = await openSql(recovered.target)
    assert.deepEqual(await sql.query(`select count(*)::int as rows from public.${table}`), [{ rows }])
  }
  await assert.rejects(
    () => open(['store.custommers', 'store.clients']),
    (error) => isRetakeError(error, 'target.missing') && (error.hint ?? '').includes('store.clients'),
  )
  await assert.rejects(
    () => open(['notes'], 'tenant'),
    (error) => isRetakeError(error, 'target.missing'),
  )
  {
    await using unlogged = await open(['store.scratch'])
    assert.equal(unlogged.tables[0]?.isUnlogged, true)
  }
  assert.deepEqual(readdirSync(temp.path), [])
})

test('what the WAL does not allow is refused with the reason, and pages that it does not hold whole are none', async () => {
  await using server = await startTestServer({ major: anyMajor() })
  await installKinds(server)
  await using lab = await protect(server)
  await lab.backUp()
  await server.query('create database copied strategy file_copy')
  await lab.catchUp()
  await using temp = makeTemp({ owner: serverAccount() })
  const open = (table: string, database = 'postgres') =>
    recoverTables(optionsFor(lab, { at: 'latest', tables: [table], database, parent: temp.path }))
  const refused = (pattern: RegExp) => (error: unknown) =>
    error instanceof RetakeError && error.code === 'restore.refused' && pattern.test(error.message)
  await (await open('shop.customers'))[Symbol.asyncDispose]()
  await assert.rejects(() => open('anything', 'copied'), refused(/FILE_COPY/))
  await server.query('alter system set full_page_writes = off')
  await server.query('select pg_reload_conf()')
  // The checkpointer logs the change when it has seen it.
  await server.query('checkpoint')
  // No record of another table is replayed, so that a page of one that was never fetched is no reason.
  await server.query(
    `update noise set body = body; update shop.customers set tags = array_append(tags, 'more') where id % 2 = 0`,
  )
  await server.query('checkpoint')
  await server.query('update noise set body = body; delete from shop.customers where id % 5 = 0')
  const content = await digestInSnapshot(server, ['shop.customers'])
  await lab.catchUp()
  {
    await using recovered = await open('shop.customers')
    await using sql = await openSql(recovered.target)
    assert.deepEqual(await digestInSnapshot(sql, ['shop.customers']), content)
  }
  assert.deepEqual(readdirSync(temp.path), [])
})
