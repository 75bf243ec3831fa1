/** Every state of every check whose decision is pure. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { HolderView } from '../../engine/keys/keys-view.ts'
import type { CopyView, MirrorsReport } from '../../engine/mirrors/copies.ts'
import type { GapView, WindowView } from '../../engine/window.ts'
import { parseLsn } from '../../postgres/lsn.ts'
import type { DrillRecord } from '../../repository/drills.ts'
import type { BackupSummary } from '../../repository/manifest.ts'
import { exampleDrill } from '../../repository/testing/example-drill.ts'
import type { RunOutcome } from '../../schedules/judge.ts'
import { judgeBackup } from './backup.ts'
import { judgeKeys, judgeRetention } from './keeping.ts'
import { judgeMassDeletions } from './mass-deletions.ts'
import type { MassDeletion, ObservedTable } from './measurements.ts'
import type { RememberedTable } from './observation.ts'
import { judgeDrills, judgeVerification } from './proof.ts'
import { judgeMirrors } from './repository.ts'
import type { Outcome } from './result.ts'
import { judgeSchedules } from './schedules.ts'
import { judgeSlotGrowth, rateSince, type SlotFacts } from './slot.ts'
import { endOfRecords } from './sources.ts'
import { judgeTables, rememberTables } from './tables.ts'
import { type ExposureFacts, judgeExposure, judgeWal } from './wal.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const now = new Date('2026-11-22T12:00:00.000Z')
const ago = (ms: number) => new Date(now.getTime() - ms).toISOString()

const said = ({ state, severity }: Outcome<unknown>) => (severity ? `${state} ${severity}` : state)

/** A finding and, unless all is well, a fix. */
function assertSays(outcome: Outcome<unknown>, expected: string, fix?: RegExp): void {
  assert.equal(said(outcome), expected, outcome.finding)
  assert.ok(outcome.finding.length > 0)
  if (outcome.state === 'failed') assert.ok(outcome.fix)
  if (fix) assert.match(outcome.fix ?? '', fix)
}

describe('backup', () => {
  const summary = (backupId: string, agoMs: number) =>
    ({ backupId, type: 'full', startedAt: ago(agoMs + 60_000), stoppedAt: ago(agoMs), storedBytes: 1 }) as BackupSummary
  const first = '20261121T110000Z-00000001'
  const second = '20261122T110000Z-00000002'
  const none = { damaged: [], report: { strandedBackups: [] } as never }
  const judge = (facts: {
    backups?: readonly BackupSummary[]
    stranded?: readonly string[]
    unfinished?: readonly string[]
    failed?: readonly string[]
    running?: boolean
  }) =>
    judgeBackup({
      holdings: {
        ...none,
        backups: facts.backups ?? [summary(first, 25 * HOUR_MS), summary(second, HOUR_MS)],
        report: { strandedBackups: facts.stranded ?? [] } as never,
      },
      runs: { unfinished: facts.unfinished ?? [], failed: facts.failed ?? [], running: facts.running ?? false },
      maxAgeMs: 25 * HOUR_MS,
      now,
    })

  test('none, none that can be restored, late, failed, running, stranded, good', () => {
    assertSays(judge({ backups: [] }), 'failed danger', /^retake backup/)
    assertSays(judge({ stranded: [first, second] }), 'failed danger', /wal receive/)
    assertSays(judge({ backups: [summary(first, 25 * HOUR_MS)] }), 'passed')
    assertSays(judge({ backups: [summary(first, 25 * HOUR_MS + 1)] }), 'failed danger', /^retake backup$/)
    assertSays(judge({ stranded: [first] }), 'failed warning', /verify/)
    const failed = judge({ unfinished: ['20261122T113000Z-00000003'] })
    assertSays(failed, 'failed warning', /^retake backup$/)
    assert.deepEqual([failed.measured?.lastRun, failed.measured?.failedRuns.length], ['failed', 1])
    const running = judge({ unfinished: ['20261122T113000Z-00000003'], running: true })
    assert.deepEqual(
      [said(running), running.measured?.lastRun, running.measured?.failedRuns],
      ['passed', 'running', []],
    )
    const noted = judge({ failed: ['20261122T113000Z-00000003'] })
    assert.deepEqual([said(noted), noted.measured?.lastRun], ['failed warning', 'failed'])
    const older = judge({ unfinished: ['20261122T020000Z-00000003'] })
    assert.deepEqual([said(older), older.measured?.lastRun], ['passed', 'succeeded'], 'made up for')
    assert.equal(judge({}).measured?.last?.durationMs, 60_000)
  })
})

