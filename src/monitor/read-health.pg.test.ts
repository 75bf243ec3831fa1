/** A cluster through good and bad days, on a real server: after each, the score, the reason and the fix that must be shown. */
import assert from 'node:assert/strict'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { waitStreaming } from '../../test/support/lab.ts'
import { startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { makeTemp, type TempDirectory } from '../../test/support/temp.ts'
import type { Clock } from '../base/clock.ts'
import { timeOrderedId, timeOrderedIdAfter } from '../base/ids.ts'
import { runCli } from '../cli/testing/run-cli.ts'
import { cineTrackTables } from '../demo/cinetrack/tiers.ts'
import { runDrill } from '../drills/run.ts'
import { backUp } from '../engine/backup.ts'
import { initialise } from '../engine/initialise.ts'
import { escrowTest } from '../engine/keys/escrow-test.ts'
import { openRetake, type Retake, type RetakeOptions } from '../engine/open.ts'
import type { Operation } from '../engine/operation.ts'
import { receiveWal } from '../engine/receive-wal.ts'
import { verify } from '../engine/verify.ts'
import { serverAccount } from '../postgres/server/account.ts'
import { putDrill } from '../repository/drills.ts'
import { generateKey } from '../repository/keys/key-material.ts'
import { formatKeyText } from '../repository/keys/key-text.ts'
import { drillKey } from '../repository/layout.ts'
import { beginRun } from '../repository/runs.ts'
import { exampleDrill } from '../repository/testing/example-drill.ts'
import { proposedSchedules } from '../schedules/schedule.ts'
import { cineTrackCriticalTables } from './checks/cinetrack-tables.ts'
import { type HealthCheckName, resultOf } from './checks/result.ts'
import { type HealthReport, type ReadHealthOptions, readHealth } from './read-health.ts'

const HOUR_MS = 3_600_000

describe('health, day by day', () => {
  let server: TestServer
  let temp: TempDirectory
  let options: RetakeOptions
  let retake: Retake
  let receiver: Operation<unknown>
  let env: Record<string, string>
  let healthy: HealthReport

  before(async () => {
    // Its own work would be transactions like any other.
    server = await startTestServer({ settings: { max_slot_wal_keep_size: '1GB', autovacuum: 'off' } })
    temp = makeTemp({ label: 'health', owner: serverAccount() })
    const key = formatKeyText(generateKey().bytes)
    options = { repo: temp.join('repo'), key, databaseUrl: server.url, postgresBinDirectory: server.binDir }
    env = { RETAKE_REPO: temp.join('repo'), RETAKE_KEY: key, RETAKE_DATABASE_URL: server.url }
    await initialise({ ...options, recoveryKitFile: temp.join('kit.txt') })
    retake = await openRetake(options)
    receiver = receiveWal(retake)
    receiver.result.catch(() => {})
    await waitStreaming(server)
    for (const { table } of cineTrackCriticalTables) {
      await server.query(`create table ${table} as select n as id from generate_series(1, 100) n`)
      await analyze(table)
    }
    await backUp(retake).result
  })

  after(async () => {
    receiver?.abort()
    await receiver?.result.catch(() => {})
    await retake?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
    await temp?.[Symbol.asyncDispose]()
  })

  const at = (laterMs: number): Clock => ({
    now: () => new Date(Date.now() + laterMs),
    monotonicMs: () => performance.now(),
  })
  /** Changes are counted a second later at the earliest, and would be added to what the analysis has counted. */
  async function analyze(table: string): Promise<void> {
    await server.query('select pg_stat_force_next_flush()')
    await server.query(`analyze ${table}`)
  }

  const look = (more: ReadHealthOptions & { laterMs?: number } = {}) =>
    readHealth({ ...options, clock: at(more.laterMs ?? 0) }, more)

  function assertCheck(report: HealthReport, name: HealthCheckName, expected: Record<string, unknown>, fix?: RegExp) {
    const { state, severity, finding, fix: shown } = resultOf(report.checks, name) ?? {}
    assert.deepEqual({ state, ...(severity ? { severity } : {}) }, expected, finding)
    if (fix) assert.match(shown ?? '', fix)
  }

  const items = ({ score }: HealthReport) =>
    Object.fromEntries(score.parts.flatMap(({ items }) => items.map(({ name, points }) => [name, points])))

  test('the ten tables are those of the demo', () => {
    const own = cineTrackTables.map(({ schema, name, tier }) => ({ table: `${schema}.${name}`, tier }))
    assert.deepEqual(cineTrackCriticalTables, own)
  })

  test('a first backup, nothing verified, no kit tried', async () => {
    const report = await look()
    assertCheck(report, 'verification', { state: 'failed', severity: 'warning' }, /^retake verify --deep/)
    assertCheck(report, 'keys', { state: 'failed', severity: 'warning' }, /^retake keys escrow-test/)
    assert.equal(report.verdict, 'ok')
    assert.equal(report.score.value, 48)
    assert.deepEqual(
      report.score.caps.map(({ name, limit }) => [name, limit]),
      [
        ['never-drilled', 60],
        ['key-not-escrow-tested', 70],
      ],
    )
  })

  test('verified and with a kit that was tried: what remains lost is said with what wins it', async () => {
    await verify(retake, { deep: true }).result
    await escrowTest(options, { kit: await readFile(temp.join('kit.txt'), 'utf8') }).result
    healthy = await look()
    assert.equal(healthy.verdict, 'ok', JSON.stringify(healthy.checks))
    assert.deepEqual(
      healthy.checks.filter(({ state }) => state !== 'passed').map(({ name, state }) => `${name} ${state}`),
      ['schedules skipped', 'mass-deletions skipped', 'drill skipped', 'mirrors skipped', 'native-backups skipped'],
    )
    assert.deepEqual(items(healthy), {
      proof: 9,
      exposure: 10,
      recency: 8,
      'pitr-availability': 7,
      'success-rate': 8,
      'recoverable-minutes': 5,
      'completion-time': 2,
      rto: 0,
      copies: 0,
      'key-escrow': 3,
      'retention-adequacy': 3,
      'critical-tables': 3,
      configuration: 2,
      'alert-path': 0,
    })
    assert.equal(healthy.score.value, 60)
    const tables = resultOf(healthy.checks, 'critical-tables')?.measured?.tables ?? []
    assert.deepEqual(new Set(tables.map(({ rows }) => rows)), new Set([100]))
    assert.deepEqual(
      healthy.objectives.map(({ state }) => state),
      ['unknown', 'unknown', 'unknown', 'met', 'met', 'met'],
    )
  })

  test('the command prints the same, and compares with an earlier report', async () => {
    const text = await runCli(['health'], env, temp.path)
    assert.equal(text.code, 0, text.stderr)
    assert.match(text.stdout, /^cluster +main: protected\nscore +60 of 100, at risk \(formula 1\)/)
    assert.match(text.stdout, /skipped {2}Recovery was rehearsed: No recovery was rehearsed yet/)
    assert.match(text.stdout, /What to do, the most effective first/)
    await writeFile(temp.join('last.json'), JSON.stringify(healthy))
    const json = await runCli(['health', '--json', '--earlier', 'last.json', '--fail-under', '61'], env, temp.path)
    assert.equal(json.code, 40, 'below --fail-under')
    assert.equal(json.json<HealthReport>().score.value, 60)
    await writeFile(temp.join('other.json'), '{}')
    assert.equal((await runCli(['health', '--earlier', 'other.json'], env, temp.path)).code, 2)
  })

  test('a drill on record wins what it proves, and one that failed is danger', async () => {
    const { drill } = await runDrill(retake, { at: 'latest', directory: temp.path }).result
    assert.equal(drill.outcome, 'passed', JSON.stringify(drill))
    const proven = await look({ alertPath: { provenAt: healthy.at } })
    assert.deepEqual([proven.score.value, proven.score.band], [90, 'good'], 'copies, and checks of the application')
    assert.deepEqual(proven.headline.drills, { share: 1, counted: 1, lastOutcome: 'passed', target: 1 })
    assert.equal(proven.objectives[0]?.measuredMs, drill.rtoMs)
    const cluster = await retake.cluster()
    const endedAt = new Date().toISOString()
    const id = timeOrderedIdAfter(new Date(), drill.id)
    const check = { name: 'rows', title: 'Rows', result: 'failed', detail: 'One is lost.', durationMs: 1 } as const
    await putDrill(cluster, exampleDrill(id, { endedAt, outcome: 'failed', checks: [check] }))
    const failing = await look()
    assertCheck(failing, 'drill', { state: 'failed', severity: 'danger' }, /^retake drill show /)
    assert.equal(failing.score.caps[0]?.name, 'last-drill-failed')
    assert.equal(failing.headline.drills.share, 0.5)
    // What follows is about other things.
    for (const one of [id, drill.id]) await cluster.store.delete(drillKey('main', one))
  })

  test('a role that may see little: what it may not see is unknown, and has no points', async () => {
    await server.query('create role watcher login')
    const RETAKE_DATABASE_URL = `postgres://watcher@127.0.0.1:${server.server.port}/postgres`
    const found = await runCli(['health', '--json'], { ...env, RETAKE_DATABASE_URL }, temp.path)
    assert.equal(found.code, 41, found.stderr)
    const report = found.json<HealthReport>()
    const unknown = report.checks.filter(({ state }) => state === 'unknown')
    assert.deepEqual(
      unknown.map(({ name, fix }) => [name, fix]),
      [['configuration', 'GRANT pg_monitor TO watcher;']],
    )
    assert.deepEqual([report.verdict, report.score.value], ['unknown', 58])
    const tables = resultOf(report.checks, 'critical-tables')?.measured?.tables ?? []
    assert.deepEqual(new Set(tables.map(({ rows }) => rows)), new Set([100]))
    assert.equal(resultOf(report.checks, 'slot')?.measured?.walDirectoryBytes, undefined)
  })

  test('no backup for 26 hours', async () => {
    const report = await look({ laterMs: 26 * HOUR_MS })
    assert.equal(report.verdict, 'endangered')
    assertCheck(report, 'backup', { state: 'failed', severity: 'danger' }, /^retake backup$/)
    assert.match(resultOf(report.checks, 'backup')?.finding ?? '', /late: it is 26\.0 hours old, more than 25/)
    const { recency, 'success-rate': rate } = items(report)
    assert.deepEqual([recency, rate], [7.6, 4])
    assert.equal(report.score.value, 55)
    assert.ok(report.recommendations.some(({ fix }) => fix === 'retake backup'))
    assert.equal(report.objectives.find(({ name }) => name === 'rpo-backup')?.state, 'missed')
  })

  test('schedules that are configured: kept, then not; what was due is what the success rate counts', async () => {
    const { last } = resultOf(healthy.checks, 'backup')?.measured ?? {}
    const begun = new Date(last?.startedAt ?? '')
    const cron = `${begun.getUTCMinutes()} ${begun.getUTCHours()} * * *`
    const schedules = [{ name: 'backup', task: 'backup', cron }] as const
    const kept = await readHealth({ ...options, schedules, clock: at(23 * HOUR_MS) })
    assertCheck(kept, 'schedules', { state: 'passed' })
    const missed = await readHealth({ ...options, schedules, clock: at(26 * HOUR_MS) })
    assertCheck(missed, 'schedules', { state: 'failed', severity: 'danger' }, /^retake schedules/)
    assert.ok(missed.headline.runs.missed >= 1)
    assertCheck(await readHealth({ ...options, schedules: [] }), 'schedules', { state: 'skipped' })
    // Nobody has configured any, but a server keeps the proposed ones.
    const since = (ms: number) => new Map(proposedSchedules.map(({ name }) => [name, new Date(ms)]))
    const nowMs = Date.now() + 200 * HOUR_MS
    const proposed = (ms: number) => readHealth({ ...options, clock: at(200 * HOUR_MS) }, { keptSince: since(ms) })
    assertCheck(await proposed(nowMs), 'schedules', { state: 'passed' })
    assertCheck(await proposed(nowMs - 75 * HOUR_MS), 'schedules', { state: 'failed', severity: 'danger' })
  })

  test('a run that failed', async () => {
    await beginRun(await retake.cluster(), timeOrderedId(new Date(Date.now() + 1000)))
    const report = await look()
    assertCheck(report, 'backup', { state: 'failed', severity: 'warning' }, /^retake backup$/)
    assert.match(resultOf(report.checks, 'backup')?.finding ?? '', /The last run, \S+, failed/)
    assert.equal(report.score.value, 56)
    // The next one cleans up after it.
    await backUp(retake).result
    assert.equal((await look()).score.value, 60)
  })

  test('a critical table is dropped, and another is emptied', async () => {
    await server.query('drop table public.reviews')
    await server.query('delete from public.users')
    await analyze('public.users')
    const report = await look({ earlier: healthy.observation })
    assert.equal(report.verdict, 'endangered')
    const fix = new RegExp(`^retake restore plan --at ${healthy.observation?.at} --to `)
    assertCheck(report, 'critical-tables', { state: 'failed', severity: 'danger' }, fix)
    const { measured, finding } = resultOf(report.checks, 'critical-tables') ?? {}
    assert.match(finding ?? '', /public\.reviews \(high\)/)
    assert.deepEqual(healthy.observation?.configuration, { outside: false })
    assert.equal(report.observation?.disk?.samples.length, 1)
    assert.equal(report.observation.tables.find(({ table }) => table === 'public.users')?.losses?.length, 1)
    assert.deepEqual(
      [measured?.missing, measured?.shrunk],
      [[{ table: 'public.reviews', tier: 'high' }], ['public.users']],
    )
    assert.equal(report.score.value, 57)
    assert.ok(report.score.caps.some(({ name, limit }) => name === 'critical-table-missing' && limit === 69))
    // The log tells as well, and by which transaction.
    const waitMs = 6 * 60_000
    const told = await look({ earlier: healthy.observation, laterMs: waitMs })
    assertCheck(
      told,
      'mass-deletions',
      { state: 'failed', severity: 'warning' },
      /^retake restore merge public\.users --at before-xid:\d+ /,
    )
    assert.deepEqual(
      resultOf(told.checks, 'mass-deletions')?.measured?.incidents.map(({ kind, target, tier }) => [
        kind,
        target,
        tier,
      ]),
      [
        ['drop', 'public.reviews', 'high'],
        ['mass-delete', 'public.users', 'high'],
      ],
    )
    // The look after that one still expects what was expected before.
    await server.query('drop schema public cascade; create schema public')
    const later = await look({ earlier: report.observation })
    assert.equal(resultOf(later.checks, 'critical-tables')?.measured?.expectedBy, 'observed')
    assertCheck(later, 'critical-tables', { state: 'failed', severity: 'danger' })
  })

  test('tables are those of the configuration, where it names them', async () => {
    await server.query('create table public.orders (id int); create table public."Odd name" (id int)')
    const criticalTables = [
      { table: 'public.orders', tier: 'high' },
      { table: 'public.Odd name', tier: 'low' },
    ] as const
    const there = await readHealth({ ...options, criticalTables })
    assertCheck(there, 'critical-tables', { state: 'passed' })
    await server.query('drop table public."Odd name"')
    const gone = await readHealth({ ...options, criticalTables })
    assertCheck(gone, 'critical-tables', { state: 'failed', severity: 'warning' })
    const free = await readHealth({ ...options, criticalTables: [] })
    assertCheck(free, 'critical-tables', { state: 'skipped' })
    assert.equal(items(free)['critical-tables'], 3)
    const nobody = await look()
    assertCheck(nobody, 'critical-tables', { state: 'skipped' }, /criticalTables/)
    assert.equal(items(nobody)['critical-tables'], 0)
  })

  test('a repository in two places, one of which goes away', async () => {
    const mirrors = [{ name: 'north', url: temp.join('north'), place: 'north', offsite: true }]
    const two = { ...options, cluster: 'two', repo: temp.join('two'), place: 'here', mirrors }
    await initialise(two)
    await using opened = await openRetake(two)
    await backUp(opened).result
    const both = await readHealth(opened)
    assertCheck(both, 'mirrors', { state: 'passed' })
    assert.equal(items(both).copies, 4)
    await rename(temp.join('north'), temp.join('away'))
    const one = await readHealth(two)
    assertCheck(one, 'mirrors', { state: 'failed', severity: 'warning' }, /^retake repo mirrors$/)
    assertCheck(one, 'repository', { state: 'passed' })
    assert.equal(items(one).copies, 0)
    assert.ok(one.score.lost.some(({ item, reason }) => item === 'copies' && reason.includes('a copy off-site')))
  })

  test('nobody receives: exact while nobody works, and behind as soon as somebody does', async () => {
    await server.query('select pg_switch_wal()')
    receiver.abort()
    await receiver.result.catch(() => {})
    await receiveWal(retake, { until: { kind: 'caught-up' } }).result
    const earlier = (await look()).observation
    // WAL that no transaction has written, as checkpoints do.
    await server.query("select pg_logical_emit_message(false, 'idle', 'x'); select pg_switch_wal()")
    const idle = await look({ earlier, laterMs: 0 })
    assert.deepEqual(
      [resultOf(idle.checks, 'exposure')?.measured?.state, resultOf(idle.checks, 'exposure')?.measured?.exposureMs],
      ['idle', 0],
    )
    assert.equal(items(idle)['pitr-availability'], 3.5)
    assert.ok(
      idle.score.lost.some(({ item, fix }) => item === 'pitr-availability' && fix.startsWith('retake wal receive')),
    )
    await server.query('create table public.work (id int)')
    const busy = resultOf((await look({ earlier })).checks, 'exposure')
    assert.equal(busy?.measured?.state, 'behind')
  })

  test('the slot is lost', async () => {
    await server.restart({ max_slot_wal_keep_size: '1MB' })
    for (let count = 0; count < 4; count++) {
      await server.query("select pg_logical_emit_message(true, 'more', 'x'); select pg_switch_wal()")
    }
    await server.query('checkpoint')
    const report = await look()
    assert.equal(report.verdict, 'endangered')
    assertCheck(
      report,
      'slot',
      { state: 'failed', severity: 'danger' },
      /pg_drop_replication_slot.*retake init && retake backup/,
    )
    assert.equal(report.score.value, 40)
    const [first] = report.recommendations
    assert.deepEqual([first?.liftsCap, first?.fix.includes('retake init')], [40, true])
  })

  test('the repository is gone', async () => {
    await rename(temp.join('repo'), temp.join('moved'))
    const report = await look()
    assert.equal(report.verdict, 'endangered')
    assertCheck(report, 'repository', { state: 'failed', severity: 'danger' }, /./)
    assert.equal(resultOf(report.checks, 'repository')?.code, 'repo.missing')
    for (const name of ['backup', 'wal', 'keys', 'retention'] as const) assertCheck(report, name, { state: 'unknown' })
    assert.ok(report.score.value !== undefined && report.score.value <= 30, String(report.score.value))
    assert.equal(report.score.caps[0]?.name, 'repository-unreachable')
    const opened = await readHealth(retake)
    assertCheck(opened, 'repository', { state: 'failed', severity: 'danger' })
    await rename(temp.join('moved'), temp.join('repo'))
  })

  test('the database is down, and then the repository as well', async () => {
    await server.stop()
    const report = await look()
    assert.equal(report.verdict, 'endangered')
    assertCheck(report, 'connectivity', { state: 'failed', severity: 'danger' }, /./)
    assert.equal(resultOf(report.checks, 'connectivity')?.code, 'postgres.unreachable')
    for (const name of ['exposure', 'slot', 'critical-tables', 'clock'] as const)
      assertCheck(report, name, { state: 'unknown' })
    assertCheck(report, 'backup', { state: 'passed' })
    assert.ok(report.score.value !== undefined && report.score.value <= 40)
    assert.ok(report.score.lost.some(({ item }) => item === 'exposure'))
    assert.equal(report.observation, undefined)
    const text = await runCli(['health'], env, temp.path)
    assert.equal(text.code, 40, text.stderr)
    assert.match(text.stdout, /^cluster +main: ENDANGERED/)
    assert.match(text.stdout, /FAILED {3}Database answers: /)
    const none = await readHealth({ ...options, repo: temp.join('nowhere') })
    assert.equal(none.score.value, 0, 'nothing is known, so nothing counts')
  })
})
