import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { RetakeError } from '../base/errors.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import type { ClusterRepository } from './cluster.ts'
import { ContainerWriter } from './container.ts'
import { manifestKey, packIdPrefix, packKey, runKey } from './layout.ts'
import { listBackups } from './manifest-store.ts'
import { beginRun, cleanInterruptedRuns } from './runs.ts'
import { createExampleRepository, exampleFacts } from './testing/example-repository.ts'
import { verifyRepository } from './verify.ts'

const isError = ({ severity }: { readonly severity: string }) => severity === 'error'

async function interruptedBackup(cluster: ClusterRepository, backupId: string): Promise<string[]> {
  await beginRun(cluster, backupId)
  const keys: string[] = []
  for (let count = 0; count < 3; count++) {
    const key = packKey(packIdPrefix(backupId) + randomBytes(12).toString('hex'))
    await using writer = await ContainerWriter.open(cluster.store, cluster.sealing, { key, kind: 'pack' })
    await writer.writeFrame(randomBytes(1000))
    await writer.commit({})
    keys.push(key)
  }
  return keys
}

test('what an interrupted backup left is removed, and nothing else', async () => {
  const { repository, cluster } = await createExampleRepository(createMemoryStore())
  const before = (await Array.fromAsync(repository.store.list(''))).length
  const leftovers = await interruptedBackup(cluster, '20261122T120000Z-0000000c')
  const cleaned = await cleanInterruptedRuns(cluster)
  assert.deepEqual(cleaned.backups, ['20261122T120000Z-0000000c'])
  assert.equal(cleaned.packsDeleted, leftovers.length)
  assert.ok(cleaned.bytes > 3000)
  assert.equal((await Array.fromAsync(repository.store.list(''))).length, before)
  assert.deepEqual((await verifyRepository({ repository, depth: 'deep' })).findings, [])
  assert.deepEqual(await cleanInterruptedRuns(cluster), { backups: [], packsDeleted: 0, bytes: 0 })
})

test('locked packs of an interrupted backup stay, with what names them, until their lock is over', async () => {
  const { repository, cluster } = await createExampleRepository(createMemoryStore())
  const [first = '', ...others] = await interruptedBackup(cluster, '20261122T120000Z-0000000c')
  let isLocked = true
  const store: ObjectStore = Object.assign(Object.create(cluster.store) as ObjectStore, {
    delete: async (key: string) => {
      if (isLocked && key === first) throw new RetakeError('storage.locked', `${key} is locked.`)
      return await repository.store.delete(key)
    },
  })
  for (const method of ['get', 'head', 'list', 'create'] as const) {
    Object.assign(store, { [method]: repository.store[method].bind(repository.store) })
  }
  const lockable = { ...cluster, store }
  const cleaned = await cleanInterruptedRuns(lockable)
  assert.deepEqual([cleaned.backups, cleaned.packsDeleted], [[], others.length])
  assert.deepEqual((await verifyRepository({ repository, depth: 'quick' })).findings.filter(isError), [])
  isLocked = false
  assert.equal((await cleanInterruptedRuns(lockable)).packsDeleted, 1)
  assert.equal(await repository.store.head(first), undefined)
})

test('a backup that lacks only its receipt gets it, and keeps its packs', async () => {
  const { repository, cluster, backups } = await createExampleRepository(createMemoryStore())
  const backupId = backups[0]?.backupId as string
  await repository.store.delete(runKey('main', backupId, 'done'))
  assert.equal((await verifyRepository({ repository, depth: 'quick' })).findings[0]?.severity, 'warning')
  assert.deepEqual((await cleanInterruptedRuns(cluster)).backups, [])
  assert.deepEqual((await verifyRepository({ repository, depth: 'deep' })).findings, [])
})

test('a completed backup whose manifest is lost is damage, and its packs are kept', async () => {
  const { repository, cluster, backups } = await createExampleRepository(createMemoryStore())
  const backupId = backups[1]?.backupId as string
  await repository.store.delete(manifestKey('main', backupId))
  assert.equal((await cleanInterruptedRuns(cluster)).packsDeleted, 0)
  const [finding] = (await verifyRepository({ repository, depth: 'quick' })).findings
  assert.deepEqual(
    [finding?.severity, finding?.object, finding?.backups],
    ['error', manifestKey('main', backupId), [backupId]],
  )
})

test('packs of another backup with the same eight digits are never deleted', async () => {
  const { repository, cluster } = await createExampleRepository(createMemoryStore())
  const other = await repository.registerCluster({ ...exampleFacts, name: 'other' })
  for (const backupId of ['20261122T130000Z-0000000a', '20261122T130000Z-0000000b'])
    await interruptedBackup(other, backupId)
  const cleaned = await cleanInterruptedRuns(other)
  assert.deepEqual([cleaned.backups.length, cleaned.packsDeleted], [2, 0])
  const report = await verifyRepository({ repository, depth: 'deep' })
  assert.ok(report.findings.every(({ severity }) => severity !== 'error'))
  assert.equal((await listBackups(cluster)).length, 2)
})
