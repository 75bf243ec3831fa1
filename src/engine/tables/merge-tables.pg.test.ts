/** After a DELETE without WHERE in a table with children, with new rows written since: what is missing returns, what is new stays, undo undoes. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { digestTables } from '../../../test/support/kinds.ts'
import { protect } from '../../../test/support/lab.ts'
import { findClientTool, postgresMajors, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { makeTemp } from '../../../test/support/temp.ts'
import { CopySession } from '../../postgres/replication/copy-session.ts'
import { serverAccount } from '../../postgres/server/account.ts'
import { runProgram } from '../../postgres/server/run-program.ts'
import { openRetake } from '../open.ts'
import { type MergeTablesOptions, mergeTables } from './merge-tables.ts'

const SCHEMA = `
  create schema shop;
  create table shop.films (id int generated always as identity primary key, title text not null unique, doc json, upper text generated always as (upper(title)) stored);
  create table shop.reviews (id serial primary key, film int not null references shop.films on delete cascade, body text, edited int not null default 0);
  create function shop.edit() returns trigger language plpgsql as $$ begin new.edited := new.edited + 1; return new; end $$;
  create trigger edit before insert or update on shop.reviews for each row execute function shop.edit();
  insert into shop.films (title, doc) select 'film ' || g, json_build_object('n', g) from generate_series(1, 200) g;
  insert into shop.reviews (film, body) select 1 + g % 200, E'tab\\tand \\\\ ' || g from generate_series(1, 2000) g`

const TABLES = ['shop.films', 'shop.reviews'] as const

/** The oldest and the newest: what a merge does is SQL. */
const majors = new Set([postgresMajors()[0] ?? 17, postgresMajors().at(-1) ?? 17])

for (const major of majors) {
  test(`PostgreSQL ${major}: rows that were deleted come back, those that came since stay, and undo undoes`, async () => {
    await using server = await startTestServer({ major })
    await server.query(SCHEMA)
    await using lab = await protect(server)
    await lab.backUp()
    const before = await digestTables(server, TABLES)
    const [row] = await server.query<{ lsn: string }>(`select pg_create_restore_point('here')::text as lsn`)
    await server.query('delete from shop.films where id <= 150')
    await server.query(`update shop.reviews set body = 'rewritten' where film = 160`)
    await server.query(`insert into shop.films (title) values ('new'), ('film 7')`)
    await server.query(`insert into shop.reviews (film, body) select id, 'since' from shop.films where title = 'new'`)
    const damaged = await digestTables(server, TABLES)
    await lab.catchUp()
    await using temp = makeTemp({ owner: serverAccount() })
    const directory = temp.path
    await using retake = await openRetake({ repo: lab.url, key: lab.key, databaseUrl: server.url, directory })
    const merge = (more: Partial<MergeTablesOptions>) =>
      mergeTables(retake, { tables: TABLES, at: `lsn:${row?.lsn}`, mode: 'missing', workDirectory: temp.path, ...more })
        .result

    const shown = await merge({})
    assert.deepEqual(
      shown.tables.map(({ table, recovered, missing, changed, newer }) => [table, recovered, missing, changed, newer]),
      [
        ['shop.films', 200, 150, 0, 2],
        ['shop.reviews', 2000, 1500, 10, 1],
      ],
    )
    assert.match(shown.tables[0]?.obstacles.join() ?? '', /1 of the missing rows have a title that another row has now/)
    assert.equal(shown.tables[1]?.examples[0]?.now.includes('rewritten'), true)
    assert.deepEqual(shown.tables[1]?.triggersLeftOut, ['edit'])
    assert.equal(shown.isApplied, false)

    const undoFile = temp.join('undo.sql')
    const apply = { confirm: 'shop.films', undoFile }
    await assert.rejects(merge({ apply: { ...apply, confirm: 'films' } }), { code: 'confirmation.missing' })
    // What stands against it keeps everything as it is, also of the other table.
    assert.equal((await merge({ apply })).isApplied, false)
    const alone = await merge({ tables: ['shop.reviews'], apply: { ...apply, confirm: 'shop.reviews' } })
    assert.match(
      alone.tables[0]?.obstacles.join() ?? '',
      /1500 of the missing rows refer to rows of shop\.films that are not there/,
    )
    assert.deepEqual(await digestTables(server, TABLES), damaged)
    assert.equal(existsSync(undoFile), false)

    await server.query(`delete from shop.films where title = 'film 7'`)
    const since = await digestTables(server, TABLES)
    const merged = await merge({ mode: 'changed', apply })
    assert.deepEqual([merged.isApplied, merged.undoFile], [true, undoFile])
    const [counts] = await server.query<{ films: number; reviews: number; newest: number; enabled: string }>(`
      select (select count(*)::int from shop.films) as films, (select count(*)::int from shop.reviews) as reviews,
        (select count(*)::int from shop.reviews where body = 'since') as newest,
        (select tgenabled::text from pg_trigger where tgname = 'edit') as enabled`)
    assert.deepEqual(counts, { films: 201, reviews: 2001, newest: 1, enabled: 'O' })
    const old = await digestTables(server, [
      `(select * from shop.films where title <> 'new')`,
      `(select * from shop.reviews where body <> 'since')`,
    ])
    assert.deepEqual(Object.values(old), Object.values(before))
    assert.equal(
      (await merge({ mode: 'changed' })).tables.every(({ missing, changed }) => missing + changed === 0),
      true,
    )

    assert.match(readFileSync(undoFile, 'utf8'), /^begin;$/m)
    await runScript(server, undoFile)
    assert.deepEqual(await digestTables(server, TABLES), since)
  })
}

