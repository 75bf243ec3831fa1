/** Re-encryption that fails at any call of the storage: everything opens, nothing is lost, and the next run finishes. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { systemClock } from '../../base/clock.ts'
import { RetakeError } from '../../base/errors.ts'
import { createMemoryStore } from '../../storage/memory-store.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { copyStore } from '../../storage/testing/copy-store.ts'
import { type FaultPoint, FaultyStore } from '../../storage/testing/faulty-store.ts'
import { createContentHasher } from '../content-hash.ts'
import { readEpochUsage } from '../epoch-usage.ts'
import { createEpoch } from '../epochs.ts'
import { listBackups } from '../manifest-store.ts'
import { openRepository } from '../repository.ts'
import { listRuns } from '../runs.ts'
import { createExampleRepository } from '../testing/example-repository.ts'
import { verifyRepository } from '../verify.ts'
import { readTail } from '../wal-tail.ts'
import { reEncryptCluster } from './re-encrypt.ts'

const failure = new RetakeError('storage.failed', 'planned')
const template = createMemoryStore()
const { repository: made, key } = await createExampleRepository(template)
await createEpoch({ ...made, clock: systemClock }, 'main')
const open = async (store: ObjectStore) => (await openRepository(store, key)).openCluster('main')
const tailBefore = await tailContent(template)

async function tailContent(store: ObjectStore): Promise<string> {
  const cluster = await open(store)
  const hasher = createContentHasher(cluster.sealing.contentKey)
  for await (const piece of (await readTail(cluster, { timeline: 2, segment: 6n }))?.bytes ?? []) hasher.update(piece)
  return hasher.digest()
}

/** Deep: also of WAL segments every byte is compared with what it was, by its content id. */
async function assertWhole(store: ObjectStore, what: string): Promise<void> {
  const repository = await openRepository(store, key)
  const { findings } = await verifyRepository({ repository, depth: 'deep' })
  // A run that failed has left packs that only take up space; every one belongs to a record of it.
  assert.deepEqual(
    findings.filter(({ severity }) => severity !== 'notice'),
    [],
    what,
  )
  assert.equal((await listBackups(await repository.openCluster('main'))).length, 2, what)
  assert.equal(await tailContent(store), tailBefore, what)
}

/** A lease that could not be given back is free when its process has ended; here that is this one. */
async function endProcess(store: ObjectStore): Promise<void> {
  for await (const { key: name } of store.list('clusters/main/leases/')) await store.delete(name)
}

const WRITES: ReadonlySet<string> = new Set<FaultPoint>([
  'create',
  'openWriter',
  'write',
  'commit',
  'replace',
  'delete',
  'openAppender',
  'append',
  'sync',
])

test('whatever call fails, nothing is lost, and the next run finishes without beginning again', async (t) => {
  const recorder = new FaultyStore(await copyStore(template))
  await reEncryptCluster(await open(recorder))
  // Another share of the calls each time; the seed says which.
  const offset = randomInt(8)
  t.diagnostic(`offset ${offset}`)
  let runs = 0
  let adopted = 0
  for (const [index, call] of recorder.calls.entries()) {
    const point = call.split(' ')[0] as FaultPoint
    if (index % (WRITES.has(point) ? 8 : 48) !== offset) continue
    const after = recorder.calls.slice(0, index).filter((one) => one.startsWith(`${point} `)).length
    const fault = runs % 2 === 0 ? { error: failure } : { errorAfter: failure }
    const store = await copyStore(template)
    const faulty = new FaultyStore(store).plan(point, { after, ...fault })
    await open(faulty)
      .then((cluster) => reEncryptCluster(cluster))
      .catch((error: unknown) => assert.equal(error, failure, call))
    faulty.assertAllHit()
    await endProcess(store)
    await assertWhole(store, `after ${call}`)
    const packsMade = await countPacks(store)
    const report = await reEncryptCluster(await open(store))
    assert.deepEqual(report.left, [], call)
    await assertWhole(store, `finished after ${call}`)
    const old = (await readEpochUsage(await open(store))).get(1)
    assert.deepEqual(
      [old?.packs, old?.objects],
      [4, 2],
      `only what was replaced is left under the old key after ${call}`,
    )
    assert.equal((await listRuns(await open(store))).rewrites.size, 0, call)
    if (packsMade > 4 && (await countPacks(store)) === 8) adopted += 1
    runs += 1
  }
  assert.ok(runs > 8, `only ${runs} runs`)
  assert.ok(adopted > 0, `packs of an interrupted run were used only ${adopted} times`)
})

async function countPacks(store: ObjectStore): Promise<number> {
  return (await Array.fromAsync(store.list('packs/'))).length
}
