/** Files that no backup knows: what the log says of them, however it holds it, against what the server calls them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import pg from 'pg'
import '../../test/support/leaks.ts'
import { protect } from '../../test/support/lab.ts'
import { postgresMajors, startTestServer, type TestServer } from '../../test/support/postgres.ts'
import type { RelationFile } from '../postgres/wal/record-parts.ts'
import { readHeldArchive } from '../recovery/held-archive.ts'
import { choosePath } from '../recovery/plan.ts'
import { openWalLog } from '../recovery/wal-log.ts'
import { listBackups } from '../repository/manifest-store.ts'
import type { JournalTransaction } from './block.ts'
import { decodeBlock, encodeBlock } from './block.ts'
import { readNames } from './names.ts'
import { readJournal } from './read.ts'

interface Called extends RelationFile {
  readonly name: string
}

/** What the server calls its tables now, and the files that they have now. */
async function filesOf(server: Pick<TestServer, 'query'>): Promise<Called[]> {
  return server.query<Called>(`
    select case c.reltablespace when 0 then d.dattablespace else c.reltablespace end::int8::int4 as tablespace,
      d.oid::int8::int4 as database, pg_relation_filenode(c.oid)::int8::int4 as relfilenode,
      d.datname || ' ' || n.nspname || '.' || c.relname as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_database d on d.datname = current_database()
    where c.relkind in ('r', 'm') and n.nspname !~ '^pg_|^information_schema' order by c.oid`)
}

/** The oldest and the newest. */
const majors = new Set([postgresMajors()[0] ?? 17, postgresMajors().at(-1) ?? 17])

for (const major of majors) {
  describe(`PostgreSQL ${major}`, () => {
    test('what was made, emptied, written anew and renamed since the backup has its name', async () => {
      await using server = await startTestServer({ major })
      for (const table of ['emptied', 'vacuumed', 'changed', 'renamed', 'clustered', 'granted']) {
        await server.query(`create table ${table} (id int primary key, body text)`)
        await server.query(`insert into ${table} select n, md5(n::text) from generate_series(1, 30) n`)
      }
      await using lab = await protect(server)
      await lab.backUp()
      const seen = new Map<string, Called>()
      const look = async () => {
        for (const one of await filesOf(server)) seen.set(String(one.relfilenode), one)
      }
      await look()
      const before = new Set(seen.keys())
      const [{ ways = [] } = {}] = await server.query<{ ways: string[] }>(
        `select enumvals as ways from pg_settings where name = 'wal_compression'`,
      )
      assert.ok(ways.includes('pglz'))
      for (const compression of ways) {
        await server.query(`alter system set wal_compression = '${compression}'`)
        await server.query('select pg_reload_conf()')
        // The next change of each page is logged as the whole page.
        await server.query('checkpoint')
        await server.query(`create schema made_${compression}`)
        await server.query(
          `create table made_${compression}.one (id int); create table made_${compression}.two (id text)`,
        )
        await look()
        await server.query(`truncate made_${compression}.one`)
        await look()
      }
      await server.query('alter table renamed rename to called_anew')
      for (let time = 0; time < 3; time += 1) {
        await server.query('truncate emptied')
        await server.query('vacuum full vacuumed')
        await server.query(`alter table changed alter id type ${time % 2 === 0 ? 'bigint' : 'int'}`)
        await server.query('truncate called_anew')
        await server.query('cluster clustered using clustered_pkey')
        await server.query(`grant select on granted to public; truncate granted; revoke select on granted from public`)
        await look()
      }
      await server.query('create materialized view counted as select count(*) from emptied')
      await look()
      await server.query('refresh materialized view counted')
      await look()
      // Nothing that is taken back has a name.
      const client = await server.connect()
      await client.query('begin; create table never (id int)')
      const { rows: never } = await client.query<{ file: string }>(`select pg_relation_filenode('never')::text as file`)
      await client.query('rollback')
      await client.end()
      await server.query('create database another')
      const { config } = server.target
      const other = new pg.Client(`postgres://${config.user}@${config.host}:${config.port}/another`)
      await other.connect()
      await other.query('create table elsewhere (id int)')
      const query = async <R>(text: string) => (await other.query(text)).rows as R[]
      for (const one of await filesOf({ query: query as TestServer['query'] }))
        seen.set(`another ${one.relfilenode}`, one)
      await other.end()
      await server.query('select pg_switch_wal()')
      await lab.catchUp()

      const held = await readHeldArchive(lab.cluster)
      const backups = await listBackups(lab.cluster, { onDamage: assert.fail })
      const log = openWalLog(lab.cluster, { held, path: choosePath({ held, backups, timeline: undefined }) })
      const transactions: JournalTransaction[] = []
      for (const range of log.coverage.ranges)
        await readJournal(log, range, { onTransaction: (one) => transactions.push(one) })
      // As they come out of what is stored.
      const stored = decodeBlock(encodeBlock(transactions))
      const files = [...seen.values()]
      const options = { cluster: lab.cluster, backups: backups.toReversed() }
      const names = await readNames(files, { ...options, transactions: stored })
      const called = (file: RelationFile) => {
        const { database, schema, table } = names.nameOf(file)
        return `${database} ${schema}.${table}`
      }
      const wrong = files.filter((file) => called(file) !== file.name).map((file) => `${file.name}: ${called(file)}`)
      // What had its file already is called what the backup calls it.
      assert.deepEqual(
        wrong.filter((line) => !line.startsWith('postgres public.called_anew: postgres public.renamed')),
        [],
      )
      const made = files.filter(({ relfilenode }) => !before.has(String(relfilenode)))
      assert.ok(made.length >= 30, String(made.length))
      const without = await readNames(files, options)
      for (const file of made) assert.equal(without.nameOf(file).table, undefined, file.name)
      const [first] = made
      assert.equal(names.nameOf({ ...(first as RelationFile), relfilenode: Number(never[0]?.file) }).table, undefined)
    })
  })
}
