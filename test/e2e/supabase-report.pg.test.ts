/**
 * The backup strategy's own calls, exactly as it shows them, against the test server of the Management API and a real
 * PostgreSQL behind the REST endpoint: every value is compared with its source.
 */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { installCineTrack } from '../../src/demo/cinetrack/install.ts'
import { readStatus } from '../../src/engine/status.ts'
import { backUp, initialise, openRetake, receiveWal } from '../../src/index.ts'
import type { ManagementTestServer } from '../../src/supabase/test-server/server.ts'
import { startManagementServer } from '../../src/supabase/test-server/server.ts'
import {
  type BackupManagerOptions,
  BackupMonitor,
  CINETRACK_TABLES,
  DatabaseBackupManager,
} from '../../src/supabase.ts'
import '../support/leaks.ts'
import { makeLightProject, runScript } from '../support/light-package.ts'
import { startTestServer, type TestServer } from '../support/postgres.ts'
import { keyOf, type PostgrestServer, startPostgrest } from '../support/postgrest.ts'
import { makeTemp } from '../support/temp.ts'

const REF = 'abcdefghijklmnopqrst'
const DAY_MS = 86_400_000

let server: TestServer
let rest: PostgrestServer
let management: ManagementTestServer

before(async () => {
  server = await startTestServer({ settings: { archive_mode: 'on', archive_command: '/bin/true' }, ownIdentity: true })
  await installCineTrack({ target: server.target, scale: 0.02 })
  await server.query('grant anon, authenticated, service_role to postgres')
  rest = await startPostgrest(server.target)
  const now = Math.floor(Date.now() / 1000)
  management = await startManagementServer({
    projects: [
      {
        ref: REF,
        name: 'CineTrack',
        region: 'eu-central-1',
        backups: { mode: 'pitr', days: 7, earliestUnix: now - 7 * 86_400, latestUnix: now - 60 },
        query: runSql,
      },
    ],
  })
})

after(async () => {
  await management?.close()
  await rest?.close()
  await server?.[Symbol.asyncDispose]()
})

const managerFor = (role: string, options: BackupManagerOptions = {}) =>
  new DatabaseBackupManager(rest.url, keyOf(role), REF, {
    managementToken: management.token,
    managementUrl: management.url,
    ...options,
  })

/** One after the other: they share a connection. */
let lastQuery: Promise<unknown> = Promise.resolve()
function runSql(sql: string): Promise<object[]> {
  const result = lastQuery.then(() => server.query(sql))
  lastQuery = result.catch(() => {})
  return result
}

const rowsOf = async (table: string) =>
  Number((await server.query<{ n: string }>(`select count(*) as n from public.${table}`))[0]?.n)