describe('WAL', () => {
  const window = (fromMs: number, toMs: number): WindowView => ({
    timeline: 1,
    from: { lsn: '0/1', at: ago(fromMs) },
    to: { lsn: '0/2', at: ago(toMs) },
    backups: ['b'],
    gaps: [],
  })
  const gap: GapView = { timeline: 1, beginLsn: '0/3000000', endLsn: '0/4000000', recorded: true, explanation: 'lost' }
  const facts = {
    windows: [window(2 * DAY_MS, 0)],
    gaps: [] as GapView[],
    damagedObjects: 0,
    lastStartLsn: '0/5000000',
    now,
  }

  test('gaps that are open and gaps of the past, damage, no window', () => {
    assertSays(judgeWal(facts), 'passed')
    assertSays(judgeWal({ ...facts, gaps: [gap] }), 'passed')
    assert.equal(judgeWal({ ...facts, gaps: [gap] }).measured?.pastGaps, 1)
    assertSays(judgeWal({ ...facts, gaps: [{ ...gap, recorded: false }] }), 'failed danger', /backup/)
    assertSays(judgeWal({ ...facts, gaps: [{ ...gap, endLsn: '0/6000000' }] }), 'failed danger', /backup/)
    assertSays(judgeWal({ ...facts, gaps: [{ ...gap, endLsn: '0/6000000', givenUp: true }] }), 'passed')
    assertSays(judgeWal({ ...facts, damagedObjects: 2 }), 'failed danger', /verify --deep/)
    assertSays(judgeWal({ ...facts, windows: [] }), 'failed danger')
  })

  test('the share of minutes: holes count, overlaps once, and only thirty days', () => {
    const share = (windows: readonly WindowView[]) => judgeWal({ ...facts, windows }).measured
    assert.equal(share([window(DAY_MS, 0)])?.recoverableShare, 1)
    assert.equal(share([window(4 * HOUR_MS, 3 * HOUR_MS), window(2 * HOUR_MS, 0)])?.recoverableShare, 0.75)
    assert.equal(share([window(4 * HOUR_MS, HOUR_MS), window(3 * HOUR_MS, 0)])?.recoverableShare, 1)
    assert.equal(share([window(90 * DAY_MS, 40 * DAY_MS), window(DAY_MS, 0)])?.recoverableShare, 1)
    assert.equal(share([window(60 * DAY_MS, 0)])?.observedMs, 30 * DAY_MS)
    assert.deepEqual(
      share([window(2 * HOUR_MS, 0), window(4 * HOUR_MS, 2 * HOUR_MS), window(9 * HOUR_MS, 8 * HOUR_MS)])?.stretches,
      [
        { from: ago(9 * HOUR_MS), to: ago(8 * HOUR_MS) },
        { from: ago(4 * HOUR_MS), to: ago(0) },
      ],
    )
    assert.deepEqual([share([])?.recoverableShare, share([])?.observedMs], [undefined, 0])
  })

  const server = {
    timeline: 1,
    flushLsn: '0/5000100',
    insertLsn: '0/5000100',
    now: now.toISOString(),
    inRecovery: false,
    database: 'postgres',
    nextXid: '800',
    transactionsOpen: false,
  }
  const position = { timeline: 1, flushLsn: '0/5000000', at: ago(0), serverTime: ago(0), caughtUpAt: ago(600_000) }
  const earlier = { ...server, at: ago(900_000), flushLsn: '0/4000000', insertLsn: '0/5000000', tables: [] }
  const exposed = (changes: Partial<ExposureFacts>) =>
    judgeExposure({ server, position, earlier: undefined, targetMs: 60_000, ...changes })

  test('exposure: caught up, behind, for nobody knows how long', () => {
    assertSays(exposed({ position: { ...position, flushLsn: '0/5000100' } }), 'passed')
    const behind = exposed({})
    assertSays(behind, 'failed danger', /wal receive/)
    assert.deepEqual([behind.measured?.exposureMs, behind.measured?.behindBytes], [600_000, 256])
    assertSays(exposed({ targetMs: 600_000 }), 'passed')
    const never = exposed({ position: undefined })
    assert.deepEqual([said(never), never.measured?.exposureMs], ['failed danger', undefined])
  })

  test('exposure is exact while nobody works, and only then', () => {
    const state = (changes: Partial<ExposureFacts>) => exposed({ earlier, ...changes }).measured?.state
    assert.equal(state({}), 'idle')
    assert.equal(exposed({ earlier }).measured?.exposureMs, 0)
    assert.equal(state({ server: { ...server, nextXid: '801' } }), 'behind', 'a transaction ended')
    assert.equal(
      state({ earlier: { ...earlier, transactionsOpen: true } }),
      'behind',
      'one was open, and may have ended',
    )
    assert.equal(state({ earlier: { ...earlier, insertLsn: '0/5000001' } }), 'behind', 'not all of then is held')
    assert.equal(state({ earlier: { ...earlier, timeline: 2 } }), 'behind', 'another branch')
    const { insertLsn: _, ...standby } = earlier
    assert.equal(state({ earlier: standby }), 'behind', 'a standby does not say')
  })

  test('headers of pages are no WAL', () => {
    const sizes = { pageBytes: 8192, segmentBytes: 16 * 1024 ** 2 }
    const end = (lsn: string) => endOfRecords(parseLsn(lsn), sizes)
    assert.equal(end('0/5000028'), parseLsn('0/5000000'))
    assert.equal(end('0/5002018'), parseLsn('0/5002000'))
    assert.equal(end('0/5002028'), parseLsn('0/5002028'))
    assert.equal(end('0/5000018'), parseLsn('0/5000018'))
  })
})

