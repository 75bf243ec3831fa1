import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type ArchiverFacts,
  countDays,
  isIdleLag,
  pitrRetentionDays,
  planRetentionDays,
  readArchiverRow,
  restorableBackups,
  viewNativeBackups,
} from './native-backups.ts'
import type { NativeBackups } from './shapes.ts'

const answer = (parts: Partial<NativeBackups> = {}): NativeBackups => ({
  region: 'us-east-1',
  walg_enabled: true,
  pitr_enabled: false,
  backups: [],
  physical_backup_data: {},
  ...parts,
})

const row = (at: string, status = 'COMPLETED', id = 1) => ({ id, status, inserted_at: at, is_physical_backup: true })

describe('what a list of backups means', () => {
  test('WAL-G is no point-in-time recovery, and an empty list is none', () => {
    assert.deepEqual(viewNativeBackups(answer()), { mode: 'none', region: 'us-east-1', backups: [] })
  })

  test('with point-in-time recovery the list is empty and the window tells', () => {
    const view = viewNativeBackups(
      answer({
        pitr_enabled: true,
        physical_backup_data: {
          earliest_physical_backup_date_unix: 1_763_000_000,
          latest_physical_backup_date_unix: 1_763_500_000,
        },
      }),
    )
    assert.equal(view.mode, 'pitr')
    assert.deepEqual(view.window, { earliest: '2025-11-13T02:13:20.000Z', latest: '2025-11-18T21:06:40.000Z' })
  })

  test('dates of physical backups are no window while point-in-time recovery is off', () => {
    const dates = { earliest_physical_backup_date_unix: 1, latest_physical_backup_date_unix: 2 }
    assert.equal(viewNativeBackups(answer({ physical_backup_data: dates })).window, undefined)
  })

  test('newest first; times without an offset are UTC; what is no longer kept cannot be restored', () => {
    const view = viewNativeBackups(
      answer({
        backups: [
          row('2026-11-19T02:00:00', 'REMOVED', 1),
          row('2026-11-20T02:00:00.000Z', 'COMPLETED', 2),
          row('2026-11-21 02:00:00', 'FAILED', 3),
          row('2026-11-22T02:00:00+02:00', 'SOMETHING_NEW', 4),
        ],
      }),
    )
    assert.deepEqual(
      view.backups.map(({ id, at, status }) => [id, at, status]),
      [
        [4, '2026-11-22T00:00:00.000Z', 'unknown'],
        [3, '2026-11-21T02:00:00.000Z', 'failed'],
        [2, '2026-11-20T02:00:00.000Z', 'success'],
        [1, '2026-11-19T02:00:00.000Z', 'unknown'],
      ],
    )
    assert.deepEqual(
      restorableBackups(view).map(({ id }) => id),
      [2],
    )
  })
})

describe('counting days', () => {
  const count = (rows: NativeBackups['backups'], now: string) =>
    countDays(viewNativeBackups(answer({ backups: rows })), new Date(now))

  test('a day whose second attempt succeeded has succeeded', () => {
    const rows = [row('2026-11-20T02:00:00Z', 'FAILED'), row('2026-11-20T03:00:00Z', 'COMPLETED')]
    assert.deepEqual(count(rows, '2026-11-20T12:00:00Z'), { due: 1, succeeded: 1, failed: [], missed: [] })
  })

  test('a day without a backup is missed when it is over, not before', () => {
    const rows = [row('2026-11-19T02:00:00Z'), row('2026-11-21T02:00:00Z')]
    assert.deepEqual(count(rows, '2026-11-22T01:00:00Z'), {
      due: 3,
      succeeded: 2,
      failed: [],
      missed: ['2026-11-20'],
    })
    assert.deepEqual(count(rows, '2026-11-23T00:00:00Z').missed, ['2026-11-20', '2026-11-22'])
  })

  test('one that runs counts neither way; a cancelled one did not succeed; nothing is nothing', () => {
    const rows = [row('2026-11-21T02:00:00Z', 'CANCELLED'), row('2026-11-22T02:00:00Z', 'PENDING')]
    assert.deepEqual(count(rows, '2026-11-22T02:05:00Z'), { due: 1, succeeded: 0, failed: ['2026-11-21'], missed: [] })
    assert.equal(count([], '2026-11-22T02:05:00Z').due, 0)
  })
})

test('retention comes from the selected variant, or from the plan', () => {
  const variant = (id: string) => ({ selected_addons: [{ type: 'pitr', variant: { id } }], available_addons: [] })
  assert.equal(pitrRetentionDays(variant('pitr_14')), 14)
  assert.equal(pitrRetentionDays(variant('pitr_forever')), undefined)
  assert.equal(pitrRetentionDays({ selected_addons: [], available_addons: [] }), undefined)
  const plan = (hasAccess: boolean) => ({
    entitlements: [{ feature: { key: 'backup.retention_days' }, hasAccess, type: 'numeric', config: { value: 14 } }],
  })
  assert.equal(planRetentionDays(plan(true)), 14)
  assert.equal(planRetentionDays(plan(false)), 0)
  assert.equal(planRetentionDays({ entitlements: [] }), undefined)
})

describe('an old latest moment', () => {
  const archiver = (parts: Partial<ArchiverFacts> = {}): ArchiverFacts => ({
    lastArchivedAt: '2026-11-22T02:00:00.000Z',
    lastFailedAt: undefined,
    archivedCount: 10,
    failedCount: 0,
    waitingSegments: 0,
    ...parts,
  })

  test('means an idle database only when nothing waits and the last attempt succeeded', () => {
    assert(isIdleLag(archiver()))
    assert(isIdleLag(archiver({ lastFailedAt: '2026-11-21T02:00:00.000Z' })))
    assert(!isIdleLag(archiver({ lastFailedAt: '2026-11-22T02:00:01.000Z' })))
    assert(!isIdleLag(archiver({ waitingSegments: 1 })))
    assert(!isIdleLag(archiver({ waitingSegments: undefined })))
    assert(!isIdleLag(archiver({ lastArchivedAt: undefined })))
  })

  test('segments are counted by their names, over the end of a log file, on one timeline', () => {
    const waiting = (archived: string, current: string | null, size = 16 * 1024 * 1024) =>
      readArchiverRow({ last_archived_wal: archived, current_wal: current, segment_size: size })?.waitingSegments
    assert.equal(waiting('000000010000000000000004', '000000010000000000000005'), 0)
    assert.equal(waiting('0000000100000000000000FF', '000000010000000100000000'), 0)
    assert.equal(waiting('0000000100000000000000FE', '000000010000000100000001'), 2)
    assert.equal(waiting('000000010000000000000004', '000000020000000000000005'), undefined)
    assert.equal(waiting('000000010000000000000004.00000028.backup', '000000010000000000000005'), 0)
    assert.equal(waiting('00000002.history', '000000020000000000000005'), undefined)
    assert.equal(waiting('000000010000000000000004', null), undefined)
    assert.equal(readArchiverRow(undefined), undefined)
  })
})
