/** The disasters of the demo, found in the log alone, with a target that is exactly before them. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import '../../test/support/leaks.ts'
import { postgresMajors, startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { makeTemp } from '../../test/support/temp.ts'
import { sleep } from '../base/abort.ts'
import { installCineTrack } from '../demo/cinetrack/install.ts'
import { startTraffic } from '../demo/cinetrack/traffic.ts'
import { parseLsn } from '../postgres/lsn.ts'
import { generateKey } from '../repository/keys/key-material.ts'
import { formatKeyText } from '../repository/keys/key-text.ts'
import { backUp } from './backup.ts'
import { findIncidents } from './find.ts'
import { initialise } from './initialise.ts'
import { mark } from './mark.ts'
import { openRetake, type Retake, type RetakeOptions } from './open.ts'
import { receiveWal } from './receive-wal.ts'
import { planRestore } from './restore.ts'

/** The oldest and the newest: what the log of each says is tried with the decoder, and the catalogs of each with their reader. */
const majors = [...new Set([postgresMajors()[0] ?? 17, postgresMajors().at(-1) ?? 17])]

for (const major of majors) {
  describe(`PostgreSQL ${major}`, () => {
    let server: TestServer
    let retake: Retake
    let options: RetakeOptions
    const temp = makeTemp({ label: 'find' })
    const since = new Date(Date.now() - 60_000).toISOString()

    before(async () => {
      server = await startTestServer({ major })
      await installCineTrack({ target: server.target, scale: 0.05 })
      await server.query('analyze')
      options = {
        repo: temp.join('repo'),
        databaseUrl: server.url,
        key: formatKeyText(generateKey().bytes),
        postgresBinDirectory: server.binDir,
      }
      await initialise(options)
      retake = await openRetake(options)
      await backUp(retake).result
    })
    after(async () => {
      await retake?.[Symbol.asyncDispose]()
      await server?.[Symbol.asyncDispose]()
      await temp[Symbol.asyncDispose]()
    })

    const found = async () => {
      await receiveWal(retake, { until: { kind: 'caught-up' } }).result
      return await findIncidents(retake, { since }).result
    }
    /** Runs it in one transaction. @returns its id */
    const inOne = async (statement: string) => {
      const client = await server.connect()
      await client.query('begin')
      const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
      await client.query(statement)
      await client.query('commit')
      await client.end()
      return Number(rows[0]?.xid)
    }

    test('ordinary traffic is no alarm', async () => {
      const traffic = await startTraffic({ target: server.target, scale: 0.05, connections: 3 })
      await sleep(3_000)
      await traffic.stop()
      const { incidents, transactions } = await found()
      assert.ok(transactions > 50, String(transactions))
      assert.deepEqual(
        incidents.filter(({ severity }) => severity !== 'info'),
        [],
      )
    })

    test('a deletion without WHERE comes first, with its table, its rows, and the target before it', async () => {
      const [count] = await server.query<{ rows: number }>('select count(*)::int4 as rows from public.reviews')
      const xid = await inOne('delete from public.reviews')
      const [first] = (await found()).incidents
      assert.deepEqual(
        [first?.kind, first?.severity, first?.xid, first?.before, first?.isPartial],
        ['mass-delete', 'critical', xid, `before-xid:${xid}`, false],
      )
      const table = first?.tables[0]
      assert.deepEqual([table?.name, table?.database, table?.deleted], ['public.reviews', 'postgres', count?.rows])
      assert.match(first?.what ?? '', /rows of public\.reviews deleted, (all|9\d %) of the table/)
    })

    test('a table that is dropped, and one that is emptied, are found by name', async () => {
      const dropped = await inOne('drop table public.watchlist cascade')
      const emptied = await inOne('truncate public.reviews cascade')
      const { incidents } = await found()
      const drop = incidents.find(({ kind }) => kind === 'drop')
      assert.deepEqual([drop?.xid, drop?.severity, drop?.tables[0]?.name], [dropped, 'critical', 'public.watchlist'])
      const truncate = incidents.find(({ kind }) => kind === 'truncate')
      assert.equal(truncate?.xid, emptied)
      assert.ok(truncate.tables.some(({ name }) => name === 'public.reviews'))
    })

    test('a table that is written anew is none of these', async () => {
      await server.query(
        'create table public.kept as select n from generate_series(1, 1000) n; create index on public.kept (n)',
      )
      await backUp(retake).result
      await server.query('vacuum full public.kept')
      await server.query('alter table public.kept alter n type bigint')
      const about = (await found()).incidents.filter(({ tables }) => tables.some(({ name }) => name === 'public.kept'))
      assert.ok(about.length > 0)
      assert.deepEqual([...new Set(about.map(({ kind, severity }) => `${kind} ${severity}`))], ['schema-change info'])
    })

    test('what is done to a table again and again is a habit, and a definition that changes is told', async () => {
      await server.query('create table public.queue as select n from generate_series(1, 5000) n; analyze public.queue')
      await backUp(retake).result
      for (let night = 0; night < 5; night++) {
        await server.query('delete from public.queue')
        await server.query('insert into public.queue select n from generate_series(1, 5000) n')
      }
      const changed = await inOne('alter table public.queue add column more int')
      const { incidents } = await found()
      assert.ok(!incidents.some(({ kind, tables }) => kind === 'mass-delete' && tables[0]?.name === 'public.queue'))
      assert.ok(incidents.some(({ kind, xid }) => kind === 'schema-change' && xid === changed))
    })

    test('a mark is found by its name, and a role that may not make one is told what it needs', async () => {
      const { lsn, target } = await mark(retake, 'before it all')
      assert.equal(target, 'name:before it all')
      const { marks } = await found()
      assert.deepEqual(
        marks.map(({ type, name }) => [type, name]),
        [['restore-point', 'before it all']],
      )
      assert.ok(marks[0] && parseLsn(marks[0].lsn) < parseLsn(lsn))
      const plan = await planRestore(retake, { at: target, to: temp.join('restored') })
      assert.equal(plan.stop.recordLsn, marks[0].lsn)
      for (const name of ['', 'a ', 'x'.repeat(64), 'a\nb'])
        await assert.rejects(mark(retake, name), { code: 'config.invalid' })
      await server.query('create role weak login')
      const { host, port } = server.target.config
      await using other = await openRetake({ ...options, databaseUrl: `postgres://weak@${host}:${port}/postgres` })
      await assert.rejects(mark(other, 'x'), {
        code: 'postgres.privilege',
        hint: /grant execute on function pg_create_restore_point\(text\) to weak/,
      })
    })

    test('one table, one kind, so many rows, and a time can be asked for', async () => {
      const all = { since }
      const kinds = async (options: Parameters<typeof findIncidents>[1]) =>
        (await findIncidents(retake, { ...all, ...options }).result).incidents.map(({ kind }) => kind)
      assert.deepEqual(await kinds({ table: 'watchlist' }), ['drop'])
      assert.deepEqual(await kinds({ kind: 'truncate' }), ['truncate'])
      assert.ok((await kinds({ minRows: 1 })).every((kind) => kind.startsWith('mass-')))
      assert.deepEqual(await kinds({ since: '2020-01-01T00:00:00Z', until: '2020-01-02T00:00:00Z' }), [])
      await assert.rejects(findIncidents(retake, { since: 'yesterday' }).result, { code: 'target.invalid' })
    })
  })
}
