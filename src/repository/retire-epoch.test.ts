import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { RetakeError } from '../base/errors.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { copyStore } from '../storage/testing/copy-store.ts'
import { FaultyStore } from '../storage/testing/faulty-store.ts'
import { readCondemned } from './condemned.ts'
import { createEpoch, readEpochs } from './epochs.ts'
import { epochKey, epochRecordKey, manifestKey, packKey } from './layout.ts'
import { acquireLease } from './lease.ts'
import { listManifests } from './manifest-revisions.ts'
import { listBackups } from './manifest-store.ts'
import { syncRepository } from './mirrors/sync.ts'
import { createMirroredExample } from './mirrors/testing/mirrored-example.ts'
import { openRepository } from './repository.ts'
import { reEncryptCluster } from './reseal/re-encrypt.ts'
import { readRetiredEpochs, retireEpochs } from './retire-epoch.ts'
import { contentId } from './sealing.ts'
import { deleteCondemned } from './sweep/delete.ts'
import { surveyPacks } from './sweep/survey.ts'
import { createExampleRepository } from './testing/example-repository.ts'
import { verifyRepository } from './verify.ts'

const DAY_MS = 86_400_000
const clockAt = (days: number) => ({
  ...systemClock,
  now: () => new Date(Date.now() + days * DAY_MS),
  monotonicMs: () => 0,
})

/** Two backups and WAL, sealed anew by a second epoch; what was replaced is gone, as after pruning. */
const template = createMemoryStore()
const { repository: made, key, backups: madeBackups } = await createExampleRepository(template)
await createEpoch({ ...made, clock: systemClock }, 'main')
const oldPacks = new Set(madeBackups.flatMap(({ packIds }) => packIds))
await reEncryptCluster(await made.openCluster('main'))
const replaced = await copyStore(template)
await prune(template)

async function prune(store: ObjectStore): Promise<void> {
  for (const packId of oldPacks) await store.delete(packKey(packId))
  for (const { backupId } of madeBackups) await store.delete(manifestKey('main', backupId))
  for await (const { key: name } of store.list('clusters/main/condemned/')) await store.delete(name)
}

async function retire(store: ObjectStore, days = 0) {
  const repository = await openRepository(store, key)
  const outcomes = await retireEpochs(repository, await repository.openCluster('main'), {
    by: 'ann@host',
    clock: clockAt(days),
  })
  return outcomes.map(({ epoch, outcome }) => `${epoch} ${outcome}`)
}

async function problems(store: ObjectStore): Promise<string[]> {
  const { findings } = await verifyRepository({ repository: await openRepository(store, key), depth: 'deep' })
  return findings.flatMap(({ severity, object }) => (severity === 'notice' ? [] : [`${severity} ${object}`]))
}

test('a key that seals nothing is announced, and after the time of grace destroyed; content ids stay the same', async () => {
  const store = await copyStore(template)
  const repository = await openRepository(store, key)
  const bytes = Buffer.from('the same')
  const id = contentId((await repository.openCluster('main')).sealing, bytes)
  assert.deepEqual(await retire(store), ['1 announced'])
  assert.deepEqual(await retire(store, 6), ['1 waiting'])
  assert.deepEqual(await problems(store), [])
  assert.deepEqual(await retire(store, 8), ['1 retired'])
  assert.equal(await store.head(epochKey('main', 1)), undefined)
  const reopened = await openRepository(store, key)
  const cluster = await reopened.openCluster('main')
  assert.equal(contentId(cluster.sealing, bytes), id)
  assert.equal((await listBackups(cluster)).length, 2)
  assert.deepEqual(await problems(store), [])
  const { retired } = await readRetiredEpochs(reopened, 'main')
  assert.deepEqual(
    retired.map(({ epoch, by }) => [epoch, by]),
    [[1, 'ann@host']],
  )
  assert.deepEqual(await retire(store, 9), [])
  assert.equal((await createEpoch({ ...reopened, clock: systemClock }, 'main')).epoch, 3)
})

test('a key that still seals something stays: what was replaced and not yet pruned, or what a writer may write', async () => {
  assert.deepEqual(await retire(await copyStore(replaced)), ['1 in-use'])
  const store = await copyStore(template)
  const repository = await openRepository(store, key)
  const cluster = await repository.openCluster('main')
  const lease = await acquireLease(cluster, { role: 'wal', holder: 'retake wal receive' })
  assert.deepEqual(await retire(store), ['1 announced'], 'a writer that began after the rotation is in nobody’s way')
  const { epoch } = await createEpoch({ ...repository, clock: systemClock }, 'main')
  assert.equal(epoch, 3)
  const [first, second] = await retire(store, 8)
  assert.deepEqual([first, second], ['1 retired', '2 in-use'])
  await lease[Symbol.asyncDispose]()
})

