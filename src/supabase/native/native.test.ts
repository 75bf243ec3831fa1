import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Clock } from '../../base/clock.ts'
import { SupabaseManagement } from '../management/api.ts'
import type { Fault } from '../test-server/faults.ts'
import type { TestBackupRow, TestBackups, TestProjectOptions } from '../test-server/project.ts'
import { type ManagementServerOptions, startManagementServer } from '../test-server/server.ts'
import { judgeNative } from './judge.ts'
import { type NativeState, readNativeState } from './state.ts'

const REF = 'abcdefghijklmnopqrst'
const NOW_MS = Date.parse('2026-11-22T09:00:00Z')
const HOUR_S = 3600

const clock: Clock = { now: () => new Date(NOW_MS), monotonicMs: () => NOW_MS }

const row = (hoursAgo: number, more: Partial<TestBackupRow> = {}): TestBackupRow => ({
  id: 1000 - hoursAgo,
  is_physical_backup: true,
  status: 'COMPLETED',
  inserted_at: new Date(NOW_MS - hoursAgo * HOUR_S * 1000).toISOString(),
  ...more,
})

const pitr = (latestHoursAgo: number): TestBackups => ({
  mode: 'pitr',
  days: 14,
  earliestUnix: NOW_MS / 1000 - 13 * 24 * HOUR_S,
  latestUnix: NOW_MS / 1000 - latestHoursAgo * HOUR_S,
})

interface Scene extends Partial<TestProjectOptions> {
  readonly faults?: readonly Fault[]
  readonly status?: string
  readonly tokens?: ManagementServerOptions['tokens']
}

async function look({ faults = [], status, tokens, ...project }: Scene): Promise<NativeState> {
  await using server = await startManagementServer({ projects: [{ ref: REF, ...project }], clock, tokens })
  if (status !== undefined) server.project(REF).status = status
  for (const fault of faults) server.fault(fault)
  const options = { timeoutMs: 300, maxAttempts: 1, maxWaitMs: 1000, clock }
  const api = new SupabaseManagement({ token: server.token, url: server.url, ...options })
  const state = await readNativeState(api, { ref: REF, clock })
  assert.deepEqual(server.pendingFaults, [], 'every fault has happened')
  assert.ok(!JSON.stringify(state).includes(server.token), 'no token in what is shown')
  return state
}

const archiver =
  (row: Record<string, unknown>): NonNullable<TestProjectOptions['query']> =>
  async () => [
    {
      archived_count: 5,
      failed_count: 0,
      last_archived_at: '2026-11-21T09:00:00.000Z',
      last_failed_at: null,
      last_archived_wal: '000000010000000000000004',
      current_wal: '000000010000000000000005',
      segment_size: 16_777_216,
      ...row,
    },
  ]

