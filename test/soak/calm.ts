/**
 * An hour of what an application and its jobs do: no alarm of the top severity, neither from looks at what is new nor from a search
 * through all of it. And at its end something that is one, which must be found first: a search that finds nothing proves nothing.
 */
import { sleep } from '../../src/base/abort.ts'
import { installCineTrack } from '../../src/demo/cinetrack/install.ts'
import { startTraffic } from '../../src/demo/cinetrack/traffic.ts'
import { backUp } from '../../src/engine/backup.ts'
import { findIncidents } from '../../src/engine/find.ts'
import { initialise } from '../../src/engine/initialise.ts'
import { openRetake, type Retake } from '../../src/engine/open.ts'
import { receiveWal } from '../../src/engine/receive-wal.ts'
import { readHoldings } from '../../src/engine/window.ts'
import type { Bookmark } from '../../src/journal/bookmark.ts'
import { watchLog } from '../../src/journal/watch.ts'
import { cineTrackCriticalTables } from '../../src/monitor/checks/cinetrack-tables.ts'
import { generateKey } from '../../src/repository/keys/key-material.ts'
import { formatKeyText } from '../../src/repository/keys/key-text.ts'
import { startTestServer, type TestServer } from '../support/postgres.ts'
import { makeTemp } from '../support/temp.ts'
import { installTpcb, startTpcb } from '../support/tpcb.ts'

export interface CalmOptions {
  readonly major: number
  readonly minutes: number
  readonly say: (line: string) => void
}

const CRITICAL = new Set(cineTrackCriticalTables.filter(({ tier }) => tier !== 'low').map(({ table }) => table))
const SCALE = 0.2
const ACCOUNTS = 20_000

const JOB_TABLES = `
  create schema jobs;
  create table jobs.queue (id bigint generated always as identity primary key, payload text, done boolean not null default false);
  create table jobs.sessions (id bigint generated always as identity primary key, seen timestamptz not null default clock_timestamp());
  create table jobs.counters (name text primary key, value bigint not null);
  create table jobs.staging (id integer, body text);
  create materialized view jobs.popular as select title_id, count(*) from public.reviews group by 1;
  insert into jobs.queue (payload) select md5(g::text) from generate_series(1, 60) g;
  insert into jobs.sessions select from generate_series(1, 3000);
  insert into jobs.counters select 'counter ' || g, 0 from generate_series(1, 40) g;
  insert into jobs.staging select g, md5(g::text) from generate_series(1, 500) g;
`

/** A worker takes all that is waiting, again and again. */
const QUEUE = [
  `delete from jobs.queue where id in (select id from jobs.queue order by id limit 60 for update skip locked)`,
  `insert into jobs.queue (payload) select md5(random()::text) from generate_series(1, 60)`,
]
const QUEUE_EVERY_MS = 5_000

/** What runs each minute, as applications have it. */
const JOBS = [
  // The oldest twentieth.
  `delete from jobs.sessions where id in (select id from jobs.sessions order by seen limit 150)`,
  `insert into jobs.sessions select from generate_series(1, 150)`,
  `update jobs.counters set value = value + 1`,
  `begin; truncate jobs.staging; insert into jobs.staging select g, md5(random()::text) from generate_series(1, 500) g; commit`,
  `refresh materialized view jobs.popular`,
  `begin; create temporary table scratch on commit drop as select * from public.reviews limit 1000; delete from scratch; commit`,
  `begin; create table jobs.result as select g from generate_series(1, 2000) g; delete from jobs.result; drop table jobs.result; commit`,
  `begin; delete from public.notifications; rollback`,
]

/** Now and then, as a deploy does it. */
const DEPLOY = [
  'alter table jobs.sessions add column if not exists agent text',
  'create index concurrently if not exists sessions_seen on jobs.sessions (seen)',
  'reindex table concurrently jobs.sessions',
  'drop index concurrently jobs.sessions_seen',
  'vacuum (analyze) public.reviews',
  'vacuum full jobs.queue',
  'alter table jobs.counters alter column value type numeric',
  'alter table jobs.counters alter column value type bigint',
]

/** @returns what was wrong */
export async function runCalmSoak({ major, minutes, say }: CalmOptions): Promise<string[]> {
  const problems: string[] = []
  await using temp = makeTemp({ label: 'calm' })
  await using server = await startTestServer({ major })
  await installCineTrack({ target: server.target, scale: SCALE })
  await installTpcb(server.target, ACCOUNTS)
  await server.query(JOB_TABLES)
  await server.query('analyze')
  const options = {
    repo: temp.join('repository'),
    databaseUrl: server.url,
    key: formatKeyText(generateKey().bytes),
    postgresBinDirectory: server.binDir,
  }
  await initialise(options)
  await using retake = await openRetake(options)
  const receiver = receiveWal(retake)
  await backUp(retake).result
  {
    await using _traffic = await startTraffic({ target: server.target, scale: SCALE, transactionsPerSecond: 30 })
    await using _load = await startTpcb({ target: server.target, accounts: ACCOUNTS, transactionsPerSecond: 30 })
    let bookmark: Bookmark | undefined
    const told = new Set<string>()
    const watch = async () => {
      bookmark = await look(retake, bookmark)
      for (const { lsn, what, tables } of bookmark?.incidents ?? []) {
        if (told.has(lsn)) continue
        told.add(lsn)
        say(`a look tells: ${what}`)
        // Of other tables the alert is a warning (docs/alerts.md).
        if (tables.some((table) => CRITICAL.has(table))) problems.push(`a look tells: ${what}`)
      }
    }
    await watch()
    for (let minute = 1; minute <= minutes; minute += 1) {
      const next = performance.now() + 60_000
      for (const job of minute % 10 === 1 ? [...JOBS, ...DEPLOY] : JOBS) await runAlone(server, job)
      while (performance.now() < next - QUEUE_EVERY_MS) {
        for (const job of QUEUE) await runAlone(server, job)
        await sleep(QUEUE_EVERY_MS)
      }
      await watch()
      if (minute % 10 === 0 || minute === minutes) say(`${minute} minutes, ${told.size} notices`)
    }
  }
  await server.query('select pg_switch_wal()')
  await sleep(2_000)
  const { incidents } = await findIncidents(retake).result
  const critical = incidents.filter(({ severity }) => severity === 'critical')
  problems.push(...critical.map(({ what, at }) => `a search finds: ${what} at ${at}`))
  const kinds = Object.entries(Object.groupBy(incidents, ({ kind, severity }) => `${kind} (${severity})`))
  say(`a search finds ${kinds.map(([kind, found]) => `${found?.length} ${kind}`).join(', ') || 'nothing'}`)
  await server.query('delete from public.notifications')
  await server.query('select pg_switch_wal()')
  await sleep(2_000)
  const [first] = (await findIncidents(retake).result).incidents
  if (first?.severity !== 'critical' || first.tables[0]?.name !== 'public.notifications')
    problems.push(`a deletion of everything is not found first, but ${first?.what}`)
  receiver.abort()
  await receiver.result.catch(() => {})
  return problems
}

async function look(retake: Retake, earlier: Bookmark | undefined): Promise<Bookmark | undefined> {
  const { archive: held, backups } = await readHoldings(retake)
  const watched = await watchLog(await retake.cluster(), { held, backups, earlier, now: new Date() })
  return watched?.bookmark ?? earlier
}

/** Statements that may not run in a transaction need a message of their own. */
async function runAlone(server: TestServer, job: string): Promise<void> {
  const client = await server.connect()
  try {
    await client.query(job)
  } finally {
    await client.end()
  }
}
