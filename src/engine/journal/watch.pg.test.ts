/** What is looked for in the log from one look to the next, on real servers. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import '../../../test/support/leaks.ts'
import { postgresMajors, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { makeTemp } from '../../../test/support/temp.ts'
import { sleep } from '../../base/abort.ts'
import { installCineTrack } from '../../demo/cinetrack/install.ts'
import { startTraffic } from '../../demo/cinetrack/traffic.ts'
import { type Bookmark, bookmarkSchema } from '../../journal/bookmark.ts'
import { watchLog } from '../../journal/watch.ts'
import { parseLsn } from '../../postgres/lsn.ts'
import { generateKey } from '../../repository/keys/key-material.ts'
import { formatKeyText } from '../../repository/keys/key-text.ts'
import { backUp } from '../backup.ts'
import { initialise } from '../initialise.ts'
import { openRetake, type Retake } from '../open.ts'
import { receiveWal } from '../receive-wal.ts'
import { planRestore } from '../restore.ts'
import { readHoldings } from '../window.ts'

/** The oldest and the newest. */
const majors = [...new Set([postgresMajors()[0] ?? 17, postgresMajors().at(-1) ?? 17])]

for (const major of majors) {
  describe(`PostgreSQL ${major}`, () => {
    let server: TestServer
    let retake: Retake
    const temp = makeTemp({ label: 'watch' })
    let bookmark: Bookmark | undefined
    /** Days pass between looks, so that something is forgotten in the end. */
    let now = new Date('2026-11-22T12:00:00Z')

    before(async () => {
      server = await startTestServer({ major, walSegmentSizeMb: 1 })
      await installCineTrack({ target: server.target, scale: 0.05 })
      await server.query('create table public.queue as select n from generate_series(1, 500) n')
      await server.query('analyze')
      const options = {
        repo: temp.join('repo'),
        databaseUrl: server.url,
        key: formatKeyText(generateKey().bytes),
        postgresBinDirectory: server.binDir,
      }
      await initialise(options)
      retake = await openRetake(options)
      await backUp(retake).result
      assert.deepEqual(await look(), [])
    })
    after(async () => {
      await retake?.[Symbol.asyncDispose]()
      await server?.[Symbol.asyncDispose]()
      await temp[Symbol.asyncDispose]()
    })

    /** What is new since the look before. The bookmark goes through a text, as whoever keeps it does it. */
    async function look(mayGoOn?: () => boolean) {
      await receiveWal(retake, { until: { kind: 'caught-up' } }).result
      const { archive: held, backups } = await readHoldings(retake)
      const watched = await watchLog(await retake.cluster(), { held, backups, earlier: bookmark, now, mayGoOn })
      assert.ok(watched)
      const known = new Set(bookmark?.incidents.map(({ lsn }) => lsn))
      if (!mayGoOn) assert.equal(watched.behindBytes, 0)
      bookmark = bookmarkSchema.parse(JSON.parse(JSON.stringify(watched.bookmark)))
      return bookmark.incidents.filter(({ lsn }) => !known.has(lsn))
    }

    test('ordinary traffic is no alarm', async () => {
      const traffic = await startTraffic({ target: server.target, scale: 0.05, connections: 3 })
      await sleep(1_000)
      await look()
      await sleep(1_000)
      await traffic.stop()
      assert.deepEqual([await look(), bookmark?.incidents], [[], []])
    })

    test('a deletion that goes on over several looks is told once, when it is committed, with all of its rows', async () => {
      const [{ rows = 0 } = {}] = await server.query<{ rows: number }>(
        'select count(*)::int4 as rows from public.reviews',
      )
      const client = await server.connect()
      await client.query('begin')
      const { rows: ids } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
      await client.query('delete from public.reviews where ctid in (select ctid from public.reviews limit 100)')
      await server.query('checkpoint')
      assert.deepEqual(await look(), [])
      await client.query('delete from public.reviews')
      await server.query('select pg_switch_wal()')
      assert.deepEqual(await look(), [])
      await client.query('commit')
      await client.end()
      const found = await look()
      const [first] = found
      assert.deepEqual(
        found.map((one) => [one.kind, one.target, one.before]),
        [['mass-delete', 'public.reviews', `before-xid:${ids[0]?.xid}`]],
      )
      assert.match(first?.what ?? '', new RegExp(`^${rows.toLocaleString('en')} rows of public\\.reviews deleted, `))
      assert.deepEqual(await look(), [])
      assert.equal(bookmark?.incidents.length, 1)
      await planRestore(retake, { at: first?.before ?? '', to: temp.join('planned') })
    })

    test('tables that are emptied and dropped are told by name, each once', async () => {
      await server.query('truncate public.episode_tracking')
      assert.deepEqual(
        (await look()).map(({ kind, target }) => [kind, target]),
        [['truncate', 'public.episode_tracking']],
      )
      await server.query('drop table public.watchlist cascade')
      await server.query('create temporary table passing as select 1; drop table passing')
      assert.deepEqual(
        (await look()).map(({ kind, target }) => [kind, target]),
        [['drop', 'public.watchlist']],
      )
    })

    test('what a job does each night is told three times, and then no more', async () => {
      const told: number[] = []
      for (let night = 0; night < 6; night++) {
        await server.query('delete from public.queue')
        await server.query('insert into public.queue select n from generate_series(1, 500) n')
        told.push((await look()).length)
      }
      assert.deepEqual(told, [1, 1, 1, 0, 0, 0])
    })

    test('with too little time the rest waits for the next look', async () => {
      await server.query(`create table public.filler as select n, repeat('x', 500) from generate_series(1, 300000) n`)
      await server.query('delete from public.follows')
      assert.deepEqual(await look(() => false), [])
      const reached = bookmark?.lsn ?? ''
      const found = await look()
      assert.ok(parseLsn(bookmark?.lsn ?? '') - parseLsn(reached) > 1024 * 1024)
      assert.deepEqual(
        found.map(({ target }) => target),
        ['public.follows'],
      )
    })

    test('what is old is forgotten', async () => {
      assert.ok((bookmark?.incidents.length ?? 0) >= 7)
      now = new Date('2026-12-01T12:00:00Z')
      await look()
      assert.deepEqual(bookmark?.incidents, [])
    })
  })
}
