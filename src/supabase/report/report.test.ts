/** The whole report against the test server of the Management API; the database's side is in test/e2e, before a real PostgreSQL. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import type { Clock } from '../../base/clock.ts'
import { type BackupManagerOptions, DatabaseBackupManager } from '../manager.ts'
import { BackupMonitor } from '../monitor.ts'
import type { TestBackupRow, TestBackups, TestProjectOptions } from '../test-server/project.ts'
import { startManagementServer } from '../test-server/server.ts'
import type { BackupReport } from './types.ts'

const REF = 'abcdefghijklmnopqrst'
const NOW = '2026-11-22T09:00:00.000Z'
const clock: Clock = { now: () => new Date(NOW), monotonicMs: () => performance.now() }
const KEY = 'sb_secret_0123456789abcdef'

const days = (count: number, change: (day: number) => Partial<TestBackupRow> = () => ({})): TestBackups => ({
  mode: 'daily',
  rows: Array.from({ length: count }, (_, index) => ({
    id: index + 1,
    is_physical_backup: true,
    status: 'COMPLETED' as const,
    inserted_at: new Date(Date.parse('2026-11-22T02:00:00Z') - index * 86_400_000).toISOString(),
    ...change(index),
  })),
})

const unix = (iso: string) => Date.parse(iso) / 1000
const pitr = (latest: string): TestBackups => ({
  mode: 'pitr',
  days: 14,
  earliestUnix: unix('2026-11-08T00:00:00Z'),
  latestUnix: unix(latest),
})

/** A gateway that answers everything as a new table would. */
async function startRest(answer: { status: number; body?: object; range?: string } = { status: 200, range: '0-9/10' }) {
  const server = createServer((request, response) => {
    const headers = answer.range === undefined ? {} : { 'content-range': answer.range }
    response.writeHead(answer.status, headers)
    response.end(request.method === 'HEAD' ? undefined : JSON.stringify(answer.body ?? []))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

async function reportOn(
  project: Partial<TestProjectOptions>,
  options: BackupManagerOptions = {},
): Promise<BackupReport> {
  await using rest = await startRest()
  await using server = await startManagementServer({ projects: [{ ref: REF, ...project }], clock })
  const manager = new DatabaseBackupManager(rest.url, KEY, REF, {
    managementToken: server.token,
    managementUrl: server.url,
    clock,
    ...options,
  })
  return await manager.generateBackupReport()
}

/** As `retake status --json` prints it. */
const retakeStatus = (parts: object = {}) => ({
  schemaVersion: 1,
  cluster: 'main',
  at: NOW,
  verdict: 'ok',
  reasons: [],
  backupCount: 3,
  lastBackup: { backupId: '20261122T060000Z-1f2e3d4c', stoppedAt: '2026-11-22T06:10:00.000Z', ageMs: 1 },
  windows: [
    {
      timeline: 1,
      from: { lsn: '0/3000060', at: '2026-11-15T06:10:00.000Z' },
      to: { lsn: '0/9000060', at: '2026-11-22T08:59:59.000Z' },
      backups: [],
      gaps: [],
    },
  ],
  rpo: { state: 'caught-up', behindBytes: 0, behindMs: 0, explanation: '' },
  gaps: [],
  damage: [],
  ...parts,
})

const serving = (status: object) => ({
  retakeUrl: 'https://retake.example.com/status.json',
  fetch: async (url: string, init: RequestInit) =>
    url.startsWith('https://retake.example.com') ? Response.json(status) : globalThis.fetch(url, init),
})

describe('daily backups', () => {
  test('all well: every part is full, and only the missing rehearsal caps the score', async () => {
    const report = await reportOn({ backups: days(7) })
    assert.equal(report.projectName, 'cinetrack')
    assert.equal(report.region, 'us-east-1')
    assert.deepEqual(report.lastBackup, {
      timestamp: '2026-11-22T02:00:00.000Z',
      status: 'success',
      type: 'automatic',
      by: 'supabase',
    })
    assert.equal(report.backupRetentionDays, 7)
    assert.equal(report.pointInTimeRecoveryEnabled, false)
    assert.equal(report.backupSchedule, '02:00:00')
    assert.equal(report.health.points, 80)
    assert.equal(report.healthScore, 60)
    assert.equal(report.connectivity.connected, true)
    assert.equal(report.criticalTables.valid, true)
    assert.deepEqual(report.recoveryWindows, [
      {
        by: 'supabase',
        granularity: 'day',
        earliest: '2026-11-16T02:00:00.000Z',
        latest: '2026-11-22T02:00:00.000Z',
      },
    ])
  })

  test('a failed one and a missed one are told by their days', async () => {
    const backups = days(7, (day) => (day === 0 ? { status: 'FAILED' } : {}))
    const rows = backups.mode === 'daily' ? backups.rows.filter((_, day) => day !== 3) : []
    const report = await reportOn({ backups: { mode: 'daily', rows } })
    assert.equal(report.lastBackup?.status, 'failed')
    const success = report.health.parts.find(({ name }) => name === 'success')
    assert.equal(success?.reason, '5 of 7 daily backups succeeded; failed on 2026-11-22; missing on 2026-11-19.')
    assert.match(report.recommendations.join('\n'), /The last backup failed at 2026-11-22T02:00:00\.000Z/)
    assert.match(report.recommendations.join('\n'), /No moment of the last 25 hours can be restored/)
  })

  test('one that runs is in progress', async () => {
    const report = await reportOn({ backups: days(3, (day) => (day === 0 ? { status: 'PENDING' } : {})) })
    assert.equal(report.lastBackup?.status, 'in_progress')
  })

  test('the free plan shows none: nothing can be restored, and that is no unknown', async () => {
    const report = await reportOn({ plan: 'free' })
    assert.equal(report.lastBackup, undefined)
    assert.equal(report.healthScore, 0)
    assert.equal(report.backupRetentionDays, 0)
    assert.equal(report.backupSchedule, 'unknown')
    assert.match(report.sources.backupSchedule?.reason ?? '', /plan does not include this/)
  })
})

describe('point-in-time recovery', () => {
  const archived = (parts: object) => async () => [
    {
      last_archived_at: '2026-11-20T02:00:00.000Z',
      last_failed_at: null,
      archived_count: 99,
      failed_count: 0,
      last_archived_wal: '000000010000000000000004',
      current_wal: '000000010000000000000005',
      segment_size: 16_777_216,
      ...parts,
    },
  ]
  const recencyOf = ({ health }: BackupReport) => health.parts.find(({ name }) => name === 'recency')

  test('the retention is that of the add-on', async () => {
    const report = await reportOn({ backups: pitr('2026-11-22T08:58:30Z'), query: archived({}) })
    assert.equal(report.pointInTimeRecoveryEnabled, true)
    assert.equal(report.backupRetentionDays, 14)
    assert.equal(report.lastBackup?.type, 'point_in_time')
    assert.equal(report.health.points, 100)
  })

  test('an old latest moment of an idle database is no age', async () => {
    const report = await reportOn({ backups: pitr('2026-11-20T02:00:00Z'), query: archived({}) })
    assert.equal(recencyOf(report)?.points, 30)
    assert.match(recencyOf(report)?.reason ?? '', /idle/)
  })

  test('of one that writes, it is', async () => {
    const report = await reportOn({
      backups: pitr('2026-11-20T02:00:00Z'),
      query: archived({ current_wal: '000000010000000000000009' }),
    })
    assert.equal(recencyOf(report)?.points, 0)
  })

  test('where the archiver cannot be asked the age counts, and success is unknown', async () => {
    const report = await reportOn({ backups: pitr('2026-11-20T02:00:00Z') })
    assert.equal(recencyOf(report)?.points, 0)
    const success = report.health.parts.find(({ name }) => name === 'success')
    assert.equal(success?.points, 'unknown')
    assert.match(success?.reason ?? '', /no database is attached/)
  })

  test('an archiver that fails is a failure', async () => {
    const report = await reportOn({
      backups: pitr('2026-11-22T08:00:00Z'),
      query: archived({ last_failed_at: '2026-11-22T08:30:00.000Z' }),
    })
    const success = report.health.parts.find(({ name }) => name === 'success')
    assert.equal(success?.points, 0)
  })
})

describe('Retake beside it', () => {
  test('gives every second where Supabase gives days, and the newer backup is the last', async () => {
    const report = await reportOn({ backups: days(7) }, serving(retakeStatus()))
    assert.equal(report.pointInTimeRecoveryEnabled, true)
    assert.equal(report.sources.pointInTimeRecoveryEnabled?.source, 'retake')
    assert.equal(report.lastBackup?.by, 'retake')
    assert.equal(report.lastBackup?.timestamp, '2026-11-22T06:10:00.000Z')
    assert.equal(report.health.points, 100)
    assert.equal(report.recoveryWindows.length, 2)
  })

  test('a status of yesterday is not believed', async () => {
    const report = await reportOn({ backups: days(7) }, serving(retakeStatus({ at: '2026-11-21T09:00:00.000Z' })))
    assert.equal(report.retake, 'unknown')
    assert.match(report.sources.retake?.reason ?? '', /1440 minutes old/)
    assert.equal(report.pointInTimeRecoveryEnabled, 'unknown', 'Retake may give it; nobody knows')
  })

  test('a hole in its WAL caps the score', async () => {
    const gap = { code: 'wal.gap', severity: 'danger', message: 'WAL is missing.', fix: 'retake backup' }
    const report = await reportOn({ backups: days(7) }, serving(retakeStatus({ reasons: [gap] })))
    assert.equal(report.healthScore, 40)
    assert.match(report.recommendations[0] ?? '', /^Retake: WAL is missing/)
  })

  test('something else at its address is no status', async () => {
    const report = await reportOn({ backups: days(7) }, serving({ hello: 'world' }))
    assert.match(report.sources.retake?.reason ?? '', /the status\.schemaVersion is missing/)
  })
})

/** What of a report says something about the world, as opposed to what the caller passed in. */
const FINDINGS: Readonly<Record<string, (report: BackupReport) => unknown>> = {
  projectName: ({ projectName }) => projectName,
  projectStatus: ({ projectStatus }) => projectStatus,
  region: ({ region }) => region,
  lastBackup: ({ lastBackup }) => lastBackup?.status,
  backupRetentionDays: ({ backupRetentionDays }) => backupRetentionDays,
  pointInTimeRecoveryEnabled: ({ pointInTimeRecoveryEnabled }) => pointInTimeRecoveryEnabled,
  healthScore: ({ healthScore }) => healthScore,
  connectivity: ({ connectivity }) => connectivity.connected,
  criticalTables: ({ criticalTables }) => criticalTables.valid,
  recoveryWindows: ({ recoveryWindows }) => recoveryWindows,
  backupSchedule: ({ backupSchedule }) => backupSchedule,
  native: ({ native }) => native,
  retake: ({ retake }) => retake,
}

function assertAllUnknown(report: BackupReport): void {
  for (const [name, find] of Object.entries(FINDINGS)) {
    assert.equal(find(report), 'unknown', name)
    assert(report.sources[name]?.reason, `${name} gives no reason`)
  }
  assert.equal(report.health.band, 'unknown')
  assert.deepEqual(
    report.health.parts.map(({ points }) => points),
    ['unknown', 'unknown', 'unknown', 'unknown'],
  )
  assert(report.criticalTables.tables.every(({ state, rows }) => state === 'unknown' && rows === 'unknown'))
}

describe('what cannot be known', () => {
  const cut: BackupManagerOptions['fetch'] = async () => {
    throw new TypeError('fetch failed', { cause: Object.assign(new Error('no route'), { code: 'ENETUNREACH' }) })
  }

  test('with the network cut everything is unknown, with its reason, and so is the score', async () => {
    const manager = new DatabaseBackupManager('https://x.supabase.co', KEY, REF, {
      managementToken: 'sbp_token',
      retakeUrl: 'https://retake.example.com/status.json',
      fetch: cut,
      clock,
      maxAttempts: 1,
    })
    const report = await manager.generateBackupReport()
    assertAllUnknown(report)
    assert.match(JSON.stringify(report.sources), /ENETUNREACH/)
    const text = BackupMonitor.formatReport(report)
    assert.match(text, /Health score: unknown/)
    assert.match(text, /Last backup: unknown/)
    assert.match(text, /Database answers: unknown/)
    assert.deepEqual(
      {
        pitr: (await manager.checkPointInTimeRecovery()).enabled,
        retention: (await manager.getBackupRetentionPolicy()).days,
        last: (await manager.getLastBackupStatus())?.status,
        database: (await manager.testDatabaseConnectivity()).connected,
        tables: (await manager.validateCriticalTables()).valid,
      },
      { pitr: 'unknown', retention: 'unknown', last: 'unknown', database: 'unknown', tables: 'unknown' },
    )
  })

  test('the key alone tells of the database and of nothing else', async () => {
    await using rest = await startRest()
    const report = await new DatabaseBackupManager(rest.url, KEY, REF, { clock }).generateBackupReport()
    assert.equal(report.connectivity.connected, true)
    assert.equal(report.criticalTables.valid, true)
    for (const name of [
      'projectName',
      'lastBackup',
      'healthScore',
      'pointInTimeRecoveryEnabled',
      'backupRetentionDays',
    ]) {
      assert.equal(FINDINGS[name]?.(report), 'unknown', name)
      assert.match(report.sources[name]?.reason ?? '', /No management token was given/)
    }
  })

  test('every value of a report has its source, and every source a value', async () => {
    const report = await reportOn({ backups: days(7) }, serving(retakeStatus()))
    const values = Object.keys(report).filter((name) => !['schemaVersion', 'sources'].includes(name))
    assert.deepEqual(Object.keys(report.sources).sort(), values.sort())
  })

  test('no key and no token is in a report, whatever goes wrong', async () => {
    const secrets = { managementToken: 'sbp_5ecret5ecret', retakeToken: 'r3take-t0ken' }
    const manager = new DatabaseBackupManager('https://x.supabase.co', KEY, REF, {
      ...secrets,
      retakeUrl: 'https://retake.example.com/status.json',
      clock,
      fetch: async (_url, init) => {
        const told = JSON.stringify(init.headers)
        return new Response(JSON.stringify({ message: told, code: '42501' }), { status: 400 })
      },
    })
    const text = JSON.stringify(await manager.generateBackupReport())
    for (const secret of [KEY, ...Object.values(secrets)]) assert(!text.includes(secret), secret)
  })

  test('who stops a report gets no report', async () => {
    const manager = new DatabaseBackupManager('https://x.supabase.co', KEY, REF, { fetch: cut, clock })
    await assert.rejects(manager.generateBackupReport({ signal: AbortSignal.abort() }), { code: 'aborted' })
  })
})

describe('refusals of the REST endpoint', () => {
  const cases: readonly (readonly [name: string, answer: { status: number; body: object }, says: unknown[]])[] = [
    ['a wrong key', { status: 401, body: { message: 'Invalid API key' } }, ['unknown', 'unknown']],
    ['a table that is gone', { status: 404, body: { code: 'PGRST205', message: 'no table' } }, ['unknown', false]],
    ['a table that may not be read', { status: 401, body: { code: '42501', message: 'denied' } }, [true, true]],
    ['a database that is down', { status: 503, body: { code: 'PGRST001', message: 'no db' } }, [false, 'unknown']],
    ['a paused project', { status: 540, body: { message: 'paused' } }, [false, 'unknown']],
    ['a gateway that fails', { status: 522, body: {} }, ['unknown', 'unknown']],
  ]
  for (const [name, answer, says] of cases) {
    test(name, async () => {
      await using rest = await startRest(answer)
      const manager = new DatabaseBackupManager(rest.url, KEY, REF, { clock })
      const { connected } = await manager.testDatabaseConnectivity()
      assert.deepEqual([connected, (await manager.validateCriticalTables()).valid], says)
    })
  }
})
