/**
 * Pruning with repacking dies at every change that it makes, before it and after it, and fails at every call; afterwards R1 to R5
 * hold: every backup that is listed is whole, nothing that is referred to is missing, and the next run finishes what was begun.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRetakeError, RetakeError } from '../base/errors.ts'
import { BackupSeries, type SeriesBackup } from '../repository/testing/backup-series.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { type FaultPoint, FaultyStore } from '../storage/testing/faulty-store.ts'
import { MortalStore } from '../storage/testing/mortal-store.ts'
import { prune } from './prune.ts'
import {
  assertInvariants,
  assertNothingLeft,
  createStage,
  DAY_MS,
  MovableClock,
  openRetakeOn,
  type PruneStage,
} from './testing/prune-stage.ts'

const OPTIONS = { policy: { days: 11 }, graceHours: 0 } as const

interface Prepared {
  readonly stage: PruneStage
  readonly backups: readonly SeriesBackup[]
  readonly kept: readonly string[]
}

/** Four backups, two of which go; of the first one's pack a little is still needed, so that it is rewritten. */
async function prepare(): Promise<Prepared> {
  const stage = await createStage('2026-11-01T00:00:00.000Z')
  const series = await BackupSeries.begin(stage.retake.repository)
  series.change(['a', 'b', 'c', 'd', 'e', 'f'])
  for (const changed of [['a'], ['a', 'b', 'c'], ['a', 'b', 'c', 'd'], ['a']]) {
    await series.backUp(stage.clock.now())
    await series.writeWal(1, stage.clock.now())
    series.change(changed)
    stage.clock.ms += 10 * DAY_MS
  }
  return { stage, backups: series.backups, kept: series.backups.slice(2).map(({ backupId }) => backupId) }
}

const prepared = await prepare()
const objects: [string, Uint8Array][] = []
for await (const { key } of prepared.stage.store.list(''))
  objects.push([key, (await prepared.stage.store.get(key)) as Uint8Array])

async function fresh() {
  const store = createMemoryStore()
  for (const [key, bytes] of objects) await store.create(key, bytes)
  return { store, key: prepared.stage.key, clock: new MovableClock(prepared.stage.clock.now().toISOString()) }
}

type Fresh = Awaited<ReturnType<typeof fresh>>

async function runOn(store: ObjectStore, subject: Fresh): Promise<unknown> {
  try {
    await prune(await openRetakeOn(store, subject), OPTIONS).result
    return undefined
  } catch (error) {
    return error
  }
}

/** What is there is whole; then a run without faults finishes the work, whatever was left of it. */
async function assertRecovers(subject: Fresh, what: string): Promise<void> {
  try {
    const retake = await openRetakeOn(subject.store, subject)
    const listed = await assertInvariants(retake, prepared.backups)
    for (const backupId of prepared.kept) assert.ok(listed.includes(backupId), `${backupId} is gone`)
    // The lease of what has died ends by its time.
    subject.clock.ms += 120_000
    assert.equal(await runOn(subject.store, subject), undefined)
    assert.deepEqual(await assertInvariants(retake, prepared.backups, { depth: 'quick' }), prepared.kept)
    await assertNothingLeft(retake)
  } catch (error) {
    throw new Error(`after ${what}: ${String(error)}`, { cause: error })
  }
}

test('it may die at any change', async (t) => {
  const subject = await fresh()
  const rehearsal = new MortalStore(subject.store, { at: Number.POSITIVE_INFINITY, afterwards: true })
  assert.equal(await runOn(rehearsal, subject), undefined)
  const { changes } = rehearsal
  await assertRecovers(subject, 'nothing')
  for (const kind of ['/condemned/', '.ready', '.rewrite', '.00000001', 'commit packs/', 'delete packs/', '/ranges/'])
    assert.ok(
      changes.some((change) => change.includes(kind)),
      `the run has ${kind}`,
    )
  t.diagnostic(`${changes.length} changes`)
  for (let at = 0; at < changes.length; at++) {
    for (const afterwards of [false, true]) {
      const dying = await fresh()
      const store = new MortalStore(dying.store, { at, afterwards })
      await runOn(store, dying)
      assert.ok(store.isDead)
      await assertRecovers(dying, `death ${afterwards ? 'after' : 'before'} change ${at}, ${store.changes.at(-1)}`)
    }
  }
})

test('it may fail at any call, and says so', async (t) => {
  const full = new RetakeError('storage.failed', 'planned failure')
  const subject = await fresh()
  const rehearsal = new FaultyStore(subject.store)
  assert.equal(await runOn(rehearsal, subject), undefined)
  const counts = new Map<FaultPoint, number>()
  for (const call of rehearsal.calls) {
    const point = call.split(' ')[0] as FaultPoint
    counts.set(point, (counts.get(point) ?? 0) + 1)
  }
  let runs = 0
  for (const [point, count] of counts) {
    // Changes fail one by one in the test above; here a sample of all calls.
    const step = Math.max(1, Math.floor(count / 4))
    for (let after = 0; after < count; after += step) {
      const failing = await fresh()
      const store = new FaultyStore(failing.store).plan(point, {
        after,
        [after % 2 === 0 ? 'error' : 'errorAfter']: full,
      })
      const outcome = await runOn(store, failing)
      store.assertAllHit()
      assert.ok(outcome === undefined || isRetakeError(outcome), String(outcome))
      await assertRecovers(failing, `a failure of ${point} ${after}`)
      runs += 1
    }
  }
  t.diagnostic(`${runs} failures`)
})