describe('slot', () => {
  const GIB = 1024 ** 3
  const slot: SlotFacts = {
    name: 'retake_main',
    status: { exists: true, active: false, restartLsn: parseLsn('0/1000000'), lagBytes: 100, walStatus: 'reserved' },
    receiver: true,
    walDirectoryBytes: 1,
    serverFreeBytes: undefined,
    walBytesPerHour: undefined,
  }

  test('missing, lost, about to be, hours left', () => {
    assertSays(judgeSlotGrowth(slot), 'passed')
    assertSays(judgeSlotGrowth({ ...slot, status: { exists: false, active: false } }), 'failed danger', /retake init/)
    assertSays(judgeSlotGrowth({ ...slot, status: { ...slot.status, walStatus: 'lost' } }), 'failed danger', /drop/)
    assertSays(
      judgeSlotGrowth({ ...slot, status: { ...slot.status, walStatus: 'unreserved' } }),
      'failed danger',
      /now/,
    )
    const growing = (freeGiB: number, active = false, lagBytes = 100) =>
      judgeSlotGrowth({
        ...slot,
        status: { ...slot.status, active, lagBytes, safeWalSizeBytes: 100 * GIB },
        serverFreeBytes: freeGiB * GIB,
        walBytesPerHour: GIB,
      })
    assertSays(growing(50), 'passed')
    assert.equal(growing(50).measured?.hoursLeft, 50)
    assertSays(growing(23), 'failed warning', /wal receive/)
    assertSays(growing(3), 'failed danger', /wal receive/)
    assertSays(growing(3, true), 'passed')
    assertSays(growing(3, true, GIB / 4), 'passed')
    assertSays(growing(3, true, GIB / 4 + 1), 'failed danger', /far behind/)
    assertSays(growing(23, true, 2 * GIB), 'failed warning', /storage it writes to/)
    assert.equal(growing(500).measured?.hoursLeft, 100, 'the slot is lost before the disk is full')
  })

  test('the rate is that between two looks on one timeline, not too close together', () => {
    const moment = { timeline: 1, flushLsn: '0/5000000', now: now.toISOString() }
    const since = (lsn: string, ms: number, timeline = 1) => rateSince(moment, { timeline, lsn, at: ago(ms) })
    assert.equal(since('0/4000000', HOUR_MS), 0x1000000)
    assert.equal(since('0/4000000', HOUR_MS / 2), 0x2000000)
    assert.deepEqual([since('0/4000000', 1000), since('0/4000000', HOUR_MS, 2)], [undefined, undefined])
    assert.deepEqual([since('0/6000000', HOUR_MS), rateSince(moment, undefined)], [undefined, undefined])
  })
})