for (const major of majors) {
  test(`PostgreSQL ${major}: only the rows that one transaction deleted come back`, async () => {
    await using server = await startTestServer({ major })
    await server.query(`
      create table parts (id int, part int, body text, primary key (id, part)) partition by list (part);
      create table parts_1 partition of parts for values in (1);
      create table parts_2 partition of parts for values in (2);
      create table plain (id int primary key, body text);
      insert into parts select g, 1 + g % 2, 'row ' || g from generate_series(1, 1000) g;
      insert into plain select g, 'row ' || g from generate_series(1, 1000) g`)
    await using lab = await protect(server)
    await lab.backUp()
    const client = await server.connect()
    await client.query('begin')
    const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
    const xid = Number(rows[0]?.xid)
    // Updated, again and again, before it goes; also on other pages.
    await client.query(
      `update plain set body = body || '!' where id <= 100; update plain set body = repeat(body, 30) where id <= 50`,
    )
    await client.query('delete from plain where id <= 200')
    await client.query(
      `savepoint a; delete from plain where id > 900; rollback to a; savepoint b; delete from plain where id = 900; release b`,
    )
    await client.query(`insert into plain values (-1, 'passing'); delete from plain where id = -1`)
    await client.query('delete from parts where id between 301 and 340')
    // Meanwhile another one, whose deletions are over before this one is.
    await server.query('delete from plain where id between 500 and 520')
    await client.query('commit')
    await client.end()
    await server.query('delete from plain where id between 600 and 620; delete from parts where id <= 10')
    await lab.catchUp()
    await using temp = makeTemp({ owner: serverAccount() })
    await using retake = await openRetake({
      repo: lab.url,
      key: lab.key,
      databaseUrl: server.url,
      directory: temp.path,
    })
    const options = { mode: 'missing', workDirectory: temp.path, at: `before-xid:${xid}`, deletedBy: xid } as const
    const merge = (more: Partial<MergeTablesOptions> = {}) =>
      mergeTables(retake, { ...options, tables: ['plain', 'parts'], ...more }).result
    const shown = await merge()
    assert.deepEqual(
      shown.tables.map(({ table, recovered, missing }) => [table, recovered, missing]),
      [
        ['public.plain', 201, 201],
        ['public.parts', 40, 40],
      ],
    )
    const some = await merge({ tables: ['plain'], where: 'id <= 20' })
    assert.equal(some.tables[0]?.missing, 20)
    await merge({ apply: { confirm: 'public.plain', undoFile: temp.join('undo.sql') } })
    const [after] = await server.query<{ plain: number; parts: number; old: number }>(`
      select (select count(*)::int from plain) as plain, (select count(*)::int from parts) as parts,
        (select count(*)::int from plain where body = 'row ' || id) as old`)
    assert.deepEqual(after, { plain: 1000 - 21 - 21, parts: 990, old: 1000 - 21 - 21 })
    await assert.rejects(merge({ at: 'latest' }), { code: 'config.invalid' })
    await assert.rejects(merge({ at: 'before-xid:3', deletedBy: 3 }), /3/)
  })
}

/** With psql where the server's programs have it, else as psql would. */
async function runScript(server: TestServer, file: string): Promise<void> {
  const psql = await findClientTool('psql', server.major)
  if (psql === undefined) return await runAsPsql(server, readFileSync(file, 'utf8'))
  const { host = '', port = 0, user = '', database = '' } = server.target.config
  const args = ['-h', host, '-p', String(port), '-U', user, '-d', database, '-v', 'ON_ERROR_STOP=1', '-qf', file]
  const result = await runProgram(psql, args)
  assert.equal(result.code, 0, result.stderr)
}

async function runAsPsql(server: TestServer, script: string): Promise<void> {
  await using session = await CopySession.open(server.target)
  const parts = script.split(/^(copy .* from stdin;)\n([\s\S]*?)^\\\.$/m)
  for (let at = 0; at < parts.length; at += 3) {
    await session.query(parts[at] ?? '')
    const [copy, rows] = [parts[at + 1], parts[at + 2] ?? '']
    if (copy === undefined) continue
    await session.copyIn(
      copy,
      (async function* () {
        yield Buffer.from(rows)
      })(),
    )
  }
}
