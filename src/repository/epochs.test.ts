import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { isRetakeError } from '../base/errors.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { FaultyStore } from '../storage/testing/faulty-store.ts'
import { openContainer } from './container.ts'
import { createEpoch, readEpochs } from './epochs.ts'
import { generateKey } from './keys/key-material.ts'
import { epochKey } from './layout.ts'
import { acquireLease } from './lease.ts'
import { createRepository, openRepository, type Repository } from './repository.ts'
import { contentId } from './sealing.ts'
import { createExampleRepository, exampleFacts, writeExampleBackup } from './testing/example-repository.ts'
import { verifyRepository } from './verify.ts'
import { readSegment } from './wal-segments.ts'

const rotate = (repository: Repository) => createEpoch({ ...repository, clock: systemClock }, 'main')

test('after a rotation writers seal with the new epoch, everything opens, and equal content has the same id', async () => {
  const { repository, key, cluster } = await createExampleRepository(createMemoryStore())
  const bytes = randomBytes(100)
  const before = contentId(cluster.sealing, bytes)
  const { epoch, created } = await rotate(repository)
  assert.deepEqual([epoch, created], [2, true])
  const reopened = await (await openRepository(repository.store, key)).openCluster('main')
  assert.equal(reopened.sealing.epoch, 2)
  assert.equal(contentId(reopened.sealing, bytes), before)
  const backup = await writeExampleBackup(reopened, { backupId: '20261122T110000Z-0000000c' })
  const { findings, backups } = await verifyRepository({ repository, depth: 'deep' })
  assert.deepEqual([findings.filter(({ severity }) => severity === 'error'), backups], [[], 3])
  const pack = { key: `packs/${backup.packIds[0]?.slice(-2)}/${backup.packIds[0]}`, kind: 'pack' } as const
  assert.equal((await openContainer(repository.store, reopened.sealing, pack))?.epoch, 2)
  assert.deepEqual(
    (await readEpochs(repository, 'main')).map((one) => one.epoch),
    [1, 2],
  )
})

test('a cluster that is open while its key is rotated reads what is new, and seals with the new epoch from its next lease on', async () => {
  const { repository, cluster, key } = await createExampleRepository(createMemoryStore())
  await rotate(repository)
  assert.equal(cluster.sealing.epoch, 1)
  const other = await (await openRepository(repository.store, key)).openCluster('main')
  const { packIds } = await writeExampleBackup(other, { backupId: '20261122T110000Z-0000000c' })
  const name = { key: `packs/${packIds[0]?.slice(-2)}/${packIds[0]}`, kind: 'pack' } as const
  assert.equal((await openContainer(repository.store, cluster.sealing, name))?.frames.length, 3)
  await using _lease = await acquireLease(cluster, { role: 'wal', holder: 'x' })
  assert.equal(cluster.sealing.epoch, 2)
  for await (const _ of readSegment(cluster, { timeline: 1, segment: 1n, partial: false }));
})

test('a lease that was taken while the key was rotated is taken again under the new epoch', async () => {
  const inner = createMemoryStore()
  const key = generateKey()
  const repository = await createRepository(inner, key)
  await repository.registerCluster(exampleFacts)
  const store = new FaultyStore(inner).plan('create', {
    matching: (name) => name.includes('/leases/'),
    before: async () => void (await rotate(repository)),
  })
  const cluster = await (await openRepository(store, key)).openCluster('main')
  await using lease = await acquireLease(cluster, { role: 'backup', holder: 'x' })
  store.assertAllHit()
  await lease.assertHeld()
  const leases = await Array.fromAsync(inner.list('clusters/main/leases/'))
  assert.equal(leases.length, 1)
  assert.equal(cluster.sealing.epoch, 2)
})

test('of rotations at the same time one makes the epoch, and all name the same', async () => {
  const repository = await createRepository(createMemoryStore(), generateKey())
  await repository.registerCluster(exampleFacts)
  const outcomes = await Promise.all(Array.from({ length: 5 }, () => rotate(repository)))
  assert.deepEqual(
    outcomes.map(({ epoch }) => epoch),
    [2, 2, 2, 2, 2],
  )
  assert.equal(outcomes.filter(({ created }) => created).length, 1)
  assert.equal(new Set(outcomes.map(({ createdAt }) => createdAt)).size, 1)
})

test('a key that is gone is damage of every object that it sealed', async () => {
  const { repository, cluster, backups } = await createExampleRepository(createMemoryStore())
  await rotate(repository)
  await repository.store.delete(epochKey('main', 1))
  await cluster.sealing.refresh?.()
  const name = { key: `packs/${backups[0]?.packIds[0]?.slice(-2)}/${backups[0]?.packIds[0]}`, kind: 'pack' } as const
  await assert.rejects(openContainer(repository.store, cluster.sealing, name), (error) => {
    assert.ok(isRetakeError(error, 'repo.damaged'))
    assert.match(error.message, /key epoch 1, whose key is not in the repository/)
    return true
  })
})