describe('every value and its source', () => {
  test('the service key sees every row, the catalog and the API the rest', async () => {
    const report = await managerFor('service_role').generateBackupReport()
    const project = management.project(REF)
    assert.equal(report.projectId, REF)
    assert.equal(report.projectName, project.name)
    assert.equal(report.region, project.region)
    assert(project.backups.mode === 'pitr')
    assert.equal(report.lastBackup?.timestamp, new Date(project.backups.latestUnix * 1000).toISOString())
    assert.equal(report.pointInTimeRecoveryEnabled, true)
    assert.equal(report.backupRetentionDays, project.backups.days)
    assert.equal(report.backupSchedule, project.scheduleFor)
    assert.equal(report.connectivity.connected, true)
    assert(typeof report.connectivity.latencyMs === 'number' && report.connectivity.latencyMs > 0)
    assert.equal(report.criticalTables.valid, true)
    assert.equal(report.criticalTables.tables.length, CINETRACK_TABLES.length)
    for (const { name, rows, rowsAre, rowsSeenBy } of report.criticalTables.tables) {
      assert.deepEqual([rows, rowsAre, rowsSeenBy], [await rowsOf(name), 'exact', 'service_role'], name)
    }
    assert(report.criticalTables.tables.some(({ rows }) => typeof rows === 'number' && rows > 0))
    for (const [name, { source, reason }] of Object.entries(report.sources)) {
      if (name === 'retake') assert.match(reason ?? '', /No address of Retake/)
      else assert.notEqual(source, 'none', `${name}: ${reason}`)
    }
  })

  test('the archiver is the one of the server', async () => {
    await server.query('create table if not exists public.scratch (n int); insert into public.scratch values (1)')
    await server.query('select pg_switch_wal()')
    let success: { readonly points: number | 'unknown'; readonly reason: string } | undefined
    for (const deadline = Date.now() + 20_000; Date.now() < deadline && success?.points !== 30; ) {
      const { health } = await managerFor('service_role').generateBackupReport()
      success = health.parts.find(({ name }) => name === 'success')
    }
    const [archiver] = await server.query<{ n: string }>('select archived_count as n from pg_stat_archiver')
    assert.match(success?.reason ?? '', /^Archiving of WAL works: \d+ segments/)
    assert(Number(archiver?.n) > 0)
  })

  test('the anon key is told apart: what row-level security hides is counted as hidden', async () => {
    const { tables } = await managerFor('anon').validateCriticalTables()
    const hidden = tables.filter(({ rowsSeenBy }) => rowsSeenBy === 'anon')
    const denied = tables.filter(({ rows }) => rows === 'unknown')
    assert.equal(hidden.length + denied.length, tables.length)
    assert(tables.every(({ state }) => state === 'present'))
    let hides = false
    for (const { name, rows } of tables) hides ||= rows === 'unknown' || rows < (await rowsOf(name))
    assert(hides, 'row-level security hid nothing')
  })

  test('a role that may not take long gets an estimate that is called one', async () => {
    try {
      await server.query(
        `create table public.slow (n int);
         insert into public.slow select generate_series(1, 5000);
         analyze public.slow;
         alter table public.slow enable row level security;
         grant all on public.slow to anon, service_role;
         create policy slow on public.slow to anon using (pg_sleep(0.001) is not null);
         alter role anon set statement_timeout = '200ms'`,
      )
      await rest.reload()
      const tables = [{ name: 'slow', tier: 'high' } as const]
      const { tables: seen } = await managerFor('anon', { tables }).validateCriticalTables()
      assert.equal(seen[0]?.state, 'present')
      assert.equal(seen[0]?.rowsAre, 'estimated')
    } finally {
      await server.query(`alter role anon set statement_timeout = '3s'; drop table public.slow`)
      await rest.reload()
    }
  })

  test('a critical table that is dropped is missing, also while the endpoint still remembers it', async () => {
    await server.query('alter table public.episode_tracking rename to episode_tracking_away')
    try {
      const remembered = await managerFor('service_role').validateCriticalTables()
      assert.deepEqual([remembered.valid, remembered.missing], [false, ['public.episode_tracking']])
      await rest.reload()
      const report = await managerFor('service_role').generateBackupReport()
      assert.deepEqual(report.criticalTables.missing, ['public.episode_tracking'])
      assert.match(report.recommendations[0] ?? '', /Critical tables are missing: public\.episode_tracking/)
    } finally {
      await server.query('alter table public.episode_tracking_away rename to episode_tracking')
    }
    // It is there again, and only the endpoint does not know yet: the catalog has the last word.
    const again = await managerFor('service_role').validateCriticalTables()
    assert.equal(again.valid, true)
    assert.match(again.tables.find(({ name }) => name === 'episode_tracking')?.reason ?? '', /does not expose it/)
    await rest.reload()
  })
})