test('critical tables: rows that vanish, and those of another database', () => {
  const table = (rows?: number) => ({
    table: 'public.t',
    tier: 'low' as const,
    exists: true,
    ...(rows === undefined ? {} : { rows }),
  })
  const before = (rows: number, database = 'app') => ({
    at: ago(HOUR_MS),
    database,
    tables: [{ table: 'public.t', exists: true, rows }],
  })
  const judge = (rows: number | undefined, earlier?: ReturnType<typeof before>) =>
    judgeTables({ database: 'app', tables: [table(rows)], isConfigured: true, earlier, seenAt: ago(0) })
  assertSays(judge(0), 'passed')
  assertSays(judge(0, before(100)), 'failed warning', new RegExp(`--at ${ago(HOUR_MS)} `))
  assertSays(judge(49, before(100)), 'failed warning')
  assertSays(judge(50, before(100)), 'passed')
  assertSays(judge(0, before(19)), 'passed')
  assertSays(judge(undefined, before(100)), 'passed')
  assertSays(judge(0, before(100, 'other')), 'passed')
  assert.equal(judge(150, before(100)).measured?.tables[0]?.grownRows, 50)
})

describe('rows that have vanished', () => {
  const users = (rows: number | undefined, exists = true): ObservedTable => ({
    table: 'public.users',
    tier: 'high',
    exists,
    ...(rows === undefined ? {} : { rows }),
  })
  /** One look after the other, each with what the one before has left; the tables that have shrunk, and how much they had. */
  const course = (looks: readonly ObservedTable[]) => {
    let earlier: { at: string; database: string; tables: RememberedTable[] } | undefined
    return looks.map((table, index) => {
      const at = ago((looks.length - index) * 60_000)
      const { measured } = judgeTables({ database: 'app', tables: [table], isConfigured: true, earlier, seenAt: at })
      assert.ok(measured)
      earlier = {
        at,
        database: 'app',
        tables: rememberTables(measured.tables, { at, earlier: earlier?.tables ?? [] }),
      }
      return [...measured.shrunk, ...(measured.tables[0]?.losses ?? []).map(({ before }) => before)].join(' ')
    })
  }

  test('are a loss until most of them are back, however many looks later', () => {
    assert.deepEqual(course([100, 10, 10, 74, 75, 75].map((rows) => users(rows))), [
      '',
      'public.users 100',
      'public.users 100',
      'public.users 100',
      '',
      '',
    ])
  })

  test('are a loss of their own when more of them vanish', () => {
    const lost = course([1000, 400, 100, 350, 900].map((rows) => users(rows)))
    assert.deepEqual(lost, ['', 'public.users 1000', 'public.users 1000 400', 'public.users 1000', ''])
  })

  test('are not forgotten while nobody knows how many there are, nor while the table is missing', () => {
    assert.deepEqual(course([users(100), users(10), users(undefined), users(undefined, false), users(10)]), [
      '',
      'public.users 100',
      'public.users 100',
      '100',
      'public.users 100',
    ])
    // It comes back empty: what it had when it was last seen is lost.
    assert.deepEqual(course([users(100), users(undefined, false), users(0)]), ['', '', 'public.users 100'])
  })

  test('are taken back to the moment before they vanished', () => {
    const earlier = {
      at: ago(60_000),
      database: 'app',
      tables: [
        { table: 'public.users', exists: true, rows: 10, losses: [{ before: 100, at: ago(HOUR_MS), seenAt: ago(1) }] },
      ],
    }
    const outcome = judgeTables({ database: 'app', tables: [users(10)], isConfigured: true, earlier, seenAt: ago(0) })
    assertSays(outcome, 'failed warning', new RegExp(`--at ${ago(HOUR_MS)} `))
    assert.match(outcome.finding, /has 10 rows and had 100 at/)
  })
})