test('an announcement counts no longer when the key is found in use again', async () => {
  const store = await copyStore(template)
  await retire(store)
  const old = (await replaced.get(manifestKey('main', madeBackups[0]?.backupId ?? ''))) as Uint8Array
  await store.create(manifestKey('main', madeBackups[0]?.backupId ?? ''), old)
  assert.deepEqual(await retire(store, 8), ['1 in-use'])
  await store.delete(manifestKey('main', madeBackups[0]?.backupId ?? ''))
  assert.deepEqual(await retire(store, 8), ['1 announced'])
})

test('a key that was lost, or that has come back, is told from one that was retired', async () => {
  const store = await copyStore(template)
  const bytes = (await store.get(epochKey('main', 1))) as Uint8Array
  await retire(store)
  await retire(store, 8)
  await store.create(epochKey('main', 1), bytes)
  assert.deepEqual(await problems(store), [`warning ${epochKey('main', 1)}`])
  assert.deepEqual(await retire(store, 8), ['1 announced'])
  assert.deepEqual(await retire(store, 16), ['1 retired'])
  assert.deepEqual(await problems(store), [])
  await store.delete(epochRecordKey('main', 1, 'retired'))
  assert.deepEqual(await problems(store), [`error ${epochKey('main', 1)}`])
})

test('retiring that fails at any call destroys no key that is needed, and goes on where it was', async () => {
  const failure = new RetakeError('storage.failed', 'planned')
  const announced = await copyStore(template)
  await retire(announced)
  const recorder = new FaultyStore(await copyStore(announced))
  await retire(recorder, 8)
  let runs = 0
  for (const [index, call] of recorder.calls.entries()) {
    const point = call.split(' ')[0] as 'get'
    if (['get', 'head', 'list'].includes(point) && index % 12 !== 0) continue
    const after = recorder.calls.slice(0, index).filter((one) => one.startsWith(`${point} `)).length
    for (const fault of [{ error: failure }, { errorAfter: failure }]) {
      const store = await copyStore(announced)
      const faulty = new FaultyStore(store).plan(point, { after, ...fault })
      await retire(faulty, 8).catch((error: unknown) => assert.equal(error, failure))
      faulty.assertAllHit()
      for await (const { key: name } of store.list('clusters/main/leases/')) await store.delete(name)
      const repository = await openRepository(store, key)
      assert.equal((await listBackups(await repository.openCluster('main'))).length, 2, call)
      await retire(store, 8)
      assert.deepEqual(
        (await readEpochs(repository, 'main')).map(({ epoch }) => epoch),
        [2],
        call,
      )
      runs += 1
    }
  }
  assert.ok(runs > 12, `only ${runs} runs`)
  assert.deepEqual((await readCondemned(await (await openRepository(announced, key)).openCluster('main'))).records, [])
  assert.equal((await listManifests(await (await openRepository(announced, key)).openCluster('main'))).size, 2)
})

test('a copy that was away while everything was sealed anew keeps the old key from being destroyed until it has caught up', async () => {
  const mirrored = await createMirroredExample()
  const [, north] = mirrored.places
  const segment = 'clusters/main/wal/00000001/0000000000000002'
  const old = (await mirrored.places[0]?.memory.get(segment)) ?? new Uint8Array(0)
  {
    await using repository = await mirrored.open()
    await syncRepository({ repository, setUp: true })
    await createEpoch({ ...repository, clock: systemClock }, 'main')
  }
  if (north) north.gate.state = 'down'
  {
    await using repository = await mirrored.open()
    const cluster = await repository.openCluster('main')
    await assert.rejects(reEncryptCluster(cluster), /north cannot be reached or has not caught up/)
  }
  if (north) north.gate.state = 'up'
  // Nothing that was replaced is left in the first copy, so that only the other one needs the old key.
  await using repository = await mirrored.open()
  await syncRepository({ repository, full: true })
  const cluster = await repository.openCluster('main')
  assert.deepEqual((await reEncryptCluster(cluster)).left, [])
  {
    await using _lease = await acquireLease(cluster, { role: 'prune', holder: 'x' })
    await deleteCondemned(cluster, { survey: () => surveyPacks({ repository, cluster }), graceMs: 0 })
  }
  const retireThere = async (days: number) =>
    (await retireEpochs(repository, cluster, { by: 'ann@host', clock: clockAt(days) })).map(
      ({ epoch, outcome, because }) => `${epoch} ${outcome}${because ? `: ${because}` : ''}`,
    )
  const now = (await north?.memory.get(segment)) ?? new Uint8Array(0)
  await north?.memory.replace(segment, old)
  assert.match((await retireThere(0)).join(), /^1 in-use: the copy "north" still has objects that it seals/)
  await north?.memory.replace(segment, now)
  assert.deepEqual(await retireThere(0), ['1 announced'])
  assert.deepEqual(await retireThere(8), ['1 retired'])
  for (const { memory } of mirrored.places) assert.equal(await memory.head(epochKey('main', 1)), undefined)
})
