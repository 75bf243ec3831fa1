import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../base/clock.ts'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { createEpoch } from '../../repository/epochs.ts'
import { sha256Hex } from '../../repository/keys/digest.ts'
import type { KeyMaterial } from '../../repository/keys/key-material.ts'
import { acquireLease } from '../../repository/lease.ts'
import { listBackups } from '../../repository/manifest-store.ts'
import { openRepository, type Repository } from '../../repository/repository.ts'
import {
  createExampleRepository,
  exampleFacts,
  writeExampleBackup,
} from '../../repository/testing/example-repository.ts'
import { verifyRepository } from '../../repository/verify.ts'
import { createMemoryStore } from '../../storage/memory-store.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { copyStore } from '../../storage/testing/copy-store.ts'
import { FaultyStore } from '../../storage/testing/faulty-store.ts'
import { assembleRetake, retakeSettings } from '../open.ts'
import { readKeysStatus } from './keys-status.ts'
import { shredCluster } from './shred.ts'

const code = (expected: string) => (error: unknown) => isRetakeError(error) && error.code === expected
const open = async (store: ObjectStore, key: KeyMaterial) =>
  assembleRetake(retakeSettings({}), await openRepository(store, key))
const confirmed = { cluster: 'main', confirm: 'main', by: 'ann@host' }

async function problems(repository: Repository): Promise<string[]> {
  const { findings } = await verifyRepository({ repository, depth: 'deep' })
  return findings.flatMap(({ severity, object }) => (severity === 'notice' ? [] : [`${severity} ${object}`]))
}

const template = createMemoryStore()
const { repository: made, key: templateKey } = await createExampleRepository(template)
await createEpoch({ ...made, clock: systemClock }, 'main')
const otherCluster = await made.registerCluster({ ...exampleFacts, name: 'other' })
await writeExampleBackup(otherCluster, { backupId: '20261122T120000Z-0000000d' })

/** Two clusters; the first has two epochs, and is the one to be shredded. */
async function twoClusters() {
  const store = await copyStore(template)
  return { store, key: templateKey, retake: await open(store, templateKey) }
}

test('without the name nothing is destroyed, and a plan says what would be', async () => {
  const { retake, store } = await twoClusters()
  const before = (await Array.fromAsync(store.list(''))).map(({ key }) => key)
  await assert.rejects(shredCluster(retake, { cluster: 'main' }), code('key.refused'))
  await assert.rejects(shredCluster(retake, { cluster: 'main', confirm: 'other' }), code('key.refused'))
  const plan = await shredCluster(retake, { cluster: 'main', dryRun: true })
  const copies = [{ copy: undefined, url: store.url, objects: 2, versions: 2 }]
  assert.deepEqual(plan, { cluster: 'main', outcome: 'planned', backups: 2, packs: 4, epochs: 2, copies })
  assert.deepEqual(
    (await Array.fromAsync(store.list(''))).map(({ key }) => key),
    before,
  )
})

test('a shredded cluster cannot be opened by any key, leaves a proof, and harms no other', async () => {
  const { retake, store, key } = await twoClusters()
  const keys = await Promise.all(
    ['00000001', '00000002'].map(async (epoch) => {
      const object = `clusters/main/keys/${epoch}`
      return { object, epoch: Number(epoch), sha256: sha256Hex((await store.get(object)) ?? new Uint8Array(0)) }
    }),
  )
  const report = await shredCluster(retake, confirmed)
  assert.deepEqual([report.outcome, report.backups, report.packs, report.epochs], ['shredded', 2, 4, 2])
  const again = await open(store, key)
  await assert.rejects(again.repository.openCluster('main'), code('cluster.shredded'))
  await assert.rejects(again.repository.registerCluster(exampleFacts), code('cluster.shredded'))
  const left = (await Array.fromAsync(store.list('clusters/main/'))).map(({ key: name }) => name)
  assert.ok(!left.some((name) => name.startsWith('clusters/main/keys/') || name.includes('/leases/')), left.join())
  const { clusters, recommendations } = await readKeysStatus(again)
  const proof = clusters.find(({ cluster }) => cluster === 'main')?.shredded
  assert.deepEqual([proof?.keys, proof?.by, proof?.packs], [keys, 'ann@host', 4])
  assert.ok(proof?.doneAt)
  assert.ok(!recommendations.some((sentence) => sentence.includes('main')), recommendations.join())
  // The other backup of this test has no WAL, which is damage of its own.
  assert.deepEqual(
    (await problems(again.repository)).filter((one) => !one.includes('clusters/other/')),
    [],
  )
  assert.equal((await listBackups(await again.repository.openCluster('other'))).length, 1)
  assert.equal((await shredCluster(again, confirmed)).outcome, 'was-shredded')
})