test('mass deletions: nothing yet, nothing, too much to read, and what there was', () => {
  const bookmark = { readAt: ago(0), timeline: 1, lsn: '0/2', resumeLsn: '0/2', habits: {}, habitsSince: ago(0) }
  const deletion: MassDeletion = {
    ...{
      kind: 'mass-delete',
      what: '7 rows of public.users deleted',
      target: 'public.users',
      tables: ['public.users'],
    },
    ...{ lsn: '0/1', before: 'before-xid:7', seenAt: ago(1), at: ago(2) },
  }
  const judge = (incidents: readonly MassDeletion[], { isFirst = false, behindBytes = 0, isBehind = false } = {}) =>
    judgeMassDeletions({
      ...{ isFirst, isBehind },
      measured: { toLsn: '0/2', behindBytes, incidents, bookmark: { ...bookmark, incidents: [] } },
    })
  assertSays(judge([], { isFirst: true }), 'skipped')
  assertSays(judge([]), 'passed')
  assertSays(judge([], { behindBytes: 1000 }), 'passed')
  assertSays(judge([], { behindBytes: 1000, isBehind: true }), 'unknown', /^retake find/)
  assertSays(judge([deletion]), 'failed warning', /^retake restore merge public\.users --at before-xid:7 /)
  // What was found is told also while there is more to read.
  const drop: MassDeletion = { ...deletion, kind: 'drop', tables: ['public.a', 'public.b'], before: 'before-xid:9' }
  const both = judge([deletion, drop], { behindBytes: 1000, isBehind: true })
  assertSays(both, 'failed warning', /^retake restore table public\.a public\.b --at before-xid:9 /)
  assert.match(both.finding, /^7 rows of public\.users deleted at \S+Z\. 7 rows/)
  const gone: MassDeletion = { ...deletion, kind: 'drop-database', tables: [], what: 'The database app dropped' }
  assertSays(judge([gone]), 'failed warning', /^retake restore plan --at before-xid:7 --to DIR/)
})

test('verification: none, old, damaged since, deep', () => {
  const judge = (ages: readonly (readonly ['quick' | 'deep', number])[], lastBackupId: string | undefined = 'b') =>
    judgeVerification({
      records: ages.map(([depth, ms]) => ({ backupId: 'b', depth, at: ago(ms) })),
      lastBackupId,
      maxAgeMs: 7 * DAY_MS,
      now,
    })
  assertSays(judge([]), 'failed warning', /verify --deep/)
  assertSays(judge([['deep', 8 * DAY_MS]]), 'failed warning', /verify --deep/)
  const good = judge([
    ['deep', 8 * DAY_MS],
    ['quick', DAY_MS],
  ])
  assertSays(good, 'passed')
  assert.deepEqual([good.measured?.ageMs, good.measured?.deepAgeMs], [DAY_MS, 8 * DAY_MS])
  const broken = judgeVerification({
    records: [{ backupId: 'b', depth: 'deep', at: ago(1) }],
    found: { at: ago(1), depth: 'deep', errors: 2, example: 'packs/x: it is gone', lostBackups: ['a', 'c'] },
    ...{ lastBackupId: 'b', maxAgeMs: 7 * DAY_MS, now },
  })
  assertSays(broken, 'failed danger', /verify --deep/)
  assert.match(broken.finding, /found damage in 2 places: a and 1 more cannot be restored completely. packs\/x: it is/)
  assert.deepEqual(broken.measured?.damage, { at: ago(1), errors: 2, lostBackups: ['a', 'c'] })
  const nothing = judgeVerification({ records: [], lastBackupId: undefined, maxAgeMs: 1, now })
  assertSays(nothing, 'skipped', /^retake backup/)
})

