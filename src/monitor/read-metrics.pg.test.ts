/** Metrics of a real server through good and bad hours: each value changes as what it measures does. */
import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import { readFile, rename, symlink } from 'node:fs/promises'
import { after, before, describe, mock, test } from 'node:test'
import { waitStreaming } from '../../test/support/lab.ts'
import { startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { makeTemp, type TempDirectory } from '../../test/support/temp.ts'
import { runCli } from '../cli/testing/run-cli.ts'
import { backUp } from '../engine/backup.ts'
import { initialise } from '../engine/initialise.ts'
import { openRetake, type Retake, type RetakeOptions } from '../engine/open.ts'
import type { Operation } from '../engine/operation.ts'
import { receiveWal } from '../engine/receive-wal.ts'
import { verify } from '../engine/verify.ts'
import { serverAccount } from '../postgres/server/account.ts'
import { generateKey } from '../repository/keys/key-material.ts'
import { formatKeyText } from '../repository/keys/key-text.ts'
import { DirectoryStore } from '../storage/directory-store.ts'
import { renderMetrics } from './metrics/render.ts'
import { readHealth } from './read-health.ts'
import { readMetrics } from './read-metrics.ts'

type Samples = ReadonlyMap<string, number>

describe('metrics, hour by hour', () => {
  let server: TestServer
  let temp: TempDirectory
  let options: RetakeOptions
  let retake: Retake
  let receiver: Operation<unknown>
  let env: Record<string, string>

  before(async () => {
    server = await startTestServer({ settings: { max_slot_wal_keep_size: '1GB', autovacuum: 'off' } })
    temp = makeTemp({ label: 'metrics', owner: serverAccount() })
    const key = formatKeyText(generateKey().bytes)
    const criticalTables = [
      { table: 'public.orders', tier: 'high' },
      { table: 'public.Odd "name"', tier: 'low' },
    ] as const
    options = {
      repo: temp.join('repo'),
      key,
      databaseUrl: server.url,
      postgresBinDirectory: server.binDir,
      criticalTables,
    }
    env = {
      RETAKE_REPO: temp.join('repo'),
      RETAKE_KEY: key,
      RETAKE_DATABASE_URL: server.url,
      RETAKE_CRITICAL_TABLES: 'public.orders=high',
    }
    await initialise(options)
    retake = await openRetake(options)
    receiver = receiveWal(retake)
    receiver.result.catch(() => {})
    await waitStreaming(server)
    await server.query('create table public.orders as select n as id from generate_series(1, 100) n')
    await server.query('create table public."Odd ""name""" (id int)')
    // What the session has not reported yet would be counted beside what is analysed.
    await server.query('select pg_stat_force_next_flush()')
    await server.query('analyze public.orders')
  })

  after(async () => {
    receiver?.abort()
    await receiver?.result.catch(() => {})
    await retake?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
    await temp?.[Symbol.asyncDispose]()
  })

  async function look(): Promise<Samples> {
    return parse(renderMetrics(await readMetrics(options)))
  }

  /** Only the values of these samples. */
  const pick = (samples: Samples, names: readonly string[]) => names.map((name) => samples.get(name))

  test('before the first backup there is nothing to recover from, and nothing is made up', async () => {
    const samples = await look()
    assert.deepEqual(
      pick(samples, [
        'retake_server_up{cluster="main"}',
        'retake_repo_up{cluster="main"}',
        'retake_backups{cluster="main",state="usable"}',
        'retake_backup_last_run{cluster="main",result="none"}',
        'retake_pitr_available{cluster="main"}',
        'retake_health_score{cluster="main"}',
        'retake_window_begin_timestamp_seconds{cluster="main"}',
        'retake_backup_last_completion_timestamp_seconds{cluster="main",backup_type="full"}',
      ]),
      [1, 1, 0, 1, 0, 0, undefined, undefined],
    )
  })

  test('after two backups and a verification', async () => {
    const first = await backUp(retake).result
    const unverified = await look()
    assert.deepEqual(
      pick(unverified, [
        'retake_verify_last_backup{cluster="main"}',
        'retake_verify_last_timestamp_seconds{cluster="main",depth="any"}',
      ]),
      [0, undefined],
    )
    await verify(retake).result
    const second = await backUp(retake).result
    const samples = await look()
    const { backupId, startedAt, stoppedAt, totalBytes, storedBytes } = second.backup
    const labels = `cluster="main",backup_name="${backupId}",backup_type="incremental"`
    assert.deepEqual(
      pick(samples, [
        'retake_backups{cluster="main",state="usable"}',
        'retake_pitr_available{cluster="main"}',
        'retake_receiver_up{cluster="main"}',
        'retake_slot_active{cluster="main",slot="retake_main"}',
        'retake_wal_gaps{cluster="main",kind="open"}',
        'retake_check_state{cluster="main",check="backup",state="passed"}',
        `retake_backup_size_bytes{${labels}}`,
        `retake_backup_repo_delta_bytes{${labels}}`,
        `retake_backup_duration_seconds{${labels}}`,
        'retake_backup_last_completion_timestamp_seconds{cluster="main",backup_type="incremental"}',
        'retake_backup_last_completion_timestamp_seconds{cluster="main",backup_type="full"}',
        'retake_window_begin_timestamp_seconds{cluster="main"}',
        'retake_verify_last_backup{cluster="main"}',
        'retake_verify_damage{cluster="main"}',
        'retake_critical_table_rows{cluster="main",database="postgres",table="public.orders",tier="high"}',
        'retake_critical_table_exists{cluster="main",database="postgres",table="public.Odd \\"name\\"",tier="low"}',
      ]),
      [
        2,
        1,
        1,
        1,
        0,
        1,
        totalBytes,
        storedBytes,
        (Date.parse(stoppedAt) - Date.parse(startedAt)) / 1000,
        Date.parse(stoppedAt) / 1000,
        Date.parse(first.backup.stoppedAt) / 1000,
        Date.parse(first.backup.stoppedAt) / 1000,
        0,
        0,
        100,
        1,
      ],
    )
    const info = [...samples.keys()].filter((key) => key.startsWith('retake_backup_info{'))
    assert.equal(info.length, 2)
    assert.match(info.at(-1) ?? '', new RegExp(`prior="${first.backup.backupId}"`))
    assert.ok((samples.get('retake_verify_last_timestamp_seconds{cluster="main",depth="any"}') ?? 0) > 0)
    assert.equal(samples.has('retake_verify_last_timestamp_seconds{cluster="main",depth="deep"}'), false)
  })

  test('the command: on stdout, as JSON, into a file that is replaced', async () => {
    const text = await runCli(['metrics'], env, temp.path)
    assert.equal(text.code, 0, text.stderr)
    assert.equal(parse(text.stdout).get('retake_backups{cluster="main",state="usable"}'), 2)
    const json = (await runCli(['metrics', '--json', '--backups', '0'], env, temp.path)).json<{
      families: { name: string }[]
    }>()
    assert.ok(json.families.some(({ name }) => name === 'retake_backups'))
    assert.ok(json.families.every(({ name }) => name !== 'retake_backup_info'))
    const out = ['metrics', '--out', 'retake.prom', '--observation', 'seen.json']
    const written = await runCli(out, env, temp.path)
    assert.deepEqual([written.code, written.stdout, written.stderr], [0, '', ''])
    const file = temp.join('retake.prom')
    assert.equal(statSync(file).mode & 0o777, 0o644 & ~process.umask(), 'the collector is another user')
    const earlier = await readFile(file, 'utf8')
    assert.equal((await runCli([...out, '--openmetrics'], env, temp.path)).code, 0)
    const later = await readFile(file, 'utf8')
    assert.ok(later.endsWith('# EOF\n') && !earlier.includes('# EOF'))
    assert.deepEqual(readdirSync(temp.path).sort(), ['repo', 'retake.prom', 'seen.json'])
  })

  test('the command refuses what it would destroy, and says what it could not write', async () => {
    await symlink('/dev/null', temp.join('null'))
    for (const file of ['null', '.']) {
      const refused = await runCli(['metrics', '--out', file], env, temp.path)
      assert.equal(refused.code, 2, refused.stderr)
      assert.match(refused.stderr, /no regular file/)
    }
    const lost = await runCli(['metrics', '--out', 'nowhere/retake.prom'], env, temp.path)
    assert.equal(lost.code, 2)
    assert.match(lost.stderr, /could not be written \(ENOENT\)/)
    const bad = await runCli(['metrics', '--observation', 'retake.prom'], env, temp.path)
    assert.equal(bad.code, 2, 'what is no observation is not overwritten')
    assert.match(await readFile(temp.join('retake.prom'), 'utf8'), /# EOF/)
  })

  test('the receiver stops, and somebody goes on working', async () => {
    receiver.abort()
    await receiver.result.catch(() => {})
    await receiveWal(retake, { until: { kind: 'caught-up' } }).result
    const { observation: earlier } = await readMetrics(options)
    await server.query('insert into public.orders values (101); select pg_switch_wal()')
    const samples = parse(renderMetrics(await readMetrics(options, { earlier })))
    assert.deepEqual(
      pick(samples, [
        'retake_receiver_up{cluster="main"}',
        'retake_slot_active{cluster="main",slot="retake_main"}',
        'retake_slot_exists{cluster="main",slot="retake_main"}',
        'retake_pitr_available{cluster="main"}',
      ]),
      [0, 0, 1, 1],
    )
    assert.ok((samples.get('retake_rpo_seconds{cluster="main"}') ?? 0) > 0)
    assert.ok((samples.get('retake_rpo_bytes{cluster="main"}') ?? 0) > 0)
    assert.ok((samples.get('retake_slot_held_bytes{cluster="main",slot="retake_main"}') ?? 0) > 0)
  })

  test('a critical table is dropped', async () => {
    await server.query('drop table public.orders')
    const samples = await look()
    const labels = '{cluster="main",database="postgres",table="public.orders",tier="high"}'
    assert.deepEqual(
      pick(samples, [
        `retake_critical_table_exists${labels}`,
        `retake_critical_table_rows${labels}`,
        'retake_verdict{cluster="main",verdict="endangered"}',
        'retake_check_state{cluster="main",check="critical-tables",state="danger"}',
        'retake_health_cap{cluster="main",cap="critical-table-missing"}',
      ]),
      [0, undefined, 1, 1, 69],
    )
  })

  test('nothing is read of the repository besides what the checks read', async () => {
    const calls: string[] = []
    const methods = ['get', 'head', 'list', 'create', 'replace', 'delete'] as const
    for (const name of methods) {
      const original: (...args: never[]) => unknown = DirectoryStore.prototype[name]
      mock.method(DirectoryStore.prototype, name, function (this: DirectoryStore, ...args: unknown[]) {
        calls.push(`${name} ${String(args[0])}`)
        return Reflect.apply(original, this, args)
      })
    }
    try {
      await readHealth(options)
      const ofHealth = calls.splice(0).sort()
      await readMetrics(options)
      assert.ok(ofHealth.length > 10, 'the calls are seen')
      assert.deepEqual(calls.sort(), ofHealth)
    } finally {
      mock.restoreAll()
    }
  })

  test('the slot is dropped', async () => {
    await server.query("select pg_drop_replication_slot('retake_main')")
    const samples = await look()
    assert.deepEqual(
      pick(samples, [
        'retake_slot_exists{cluster="main",slot="retake_main"}',
        'retake_slot_held_bytes{cluster="main",slot="retake_main"}',
        'retake_pitr_available{cluster="main"}',
      ]),
      [0, undefined, 0],
    )
  })

  test('the repository is gone: what it held is unknown, not 0', async () => {
    await rename(temp.join('repo'), temp.join('moved'))
    const samples = await look()
    assert.deepEqual(pick(samples, ['retake_repo_up{cluster="main"}', 'retake_server_up{cluster="main"}']), [0, 1])
    const kept = /^retake_(backup_|backups|window|wal_gaps|pitr|rpo|verify|retention|keys|receiver_up)/
    assert.deepEqual(
      [...samples.keys()].filter((key) => kept.test(key)),
      [],
    )
    await rename(temp.join('moved'), temp.join('repo'))
  })

  test('the database is down: the file says so, and what the last look saw stays', async () => {
    const seen = await readFile(temp.join('seen.json'), 'utf8')
    await server.stop()
    const written = await runCli(['metrics', '--out', 'retake.prom', '--observation', 'seen.json'], env, temp.path)
    assert.equal(written.code, 0, written.stderr)
    const samples = parse(await readFile(temp.join('retake.prom'), 'utf8'))
    assert.equal(samples.get('retake_server_up{cluster="main"}'), 0)
    assert.equal(samples.get('retake_backups{cluster="main",state="usable"}'), 2)
    const now = /^retake_(rpo_seconds|slot_|critical_table|server_info|server_latency|clock)/
    assert.deepEqual(
      [...samples.keys()].filter((key) => now.test(key)),
      [],
    )
    assert.equal(await readFile(temp.join('seen.json'), 'utf8'), seen)
  })
})

function parse(text: string): Samples {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}