test('Retake protects the same server, and its status is part of the report', async () => {
  await using temp = makeTemp({ label: 'supabase-retake' })
  const options = { repo: temp.join('repo'), passphrase: 'only for this test', databaseUrl: server.url, env: {} }
  await initialise(options)
  await using retake = await openRetake(options)
  const { backup } = await backUp(retake).result
  await receiveWal(retake, { until: { kind: 'caught-up' } }).result
  const status = await readStatus(retake)
  const published = createServer((_request, response) => {
    response.end(JSON.stringify({ schemaVersion: 1, ...status }))
  })
  await new Promise<void>((resolve) => published.listen(0, '127.0.0.1', resolve))
  try {
    management.project(REF).backups = {
      mode: 'daily',
      rows: [2, 3].map((days) => ({
        id: days,
        is_physical_backup: true,
        status: 'COMPLETED',
        inserted_at: new Date(Date.now() - days * DAY_MS).toISOString(),
      })),
    }
    const retakeUrl = `http://127.0.0.1:${(published.address() as AddressInfo).port}/status.json`
    const report = await managerFor('service_role', { retakeUrl }).generateBackupReport()
    assert.deepEqual(report.lastBackup, {
      timestamp: backup.stoppedAt,
      status: 'success',
      type: 'unknown',
      by: 'retake',
    })
    assert.equal(report.pointInTimeRecoveryEnabled, true)
    assert.equal(report.sources.pointInTimeRecoveryEnabled?.source, 'retake')
    assert.equal(report.health.parts.find(({ name }) => name === 'recency')?.points, 30)
  } finally {
    published.closeAllConnections()
    published.close()
  }
})

test('a script as the backup strategy shows it, with nothing but the package, on the oldest Node', async () => {
  await using project = await makeLightProject()
  const script = `import { BackupMonitor, DatabaseBackupManager, RecoveryProcedures } from 'retake/supabase'
const { supabaseUrl, supabaseKey, projectId, managementToken, managementUrl } = process.env

// Monitor backup status and generate reports
const manager = new DatabaseBackupManager(
  supabaseUrl,
  supabaseKey,
  projectId,
  { managementToken, managementUrl },
);

const report = await manager.generateBackupReport();

// Log backup status in development
await BackupMonitor.logBackupStatus();

// Format reports for human consumption
const formattedReport = BackupMonitor.formatReport(report);
console.log(formattedReport)
console.log(JSON.stringify([
  await manager.checkPointInTimeRecovery(), await manager.getBackupRetentionPolicy(), await manager.getLastBackupStatus(),
  await manager.testDatabaseConnectivity(), await manager.validateCriticalTables(),
]).length > 100)
console.log(RecoveryProcedures.getRecoveryInstructions().length, RecoveryProcedures.getEmergencyContacts().length,
  RecoveryProcedures.getTestingChecklist().length)
`
  const supabaseKey = keyOf('service_role')
  const { stdout, stderr, status } = await runScript(project, {
    script,
    env: {
      supabaseUrl: rest.url,
      supabaseKey,
      projectId: REF,
      managementToken: management.token,
      managementUrl: management.url,
      // For the call without arguments.
      SUPABASE_URL: rest.url,
      SUPABASE_ANON_KEY: keyOf('anon'),
    },
  })
  assert.equal(status, 0, stderr)
  const [logged = '', formatted = ''] = stdout.split(/(?=Backup report for CineTrack)/)
  assert.match(logged, /^Backup report for unknown[\s\S]*Health score: unknown\. .*No management token was given/)
  assert.match(formatted, /Database answers: yes \([\d.]+ ms\)\nCritical tables: yes/)
  assert.match(formatted, new RegExp(`public\\.reviews \\(high\\): ${await rowsOf('reviews')} rows as service_role`))
  assert.match(formatted, /\ntrue\n6 4 10\n$/)
  assert(!`${stdout}${stderr}`.includes(supabaseKey) && !stdout.includes(management.token))
})

test('a database that is gone is told as gone, and what others know stays known', async () => {
  await server.stop('immediate')
  const report = await managerFor('service_role').generateBackupReport()
  assert.equal(report.connectivity.connected, false)
  assert.equal(report.criticalTables.valid, 'unknown')
  assert.equal(report.projectName, 'CineTrack')
  assert.match(BackupMonitor.formatReport(report), /Database answers: NO/)
  assert.match(report.recommendations[0] ?? '', /The database does not answer/)
})