test('what nobody can read any more is deleted when that is asked for, and nothing else', async () => {
  const { retake, store, key } = await twoClusters()
  const others = (await Array.fromAsync(store.list('clusters/other/'))).length
  const report = await shredCluster(retake, { ...confirmed, deleteObjects: true })
  assert.ok((report.deleted?.objects ?? 0) > 20)
  const left = (await Array.fromAsync(store.list('clusters/main/'))).map(({ key: name }) => name)
  assert.deepEqual(left, ['clusters/main/cluster', 'clusters/main/shred/begun', 'clusters/main/shred/done'])
  assert.equal((await Array.fromAsync(store.list('packs/'))).length, 2)
  assert.equal((await Array.fromAsync(store.list('clusters/other/'))).length, others)
  const again = await open(store, key)
  assert.deepEqual(
    (await problems(again.repository)).filter((one) => !one.includes('clusters/other/')),
    [],
  )
})

test('a key that the storage keeps locked is noticed before anything is recorded', async () => {
  const { store, key } = await twoClusters()
  const until = new Date(Date.now() + 86_400_000)
  class LockingStore extends FaultyStore {
    override get versions() {
      return async (prefix: string) =>
        (await Array.fromAsync(this.list(prefix))).map(({ key }) => ({ key, lockedUntil: until, hasLegalHold: false }))
    }
  }
  const before = (await Array.fromAsync(store.list(''))).map(({ key: name }) => name)
  const again = await open(new LockingStore(store), key)
  const refused = (error: unknown) =>
    isRetakeError(error, 'storage.locked') && error.details.until === until.toISOString()
  await assert.rejects(shredCluster(again, { ...confirmed, dryRun: true }), refused)
  await assert.rejects(shredCluster(again, confirmed), refused)
  assert.deepEqual(
    (await Array.fromAsync(store.list(''))).map(({ key: name }) => name),
    before,
  )
  assert.equal((await listBackups(await again.repository.openCluster('main'))).length, 2)
})

test('one that is cut short says so instead of that the keys are gone', async () => {
  const { retake, store, key } = await twoClusters()
  const faulty = new FaultyStore(store).plan('delete', {
    matching: (name) => name.includes('/keys/'),
    error: new RetakeError('storage.locked', 'locked'),
  })
  await assert.rejects(shredCluster(await open(faulty, key), confirmed), code('storage.locked'))
  const unfinished = (error: unknown) => isRetakeError(error, 'cluster.shredded') && /not complete/.test(error.message)
  await assert.rejects((await open(store, key)).repository.openCluster('main'), unfinished)
  await shredCluster(retake, confirmed)
  const gone = (error: unknown) => isRetakeError(error, 'cluster.shredded') && /were destroyed/.test(error.message)
  await assert.rejects((await open(store, key)).repository.openCluster('main'), gone)
})

