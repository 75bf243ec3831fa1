import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isRetakeError, RetakeError } from '../base/errors.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { readCondemned } from '../repository/condemned.ts'
import { manifestKey, packIdPrefix, packKey } from '../repository/layout.ts'
import { acquireLease } from '../repository/lease.ts'
import { ManifestWriter, readEntries, readSummary } from '../repository/manifest-store.ts'
import { registerReader } from '../repository/readers.ts'
import { beginRun } from '../repository/runs.ts'
import { BackupSeries, type SeriesBackup } from '../repository/testing/backup-series.ts'
import { FaultyStore } from '../storage/testing/faulty-store.ts'
import { listBackups } from './backups.ts'
import { prune } from './prune.ts'
import { holdBackup, releaseBackup, simulate } from './retention.ts'
import {
  assertInvariants,
  assertNothingLeft,
  createStage,
  DAY_MS,
  openRetakeOn,
  type PruneStage,
} from './testing/prune-stage.ts'
import { verify } from './verify.ts'
import { readWindow } from './window.ts'

const names = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}${index}`)

/** A backup a day: everything changes on the first, a part on the others. */
async function writeSeries(stage: PruneStage, days: number): Promise<BackupSeries> {
  const series = await BackupSeries.begin(stage.retake.repository)
  series.change(names('base/5/', 20))
  for (let day = 0; day < days; day++) {
    if (day > 0) series.change(names('base/5/', 1 + (day % 8)))
    await series.backUp(stage.clock.now())
    await series.writeWal(2, stage.clock.now())
    stage.clock.ms += DAY_MS
  }
  return series
}

/** A new backup, made at the time of `newest`, that refers to everything where `backupId` has it. */
async function copyManifest(cluster: ClusterRepository, backupId: string, newest: string): Promise<string> {
  const copyId = '20261106T233000Z-0c0c0c0c'
  await beginRun(cluster, copyId)
  await using writer = await ManifestWriter.open(cluster, copyId)
  for await (const entry of readEntries(cluster, backupId)) await writer.add(entry)
  const { startLsn, stopLsn, startedAt, stoppedAt } = await readSummary(cluster, newest)
  const times = { startLsn, stopLsn, startedAt, stoppedAt }
  await writer.commit({ ...(await readSummary(cluster, backupId)), ...times, backupId: copyId })
  return copyId
}

const idsOf = async ({ retake }: PruneStage) => (await listBackups(retake)).backups.map(({ backupId }) => backupId)

describe('pruning', () => {
  test('keeps a window and what it stands on, deletes the rest after the time of grace', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    const series = await writeSeries(stage, 12)
    const all = series.backups.map(({ backupId }) => backupId)
    const before = await Array.fromAsync(stage.store.list(''))
    const rehearsal = await stage.prune({ dryRun: true })
    assert.deepEqual(await Array.fromAsync(stage.store.list('')), before, 'a rehearsal changes nothing')
    const report = await stage.prune({ repackBelow: 0 })
    assert.deepEqual(report.givenUp, rehearsal.givenUp)
    assert.deepEqual(report.plan, rehearsal.plan)
    // It is the 13th, 0:00. Seven days back is the 6th, 0:00, when a backup ended exactly.
    assert.deepEqual(await idsOf(stage), all.slice(5))
    const { windows } = await readWindow(stage.retake)
    assert.equal(windows.length, 1)
    assert.equal(windows[0]?.from.at, '2026-11-06T00:00:00.000Z')
    assert.deepEqual(windows[0]?.gaps, [])
    assert.ok(await stage.store.head(manifestKey('main', all[0] as string)), 'nothing is deleted before its time')
    await assertInvariants(stage.retake, series.backups)
    const early = await stage.prune({ repackBelow: 0 })
    assert.equal(early.deleted.objects, 0)
    assert.deepEqual(
      early.pending.map(({ waitsFor, backups }) => [waitsFor, backups.length]),
      [['grace', 5]],
    )
    stage.clock.ms += DAY_MS
    const due = await stage.prune({ policy: { days: 8 }, repackBelow: 0 })
    assert.ok(due.deleted.objects > 5 * 3)
    assert.equal(await stage.store.head(manifestKey('main', all[0] as string)), undefined)
    assert.deepEqual(await assertInvariants(stage.retake, series.backups), all.slice(5))
    await assertNothingLeft(stage.retake)
    assert.deepEqual(due.plan.bytes.packsBefore, due.plan.bytes.packsAfter)
    assert.deepEqual(due.doubts, [], 'what it has just deleted is nothing that it could not read')
  })

  test('packs of which little is needed are rewritten, and the backups are what they were', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    const series = await BackupSeries.begin(stage.retake.repository)
    series.change(names('base/5/', 30))
    await series.backUp(stage.clock.now())
    for (let day = 0; day < 3; day++) {
      stage.clock.ms += 10 * DAY_MS
      series.change(names('base/5/', 25))
      await series.backUp(stage.clock.now())
    }
    const foreseen = await stage.prune({ dryRun: true, policy: { days: 0 } })
    assert.equal(foreseen.repack.packs, 1)
    const report = await stage.prune({ policy: { days: 0 }, graceHours: 0 })
    assert.equal(report.repack.packs, 1)
    assert.ok(report.repack.writtenBytes < report.repack.freedBytes / 2)
    const [last] = await assertInvariants(stage.retake, series.backups)
    assert.equal(last, series.backups.at(-1)?.backupId)
    assert.ok(await stage.store.head(manifestKey('main', last as string, 1)))
    assert.equal(await stage.store.head(manifestKey('main', last as string)), undefined)
    await assertNothingLeft(stage.retake)
    const again = await stage.prune({ policy: { days: 0 }, graceHours: 0 })
    assert.equal(again.repack.packs, 0)
  })

  test('the last verified backup stays, however old, until a newer one has passed', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    const series = await writeSeries(stage, 2)
    const [first] = series.backups
    await verify(stage.retake, { backupId: first?.backupId as string }).result
    for (let day = 0; day < 3; day++) {
      await series.backUp(stage.clock.now())
      stage.clock.ms += DAY_MS
    }
    stage.clock.ms += 30 * DAY_MS
    const report = await stage.prune({ policy: { days: 1 } })
    const rules = report.plan.backups.map(({ rules: kept }) => kept.map(({ rule }) => rule))
    assert.deepEqual(rules, [['verified'], [], [], [], ['window', 'newest']])
    // The old one is consistent still: the WAL from its start to its stop is kept.
    await assertInvariants(stage.retake, series.backups)
    const { windows, strandedBackups } = await readWindow(stage.retake)
    assert.deepEqual(strandedBackups, [])
    assert.deepEqual(
      windows.map(({ backups, gaps }) => [backups.length, gaps.map(({ recorded, givenUp }) => [recorded, givenUp])]),
      [
        [1, [[true, true]]],
        [1, []],
      ],
    )
    await verify(stage.retake).result
    stage.clock.ms += 2 * DAY_MS
    assert.deepEqual((await stage.prune({ policy: { days: 1 } })).givenUp.backups, [first?.backupId])
    await assertInvariants(stage.retake, series.backups)
  })

  test('a held backup stays until it is released; what is given up cannot be held', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    const series = await writeSeries(stage, 12)
    const [first, second] = series.backups.map(({ backupId }) => backupId) as [string, string]
    await holdBackup(stage.retake, { backupId: first, reason: 'audit' })
    await holdBackup(stage.retake, { backupId: second, reason: 'upgrade', until: '2026-11-13T12:00:00Z' })
    stage.clock.ms += DAY_MS
    const report = await stage.prune({ policy: { days: 3 } })
    assert.deepEqual(report.plan.backups[0]?.rules, [{ rule: 'hold', why: 'held: audit' }])
    assert.ok(!report.givenUp.backups.includes(first))
    assert.ok(report.givenUp.backups.includes(second), 'its time is over')
    await assert.rejects(
      holdBackup(stage.retake, { backupId: second, reason: 'too late' }),
      (error) => isRetakeError(error, 'backup.missing') && /given up/.test(error.message),
    )
    assert.deepEqual(
      (await releaseBackup(stage.retake, first)).map(({ reason }) => reason),
      ['audit'],
    )
    assert.ok((await stage.prune({ policy: { days: 3 } })).givenUp.backups.includes(first))
    await assertInvariants(stage.retake, series.backups)
  })

  test('a hold that comes while pruning decides is seen before anything is given up', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    const series = await writeSeries(stage, 12)
    const [first] = series.backups.map(({ backupId }) => backupId) as [string]
    const store = new FaultyStore(stage.store)
    // After the plan was made, right before the record is written.
    store.plan('create', {
      matching: (key) => key.includes('/condemned/'),
      before: async () => void (await holdBackup(stage.retake, { backupId: first, reason: 'in the last moment' })),
    })
    const retake = await openRetakeOn(store, stage)
    const report = await prune(retake, { policy: { days: 3 } }).result
    store.assertAllHit()
    assert.ok(!report.givenUp.backups.includes(first))
    assert.ok((await idsOf(stage)).includes(first))
    await assertInvariants(stage.retake, series.backups)
  })

  test('a backup that is under way keeps what it may refer to; its manifest decides', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    const series = await writeSeries(stage, 12)
    const cluster = await stage.retake.cluster()
    const running = '20261112T230000Z-0badcafe'
    const lease = await acquireLease(cluster, { role: 'backup', holder: 'test', clock: stage.clock })
    await beginRun(cluster, running)
    const policy = { days: 3 }
    const report = await stage.prune({ policy, graceHours: 0, repackBelow: 0 })
    assert.deepEqual(
      report.pending.map(({ waitsFor }) => waitsFor),
      ['backup'],
    )
    assert.equal(report.deleted.objects, 0)
    assert.equal(report.givenUp.segments, 0, 'WAL is looked at when no backup runs')
    // The lease is free, the record of the run is left: an interrupted backup never commits any more.
    await lease[Symbol.asyncDispose]()
    const later = await stage.prune({ policy, graceHours: 0, repackBelow: 0 })
    assert.deepEqual(later.pending, [])
    await assertInvariants(stage.retake, series.backups)
    await assertNothingLeft(stage.retake)
  })

  test('packs of a running backup are left alone, and a pack that is referred to again is reprieved', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    const series = await writeSeries(stage, 6)
    const cluster = await stage.retake.cluster()
    const strange = packKey(`0badcafe${'1'.repeat(24)}`)
    await beginRun(cluster, '20261112T230000Z-0badcafe')
    await stage.store.create(strange, Buffer.from('being written'))
    assert.equal(packIdPrefix('20261112T230000Z-0badcafe'), '0badcafe')
    await stage.prune({ policy: { days: 0 }, repackBelow: 0 })
    assert.ok(await stage.store.head(strange))
    const packs = [...(await readCondemned(cluster)).packs]
    assert.ok(packs.length > 0)
    // As a backup does that had begun before: it refers to packs that only backups given up since refer to.
    const old = series.backups[4] as SeriesBackup
    const revived = await copyManifest(cluster, old.backupId, series.backups[5]?.backupId as string)
    stage.clock.ms += 2 * DAY_MS
    const report = await stage.prune({ policy: { days: 30 }, repackBelow: 0 })
    assert.ok(report.deleted.reprievedPacks > 0)
    await assertInvariants(stage.retake, [...series.backups, { ...old, backupId: revived }])
    assert.ok((await idsOf(stage)).includes(revived))
  })

  test('a restore or verification that had begun is waited for', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    const series = await writeSeries(stage, 10)
    const cluster = await stage.retake.cluster()
    const reader = await registerReader(cluster, { holder: 'test', clock: stage.clock })
    const report = await stage.prune({ policy: { days: 2 }, graceHours: 0 })
    assert.equal(report.deleted.objects, 0)
    assert.deepEqual([...new Set(report.pending.map(({ waitsFor }) => waitsFor))], ['readers'])
    await reader[Symbol.asyncDispose]()
    assert.ok((await stage.prune({ policy: { days: 2 }, graceHours: 0 })).deleted.objects > 0)
    await assertInvariants(stage.retake, series.backups)
    await assertNothingLeft(stage.retake)
  })

  test('a manifest that cannot be read stops all giving up, until it is forgotten', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    const series = await writeSeries(stage, 10)
    const damaged = series.backups[2]?.backupId as string
    const key = manifestKey('main', damaged)
    const bytes = Buffer.from((await stage.store.get(key)) as Uint8Array)
    bytes[70] = (bytes[70] as number) ^ 1
    await stage.store.replace(key, bytes)
    const policy = { days: 2 }
    const stopped = await stage.prune({ policy, graceHours: 0 })
    assert.deepEqual([stopped.givenUp.backups, stopped.givenUp.packs, stopped.givenUp.segments], [[], 0, 0])
    assert.ok(
      stopped.doubts.some((doubt) => doubt.includes(key)),
      stopped.doubts.join('\n'),
    )
    assert.equal(stopped.deleted.objects, 0)
    const forgotten = await stage.prune({ policy, graceHours: 0, forgetDamaged: true })
    assert.ok(forgotten.givenUp.backups.includes(damaged))
    await assertInvariants(stage.retake, series.backups)
    await assertNothingLeft(stage.retake)
  })

  test('what cannot be read of another cluster stops the packs, and its packs are never taken', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    const series = await writeSeries(stage, 10)
    const other = await BackupSeries.begin(stage.retake.repository, 'other')
    other.change(['a', 'b'])
    const backup = await other.backUp(stage.clock.now())
    const key = manifestKey('other', backup.backupId)
    const whole = (await stage.store.get(key)) as Uint8Array
    await stage.store.replace(key, whole.slice(0, 100))
    const stopped = await stage.prune({ policy: { days: 2 }, graceHours: 0 })
    assert.equal(stopped.givenUp.packs, 0)
    assert.ok(stopped.doubts.some((doubt) => doubt.includes(key)))
    await stage.store.replace(key, whole)
    await stage.prune({ policy: { days: 2 }, graceHours: 0 })
    await stage.prune({ policy: { days: 2 }, graceHours: 0 })
    await assertInvariants(stage.retake, series.backups)
    await assertNothingLeft(stage.retake)
    assert.equal((await Array.fromAsync(stage.store.list('clusters/other/backups/'))).length, 1)
  })

  test('an object that the storage has locked is deleted by a later run', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    const series = await writeSeries(stage, 10)
    const store = new FaultyStore(stage.store)
    const locked = new RetakeError('storage.locked', 'locked until tomorrow')
    store.plan('delete', { matching: (key) => key.startsWith('packs/'), error: locked })
    store.plan('delete', { matching: (key) => key.includes('/backups/'), error: locked })
    const retake = await openRetakeOn(store, stage)
    const policy = { days: 2 }
    const report = await prune(retake, { policy, graceHours: 0, repackBelow: 0 }).result
    store.assertAllHit()
    assert.equal(report.locked.length, 2)
    assert.deepEqual(
      report.pending.map(({ waitsFor }) => waitsFor),
      ['lock'],
    )
    await assertInvariants(stage.retake, series.backups)
    const later = await stage.prune({ policy, graceHours: 0, repackBelow: 0 })
    assert.deepEqual(later.pending, [])
    await assertNothingLeft(stage.retake)
  })

  test('a record that cannot be read stops everything, and costs nothing else', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    const series = await writeSeries(stage, 6)
    await stage.prune({ policy: { days: 2 } })
    const [record] = (await readCondemned(await stage.retake.cluster())).records
    const key = record?.key as string
    const bytes = (await stage.store.get(key)) as Uint8Array
    await stage.store.replace(key, bytes.slice(0, -1))
    await assert.rejects(stage.prune({ graceHours: 0 }), (error) => isRetakeError(error, 'repo.damaged'))
    // Nothing was deleted by it, so what it gave up is whole, and is listed again.
    const listed = await assertInvariants(stage.retake, series.backups)
    assert.equal(listed.length, 6)
    const report = await verify(stage.retake).result
    assert.ok(report.findings.some(({ object, severity }) => object === key && severity === 'warning'))
  })

  test('without any backup that can be restored nothing is given up', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    const series = await writeSeries(stage, 3)
    for await (const { key } of stage.store.list('clusters/main/wal/00000001/')) await stage.store.delete(key)
    stage.clock.ms += 100 * DAY_MS
    const report = await stage.prune({ policy: { days: 1 }, graceHours: 0 })
    assert.deepEqual(report.givenUp.backups, [])
    assert.equal((await idsOf(stage)).length, series.backups.length)
  })

  test('a policy can be looked at into the future', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    await writeSeries(stage, 3)
    const { days } = await simulate(stage.retake, { days: 40, policy: { days: 7, weekly: 4 } })
    assert.equal(days.length, 41)
    const last = days.at(-1)
    // 8 days with a backup each (the eighth is what the window stands on), and weeks before these.
    assert.deepEqual([last?.made, last?.dropped], [1, 1])
    assert.ok(last && last.backups >= 10 && last.backups <= 11, String(last?.backups))
    assert.equal(Date.parse(last?.at as string) - Date.parse(last?.windowFrom as string), 7 * DAY_MS)
  })
  test('a look into the future counts what backups share as long as one of them needs it', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    await writeSeries(stage, 3)
    const policy = { days: 2 }
    const today = await stage.prune({ dryRun: true, policy })
    const { days, backupBytes } = await simulate(stage.retake, { days: 40, policy })
    assert.equal(days[0]?.packBytes, today.plan.bytes.packsAfter)
    const last = days.at(-1)
    assert.ok(last)
    // The first backup is long gone, and most of its packs are in use nevertheless.
    const only = await stage.prune({ dryRun: true, policy: { days: 0 } })
    assert.equal(last.packBytes, only.plan.bytes.packsAfter + (last.backups - 1) * backupBytes)
    assert.ok(only.plan.bytes.packsAfter > 3 * backupBytes)
  })

  test('a look into the future reads no manifest of a backup that the policy drops at once', async () => {
    const stage = await createStage('2026-11-01T00:00:00.000Z')
    const series = await writeSeries(stage, 10)
    const store = new FaultyStore(stage.store)
    const retake = await openRetakeOn(store, stage)
    const plan = await stage.prune({ dryRun: true, policy: { days: 2 } })
    const keptIds = plan.plan.backups.flatMap(({ action, backupId }) => (action === 'keep' ? [backupId] : []))
    assert.ok(keptIds.length < series.backups.length)
    const readsOf = async (work: () => Promise<unknown>) => {
      const before = store.calls.length
      await work()
      const calls = store.calls.slice(before).filter((call) => call.startsWith('get '))
      return ({ backupId }: { readonly backupId: string }) => calls.filter((call) => call.endsWith(backupId)).length
    }
    const listed = await readsOf(() => listBackups(retake))
    const looked = await readsOf(() => simulate(retake, { days: 5, policy: { days: 2 } }))
    for (const backup of series.backups) {
      // Without an index each listing reads the summaries, twice here.
      const more = looked(backup) - 2 * listed(backup)
      assert.equal(more > 0, keptIds.includes(backup.backupId), `${backup.backupId}: ${more}`)
    }
  })
})
