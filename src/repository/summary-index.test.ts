import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMemoryStore } from '../storage/memory-store.ts'
import { FaultyStore } from '../storage/testing/faulty-store.ts'
import type { ClusterRepository } from './cluster.ts'
import { generateKey } from './keys/key-material.ts'
import { manifestKey, summaryIndexKey } from './layout.ts'
import type { BackupSummary } from './manifest.ts'
import { listBackups, ManifestWriter, refreshSummaryIndex } from './manifest-store.ts'
import { createRepository } from './repository.ts'
import { exampleFacts, writeExampleBackup } from './testing/example-repository.ts'
import { verifyRepository } from './verify.ts'

const idOf = (index: number) => `20261122T09${String(index).padStart(4, '0')}Z-${index.toString(16).padStart(8, '0')}`

/** A cluster with so many backups without content, and how many objects were read since the last question. */
async function makeCluster(count: number) {
  const store = new FaultyStore(createMemoryStore())
  const repository = await createRepository(store, generateKey())
  const cluster = await repository.registerCluster(exampleFacts)
  const first = await writeExampleBackup(cluster, { backupId: idOf(0) })
  const [template] = await listBackups(cluster)
  assert.ok(template && first)
  for (let index = 1; index < count; index += 1) await addBackup(cluster, template, index)
  const reads = () =>
    store.calls.splice(0).filter((call) => call.startsWith('get ') && call.includes('/backups/')).length
  return { store, repository, cluster, template, reads }
}

async function addBackup(cluster: ClusterRepository, template: BackupSummary, index: number): Promise<void> {
  const backupId = idOf(index)
  await using writer = await ManifestWriter.open(cluster, backupId)
  await writer.commit({ ...template, backupId, label: `no ${index}`, fileCount: 0, totalBytes: 0, packCount: 0 })
}

test('few backups have no index; of many, the listing is the same with it and reads no manifest', async () => {
  const few = await makeCluster(5)
  assert.equal(await refreshSummaryIndex(few.cluster), false)
  const { cluster, reads, repository } = await makeCluster(70)
  const before = await listBackups(cluster)
  assert.equal(await refreshSummaryIndex(cluster), true)
  reads()
  assert.deepEqual(await listBackups(cluster), before)
  assert.equal(reads(), 0)
  assert.equal(await refreshSummaryIndex(cluster), false, 'nothing is new')
  const { findings } = await verifyRepository({ repository, depth: 'quick' })
  assert.deepEqual(
    findings.filter(({ object }) => object.includes('/index/')),
    [],
  )
})

test('new backups are read, deleted ones are gone, and one of another length is not believed', async () => {
  const { cluster, store, reads, template } = await makeCluster(70)
  await refreshSummaryIndex(cluster)
  for (let index = 70; index < 73; index += 1) await addBackup(cluster, template, index)
  await store.delete(manifestKey('main', idOf(10)))
  const cut = manifestKey('main', idOf(11))
  await store.replace(cut, ((await store.get(cut)) ?? new Uint8Array()).subarray(0, 100))
  reads()
  const damaged: string[] = []
  const listed = await listBackups(cluster, { onDamage: (_, backupId) => damaged.push(backupId) })
  assert.deepEqual(
    listed.map(({ backupId }) => backupId),
    Array.from({ length: 73 }, (_, index) => idOf(index)).filter((_, index) => index !== 10 && index !== 11),
  )
  assert.deepEqual(damaged, [idOf(11)])
  assert.equal(listed.at(-1)?.label, 'no 72')
  assert.ok(reads() <= 8, 'only what the index does not know')
})

test('missing, damaged or of another repository: the manifests are read, verify says so, and the next backup mends it', async () => {
  const { cluster, store, repository, template } = await makeCluster(70)
  await refreshSummaryIndex(cluster)
  const expected = await listBackups(cluster)
  const key = summaryIndexKey('main')
  const good = Uint8Array.from((await store.get(key)) ?? [])
  await store.replace(key, good.with(90, (good[90] ?? 0) ^ 1))
  assert.deepEqual(await listBackups(cluster), expected)
  const { findings } = await verifyRepository({ repository, depth: 'quick' })
  assert.equal(findings.find(({ object }) => object === key)?.severity, 'warning')
  assert.equal(await refreshSummaryIndex(cluster), true)
  assert.deepEqual(await listBackups(cluster), expected)
  await store.delete(key)
  await addBackup(cluster, template, 70)
  assert.equal((await listBackups(cluster)).length, 71)
})