test('drills: none, failed, overdue, passed, and what came to no result', () => {
  const one = (ageMs: number, changed: Partial<DrillRecord> = {}) =>
    exampleDrill('id', { endedAt: ago(ageMs), ...changed })
  const error = { code: 'dependency.missing', message: 'No PostgreSQL 17.', hint: 'Install it.' }
  const without = one(1, { outcome: 'inconclusive', error })
  const bad = one(1, { outcome: 'failed', error: { code: 'timeout', message: 'Too long.' } })
  assertSays(judgeDrills([], now), 'skipped', /^retake drill run$/)
  const nowhere = judgeDrills([without], now)
  assertSays(nowhere, 'skipped', /^Install it\.$/)
  assert.match(nowhere.finding, /No PostgreSQL 17/)
  const failing = judgeDrills([bad, one(DAY_MS)], now)
  assertSays(failing, 'failed danger', /^retake drill show id$/)
  assert.match(failing.finding, /Too long/)
  // Neither hides a failure, nor makes good for age.
  assertSays(judgeDrills([without, bad], now), 'failed danger')
  assertSays(judgeDrills([one(37 * DAY_MS)], now), 'failed warning', /^retake drill run$/)
  assertSays(judgeDrills([without, one(37 * DAY_MS)], now), 'failed warning', /^Install it\.$/)
  const good = judgeDrills([one(1, { outcome: 'interrupted' }), one(DAY_MS), bad], now)
  assertSays(good, 'passed')
  const { counted, succeeded, ageMs, rtoMs, rpoMs } = good.measured ?? {}
  assert.deepEqual([counted, succeeded, ageMs, rtoMs, rpoMs], [2, 1, DAY_MS, 80_000, 2000])
})

test('retention: too short, not kept, young', () => {
  const judge = (days: number, oldestMs: number, heldMs = oldestMs) =>
    judgeRetention({
      policy: { days },
      backups: [{ stoppedAt: ago(oldestMs) }],
      windows: [{ timeline: 1, from: { lsn: '0/1', at: ago(heldMs) }, to: { lsn: '0/2' }, backups: [], gaps: [] }],
      now,
    })
  assertSays(judge(6, 30 * DAY_MS), 'failed warning', /retentionDays: 7/)
  assertSays(judge(7, 30 * DAY_MS), 'passed')
  assertSays(judge(7, DAY_MS), 'passed')
  assertSays(judge(7, 30 * DAY_MS, 7 * DAY_MS), 'passed')
  assertSays(judge(7, 30 * DAY_MS, 6 * DAY_MS), 'failed warning', /retake window/)
  assertSays(judgeRetention({ policy: { days: 7, walDays: 0 }, backups: [], windows: [], now }), 'failed warning')
  assertSays(judgeRetention({ policy: { days: 7 }, backups: [], windows: [], now }), 'passed')
})

test('keys: broken, no kit, never tried, stale, due', () => {
  type Holder = Pick<HolderView, 'state' | 'kind' | 'due' | 'holder' | 'label'>
  const key: Holder = { holder: 'k', kind: 'key', label: 'main', state: 'good', due: false }
  const kit: Holder = { ...key, holder: 'r', kind: 'recovery-kit' }
  const judge = (holders: readonly Holder[], provenMs?: number) =>
    judgeKeys({
      holders,
      proof: provenMs === undefined ? undefined : { provenAt: ago(provenMs), depth: 'sample' },
      now,
    })
  assertSays(judge([key, kit], DAY_MS), 'passed')
  assertSays(judge([key], DAY_MS), 'failed warning', /keys kit/)
  assertSays(judge([key, kit]), 'failed warning', /escrow-test/)
  assertSays(judge([key, kit], 181 * DAY_MS), 'failed warning', /escrow-test/)
  assertSays(judge([{ ...key, state: 'damaged' }, kit], DAY_MS), 'failed warning', /keys status/)
  assertSays(judge([{ ...key, due: true }, kit], DAY_MS), 'failed warning', /keys status/)
})

