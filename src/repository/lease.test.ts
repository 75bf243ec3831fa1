import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mock, test } from 'node:test'
import type { Clock } from '../base/clock.ts'
import { isRetakeError } from '../base/errors.ts'
import { currentProcess, type ProcessIdentity } from '../base/process-identity.ts'
import { silentLogger } from '../base/progress.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { FaultyStore } from '../storage/testing/faulty-store.ts'
import type { ClusterRepository } from './cluster.ts'
import { putSmall } from './container.ts'
import { acquireLease, readLeaseHolder } from './lease.ts'
import type { LeaseRecord } from './lease-record.ts'
import { importSealing } from './sealing.ts'
import { exampleFacts } from './testing/example-repository.ts'

const sealing = importSealing({ repositoryId: 'a'.repeat(32), epochs: [{ epoch: 1, key: randomBytes(32) }] })
const isCode = (code: string) => (error: unknown) => isRetakeError(error) && error.code === code
const me = currentProcess()
/** On another machine: whether it lives cannot be known from here. */
const foreign: ProcessIdentity = { ...me, host: 'other', realm: '00000000', pid: 1 }

function clusterOn(store: ObjectStore): ClusterRepository {
  return { facts: exampleFacts, store, sealing }
}

function testClock(): Clock & { ms: number } {
  return {
    ms: Date.parse('2026-11-22T09:00:00Z'),
    now() {
      return new Date(this.ms)
    },
    monotonicMs() {
      return this.ms
    },
  }
}

async function keysOf(store: ObjectStore): Promise<string[]> {
  return (await Array.fromAsync(store.list(''))).map(({ key }) => key)
}

async function plant(cluster: ClusterRepository, generation: string, record: Partial<LeaseRecord>): Promise<void> {
  const at = '2026-11-22T09:00:00.000Z'
  const meta = {
    token: 't',
    holder: 'planted',
    process: foreign,
    acquiredAt: at,
    renewedAt: at,
    ttlMs: 60_000,
    epoch: 1,
    ...record,
  }
  await putSmall(cluster.store, sealing, { key: `clusters/main/leases/backup/${generation}`, kind: 'lease', meta })
}

test('one of two at once gets the lease, the other learns who holds it', async () => {
  const cluster = clusterOn(createMemoryStore())
  const attempts = Array.from({ length: 6 }, (_, index) =>
    acquireLease(cluster, { role: 'backup', holder: `number ${index}` }),
  )
  const outcomes = await Promise.allSettled(attempts)
  const held = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  assert.equal(held.length, 1)
  for (const outcome of outcomes) if (outcome.status === 'rejected') assert.ok(isCode('repo.locked')(outcome.reason))
  const holder = await readLeaseHolder(cluster, { role: 'backup' })
  await assert.rejects(acquireLease(cluster, { role: 'backup', holder: 'late' }), (error) => {
    assert.ok(isRetakeError(error, 'repo.locked'))
    assert.ok(error.message.includes(`${holder?.holder} (process ${process.pid} on ${me.host}`), error.message)
    return true
  })
  await using other = await acquireLease(cluster, { role: 'wal', holder: 'the receiver' })
  await other.assertHeld()
  await held[0]?.assertHeld()
  await held[0]?.[Symbol.asyncDispose]()
  await held[0]?.[Symbol.asyncDispose]()
  assert.equal(await readLeaseHolder(cluster, { role: 'backup' }), undefined)
  await using again = await acquireLease(cluster, { role: 'backup', holder: 'again' })
  await again.assertHeld()
})

test('a lease that cannot be read blocks, and the error says what to do', async () => {
  const cluster = clusterOn(createMemoryStore())
  const key = 'clusters/main/leases/backup/0000000000000001'
  await cluster.store.create(key, Buffer.from('rubbish'))
  await assert.rejects(acquireLease(cluster, { role: 'backup', holder: 'x' }), (error) => {
    assert.ok(isRetakeError(error, 'repo.damaged'))
    assert.ok(error.message.includes(key) && error.hint?.includes(`delete ${key}`))
    return true
  })
})