describe('what Supabase holds', () => {
  test('daily backups: the newest that can be restored counts, and the plan says for how long', async () => {
    const rows = [row(7), row(31), row(55, { is_physical_backup: false }), row(200, { status: 'REMOVED' })]
    const state = await look({ backups: { mode: 'daily', rows }, plan: 'team' })
    assert.equal(state.mode, 'daily')
    assert.deepEqual(state.window, {
      granularity: 'day',
      earliest: '2026-11-20T02:00:00.000Z',
      latest: '2026-11-22T02:00:00.000Z',
    })
    assert.deepEqual([state.ageMs, state.retentionDays, state.projectStatus], [7 * 3_600_000, 14, 'ACTIVE_HEALTHY'])
    assert.deepEqual(
      state.backups.map(({ kind }) => kind),
      ['physical', 'physical', 'logical', 'physical'],
    )
    const { state: verdict, finding } = judgeNative(state)
    assert.equal(verdict, 'passed')
    assert.match(finding, /3 backups, one a day, kept for 14 days; the newest is 7\.0 hours old/)
  })

  test('daily backups that are late, failed or gone', async () => {
    const judge = async (...rows: TestBackupRow[]) => judgeNative(await look({ backups: { mode: 'daily', rows } }))
    assert.match((await judge(row(26))).finding, /26\.0 hours old, more than 25/)
    const failed = await judge(row(1, { status: 'FAILED' }), row(24))
    assert.equal(failed.state, 'failed')
    assert.match(failed.finding, /failed \(FAILED\)\. The one before it is 24\.0 hours old/)
    const gone = await judge(row(200, { status: 'REMOVED' }), row(220, { status: 'ARCHIVED' }))
    assert.match(gone.finding, /none of them can be restored/)
    // A day whose second attempt has succeeded has succeeded.
    assert.equal((await judge(row(1), row(2, { status: 'FAILED' }))).state, 'passed')
  })

  test('walg_enabled is not point-in-time recovery, and an empty list is no backup', async () => {
    const state = await look({ backups: { mode: 'none' }, plan: 'free' })
    assert.deepEqual([state.mode, state.window, state.ageMs, state.retentionDays], ['none', undefined, undefined, 0])
    const judged = judgeNative(state)
    assert.equal(judged.state, 'failed')
    assert.match(judged.finding, /its plan shows none/)
  })

  test('with point-in-time recovery the empty list is no loss', async () => {
    const state = await look({ backups: pitr(0.1) })
    assert.deepEqual([state.mode, state.backups, state.window?.granularity], ['pitr', [], 'second'])
    assert.deepEqual([state.retentionDays, state.lag], [14, undefined])
    assert.equal(judgeNative(state).state, 'passed')
  })

  test('an old latest moment is explained before it is blamed', async () => {
    const idle = await look({ backups: pitr(24), query: archiver({}) })
    assert.deepEqual([idle.lag?.kind, idle.ageMs], ['idle', 0])
    assert.match(judgeNative(idle).finding, /the database was idle since/)

    const waiting = await look({ backups: pitr(24), query: archiver({ current_wal: '000000010000000000000009' }) })
    assert.deepEqual([waiting.lag, waiting.ageMs], [{ kind: 'waiting', segments: 4 }, 86_400_000])
    assert.equal(judgeNative(waiting).state, 'failed')

    const failing = await look({
      backups: pitr(24),
      query: archiver({ last_failed_at: '2026-11-22T08:00:00.000Z' }),
    })
    assert.match(judgeNative(failing).finding, /fails since 2026-11-22T08:00:00\.000Z/)

    const dark = await look({ backups: pitr(24) })
    assert.deepEqual([dark.lag?.kind, dark.ageMs], ['unknown', 86_400_000])
    assert.equal(judgeNative(dark).state, 'unknown', 'what is not known is never green')
  })

  test('a project that is paused, restored or broken is called that', async () => {
    const rows = [row(7)]
    const judged = async (status: string) => judgeNative(await look({ backups: { mode: 'daily', rows }, status }))
    assert.match((await judged('INACTIVE')).finding, /is paused \(INACTIVE\)/)
    assert.equal((await judged('INACTIVE')).state, 'failed')
    assert.equal((await judged('RESTORING')).state, 'unknown')
    assert.equal((await judged('RESTORE_FAILED')).state, 'failed')
    assert.equal((await judged('ACTIVE_UNHEALTHY')).state, 'passed', 'its backups are there all the same')
  })

  const backups: TestBackups = { mode: 'daily', rows: [row(7)] }
  const on = /database\/backups$/
  const faults: readonly [what: string, fault: Fault, code: string, reason: RegExp][] = [
    ['401', { kind: 'answer', status: 401, body: { message: 'Unauthorized' }, on }, 'supabase.denied', /not accepted/],
    ['403', { kind: 'answer', status: 403, body: { message: 'Forbidden' }, on }, 'supabase.denied', /does not allow/],
    ['404', { kind: 'answer', status: 404, body: { message: 'Not found' }, on }, 'supabase.missing', /no such thing/],
    ['429', { kind: 'rate-limit', resetSeconds: 60, on }, 'supabase.rate-limited', /too many requests/],
    ['544', { kind: 'answer', status: 544, body: 'x', on }, 'supabase.failed', /Supabase failed \(544\)/],
    ['an HTML page', { kind: 'html', on }, 'supabase.failed', /titled "Bad gateway"/],
    ['an HTML page with 200', { kind: 'html', status: 200, on }, 'supabase.protocol', /an HTML page/],
    ['a half-open connection', { kind: 'half-open', on }, 'timeout', /did not answer/],
    ['an answer without end', { kind: 'stalled-body', on }, 'timeout', /did not answer/],
    ['a slow answer', { kind: 'slow', delayMs: 5_000, on }, 'timeout', /did not answer/],
    ['a reset', { kind: 'reset', on }, 'supabase.unreachable', /could not be reached/],
    ['half an answer', { kind: 'truncated', on }, 'supabase.unreachable', /could not be reached/],
  ]
  for (const [what, fault, code, reason] of faults) {
    test(`${what} makes it unknown, with the reason`, async () => {
      const state = await look({ backups, faults: [fault] })
      assert.deepEqual([state.mode, state.code, state.backups.length], ['unknown', code, 0])
      assert.match(state.reason ?? '', reason)
      assert.equal(state.projectStatus, 'ACTIVE_HEALTHY', 'what was answered is still told')
      assert.equal(judgeNative(state).state, 'unknown')
    })
  }

  test('a token without the scope for the organization leaves only the retention unknown', async () => {
    const tokens = { [`sbp_${'a'.repeat(40)}`]: ['projects:read', 'database:read'] }
    const state = await look({ backups, tokens })
    assert.deepEqual([state.mode, state.retentionDays], ['daily', 'unknown'])
    assert.match(state.retentionReason ?? '', /does not allow/)
    assert.equal(judgeNative(state).state, 'passed')
  })
})