test('a key that comes back is found, and destroyed again', async () => {
  const { retake, store, key } = await twoClusters()
  const epoch = (await store.get('clusters/main/keys/00000001')) as Uint8Array
  await shredCluster(retake, confirmed)
  await store.create('clusters/main/keys/00000001', epoch)
  const again = await open(store, key)
  await assert.rejects(again.repository.openCluster('main'), code('cluster.shredded'))
  assert.ok((await problems(again.repository)).includes('error clusters/main/keys/00000001'))
  await shredCluster(again, confirmed)
  assert.equal(await store.head('clusters/main/keys/00000001'), undefined)
})

test('while anything of the cluster runs it is refused', async () => {
  const { retake } = await twoClusters()
  const cluster = await retake.repository.openCluster('main')
  for (const role of ['backup', 'wal', 'prune'] as const) {
    await using _held = await acquireLease(cluster, { role, holder: 'something' })
    await assert.rejects(shredCluster(retake, confirmed), code('repo.locked'))
  }
  assert.equal((await listBackups(cluster)).length, 2)
  await assert.rejects(shredCluster(retake, { cluster: 'none', confirm: 'none' }), code('cluster.missing'))
})

test('who took a lease while the cluster was shredded steps back, and an epoch that was begun meanwhile goes', async () => {
  const { retake, store, key } = await twoClusters()
  const racing = new FaultyStore(store)
  racing.plan('create', {
    matching: (name) => name.includes('/leases/wal/'),
    before: async () => void (await shredCluster(retake, confirmed)),
  })
  const late = await (await openRepository(racing, key)).openCluster('main')
  await assert.rejects(acquireLease(late, { role: 'wal', holder: 'late' }), code('cluster.shredded'))
  racing.assertAllHit()
  assert.deepEqual(await Array.fromAsync(store.list('clusters/main/leases/')), [])

  const second = await twoClusters()
  const rotating = new FaultyStore(second.store).plan('create', {
    matching: (name) => name.includes('/keys/'),
    before: async () => void (await shredCluster(second.retake, confirmed)),
  })
  const { repository } = await open(rotating, second.key)
  await assert.rejects(createEpoch({ ...repository, clock: systemClock }, 'main'), code('cluster.shredded'))
  rotating.assertAllHit()
  assert.deepEqual(await Array.fromAsync(second.store.list('clusters/main/keys/')), [])
})

test('a shredding that fails at any call destroyed nothing, or is finished by the same command', async () => {
  const failure = new RetakeError('storage.failed', 'planned')
  const rehearsal = await twoClusters()
  const recorder = new FaultyStore(rehearsal.store)
  await shredCluster(await open(recorder, rehearsal.key), confirmed)
  let runs = 0
  for (const [index, call] of recorder.calls.entries()) {
    const point = call.split(' ')[0] as 'get'
    // What only reads fails alike wherever it is.
    if (['get', 'head', 'list'].includes(point) && index % 9 !== 0) continue
    const after = recorder.calls.slice(0, index).filter((one) => one.startsWith(`${point} `)).length
    for (const fault of [{ error: failure }, { errorAfter: failure }]) {
      const { store, key } = await twoClusters()
      const faulty = new FaultyStore(store).plan(point, { after, ...fault })
      const outcome = await open(faulty, key)
        .then((retake) => shredCluster(retake, confirmed))
        .catch((error: unknown) => error)
      faulty.assertAllHit()
      const again = await open(store, key)
      if (await store.head('clusters/main/shred/begun')) {
        await assert.rejects(again.repository.openCluster('main'), code('cluster.shredded'))
      } else {
        assert.equal(outcome, failure)
        assert.equal((await listBackups(await again.repository.openCluster('main'))).length, 2)
        // A lease that could not be released is free when its process has ended; here it is this one.
        for await (const { key: name } of store.list('clusters/main/leases/')) await store.delete(name)
      }
      await shredCluster(again, confirmed)
      assert.deepEqual(await Array.fromAsync(store.list('clusters/main/keys/')), [], call)
      runs += 1
    }
  }
  assert.ok(runs > 30, `only ${runs} runs`)
})