test('copies: none, current, behind, following, away', () => {
  const copy = (state: CopyView['state'], more: Partial<CopyView> = {}): CopyView => ({
    ...{ name: 'north', url: '/n', offsite: false, isPrimary: false, state },
    ...more,
  })
  const judge = (view: CopyView) =>
    judgeMirrors({ mirrorSync: 'available', generation: 1, copies: [view], unknown: [] } as MirrorsReport, undefined)
  assertSays(judgeMirrors(undefined, undefined), 'skipped')
  assert.equal(
    judgeMirrors(undefined, undefined).measured?.missing.length,
    3,
    'without a backup, nothing of it is anywhere',
  )
  assertSays(judge(copy('current')), 'passed')
  const recorded = {
    mirrorSync: 'available',
    generation: 1,
    copies: [copy('current')],
    unknown: ['south'],
  } as MirrorsReport
  assertSays(judgeMirrors(recorded, undefined), 'failed danger', /--forget/)
  assertSays(judge(copy('behind')), 'failed warning', /repo sync/)
  const lag = { missingObjects: 3 } as CopyView['lag']
  assertSays(judge(copy('following', { lag, lagMs: HOUR_MS })), 'passed')
  assertSays(judge(copy('following', { lag, lagMs: HOUR_MS + 1 })), 'failed warning', /repo sync/)
  assertSays(judge(copy('following', { lag })), 'failed warning')
  for (const state of ['unreachable', 'empty', 'foreign'] as const)
    assertSays(judge(copy(state)), 'failed warning', /mirrors/)
})

test('schedules: kept, missed by a backup or by something else, not known; and what the backups of it come to', () => {
  const run = (day: number, outcome: RunOutcome) =>
    ({ at: ago(day * DAY_MS), startAt: ago(day * DAY_MS), outcome, beganLate: false }) as const
  const schedule = (
    task: 'backup' | 'verify',
    outcomes: readonly RunOutcome[],
    verdict: 'ok' | 'missed' | 'unknown',
  ) => {
    const runs = outcomes.map((outcome, index) => run(outcomes.length - index, outcome))
    return { name: task, task, verdict, runs, settled: runs.at(-1) }
  }
  const judge = (...list: ReturnType<typeof schedule>[]) => judgeSchedules({ at: now.toISOString(), schedules: list })
  const good = schedule('backup', ['unknown', 'failed', 'succeeded'], 'ok')
  assertSays(judge(good), 'passed')
  assert.deepEqual(judge(good).measured?.history, {
    slots: 2,
    missed: 1,
    isLate: false,
    since: ago(2 * DAY_MS),
    observedMs: 2 * DAY_MS,
  })
  const old = schedule(
    'verify',
    ['missed', ...Array.from({ length: 30 }, (): RunOutcome => 'succeeded'), 'late'],
    'missed',
  )
  assert.deepEqual(
    judge(good, old).measured?.missedRuns.map(({ schedule: name, outcome, at }) => [name, outcome, at]),
    [
      ['backup', 'failed', ago(2 * DAY_MS)],
      ['verify', 'late', ago(DAY_MS)],
    ],
  )
  const late = judge(schedule('backup', ['succeeded', 'late'], 'missed'))
  assertSays(late, 'failed danger', /^retake schedules/)
  assert.deepEqual([late.measured?.history?.isLate, late.measured?.missed[0]?.outcome], [true, 'late'])
  assertSays(judge(good, schedule('verify', ['missed'], 'missed')), 'failed warning')
  const notKnown = judge(good, schedule('verify', ['unknown'], 'unknown'))
  assertSays(notKnown, 'unknown')
  assert.deepEqual(notKnown.measured?.unknown, ['verify'])
  assert.equal(judge(schedule('verify', ['succeeded'], 'ok')).measured?.history, undefined)
})