test('a released lease leaves no object', async () => {
  const cluster = clusterOn(createMemoryStore())
  {
    await using lease = await acquireLease(cluster, { role: 'backup', holder: 'x' })
    await lease.assertHeld()
    assert.equal((await keysOf(cluster.store)).length, 1)
  }
  assert.deepEqual(await keysOf(cluster.store), [])
})

test('what an ended process of this host held is taken over at once', async () => {
  const cluster = clusterOn(createMemoryStore())
  const ended = spawnSync(process.execPath, ['-e', ''])
  const process_ = { ...me, pid: ended.pid, started: '1' }
  await plant(cluster, '0000000000000007', { process: process_, renewedAt: new Date().toISOString() })
  const warnings: string[] = []
  const logger = { ...silentLogger, warn: (message: string) => warnings.push(message) }
  await using lease = await acquireLease(cluster, { role: 'backup', holder: 'next', logger })
  await lease.assertHeld()
  assert.equal(warnings.length, 1)
  assert.deepEqual(await keysOf(cluster.store), ['clusters/main/leases/backup/0000000000000008'])
})

test('what another host holds counts until its time is over', async () => {
  const cluster = clusterOn(createMemoryStore())
  const clock = testClock()
  await plant(cluster, '0000000000000001', {})
  clock.ms += 59_000
  await assert.rejects(acquireLease(cluster, { role: 'backup', holder: 'x', clock }), isCode('repo.locked'))
  clock.ms += 1000
  await using lease = await acquireLease(cluster, { role: 'backup', holder: 'x', clock })
  await lease.assertHeld()
})

test('a holder that was taken over learns it, aborts its work, and does not release the other', async () => {
  const cluster = clusterOn(createMemoryStore())
  const lease = await acquireLease(cluster, { role: 'backup', holder: 'slow' })
  await plant(cluster, '0000000000000002', { renewedAt: new Date().toISOString() })
  assert.equal(lease.signal.aborted, false)
  await assert.rejects(lease.assertHeld(), isCode('repo.lease-lost'))
  assert.ok(isCode('repo.lease-lost')(lease.signal.reason))
  await lease[Symbol.asyncDispose]()
  assert.ok(await cluster.store.head('clusters/main/leases/backup/0000000000000002'))
})

test('a rival that slipped in between is seen after creating, and the later one steps back', async () => {
  const store = new FaultyStore(createMemoryStore())
  const cluster = clusterOn(store)
  const now = new Date().toISOString()
  // Somebody listed nothing, and creates after another has come and gone twice.
  store.plan('create', { before: () => plant(clusterOn(store.inner), '0000000000000009', { renewedAt: now }) })
  await assert.rejects(acquireLease(cluster, { role: 'backup', holder: 'x' }), isCode('repo.locked'))
  assert.deepEqual(await keysOf(store), ['clusters/main/leases/backup/0000000000000009'])
  store.assertAllHit()
})

test('a held lease is renewed by a timer; one that cannot be renewed in time is lost', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.after(() => mock.timers.reset())
  const store = new FaultyStore(createMemoryStore())
  const cluster = clusterOn(store)
  const clock = testClock()
  const lease = await acquireLease(cluster, { role: 'backup', holder: 'x', clock, ttlMs: 30_000 })
  const tick = async () => {
    clock.ms += 10_000
    mock.timers.tick(10_000)
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  for (let count = 0; count < 10; count++) await tick()
  assert.equal((await readLeaseHolder(cluster, { role: 'backup', clock }))?.renewedAt, clock.now().toISOString())
  const error = new Error('the storage is away')
  for (let count = 0; count < 3; count++) store.plan('replace', { error })
  await tick()
  await tick()
  assert.equal(lease.signal.aborted, false, 'there is time left to try again')
  await tick()
  assert.ok(isCode('repo.lease-lost')(lease.signal.reason))
  await assert.rejects(lease.assertHeld(), isCode('repo.lease-lost'))
  await lease[Symbol.asyncDispose]()
})
