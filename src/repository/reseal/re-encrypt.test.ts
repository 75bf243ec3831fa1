import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../base/clock.ts'
import { createMemoryStore } from '../../storage/memory-store.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { FaultyStore } from '../../storage/testing/faulty-store.ts'
import { readCondemned } from '../condemned.ts'
import { openContainer } from '../container.ts'
import { readEpochUsage } from '../epoch-usage.ts'
import { createEpoch } from '../epochs.ts'
import type { KeyMaterial } from '../keys/key-material.ts'
import { acquireLease } from '../lease.ts'
import { listBackups } from '../manifest-store.ts'
import { openRepository, type Repository } from '../repository.ts'
import { deleteCondemned } from '../sweep/delete.ts'
import { surveyPacks } from '../sweep/survey.ts'
import { createExampleRepository, type ExampleRepository, writeExampleBackup } from '../testing/example-repository.ts'
import { verifyRepository } from '../verify.ts'
import { segmentName } from '../wal-layout.ts'
import { openSegment, readSegment } from '../wal-segments.ts'
import { readTail } from '../wal-tail.ts'
import { reEncryptCluster } from './re-encrypt.ts'

/** A repository with two backups and WAL under epoch 1, whose key was rotated. */
async function rotated(): Promise<ExampleRepository & { readonly store: ObjectStore }> {
  const store = createMemoryStore()
  const example = await createExampleRepository(store)
  await createEpoch({ ...example.repository, clock: systemClock }, 'main')
  return { ...example, store }
}

const reopen = async (store: ObjectStore, key: KeyMaterial) => (await openRepository(store, key)).openCluster('main')

async function problems(repository: Repository): Promise<string[]> {
  const { findings } = await verifyRepository({ repository, depth: 'deep' })
  return findings.flatMap(({ severity, object, problem }) =>
    severity === 'notice' ? [] : [`${severity} ${object} ${problem}`],
  )
}

/** Every byte of WAL, by the object or place that holds it. */
async function walContent(example: ExampleRepository & { readonly store: ObjectStore }): Promise<Map<string, string>> {
  const cluster = await reopen(example.store, example.key)
  const content = new Map<string, string>()
  for (const [timeline, segment, partial] of [
    [1, 1n, false],
    [1, 2n, false],
    [1, 3n, false],
    [1, 4n, true],
    [2, 4n, false],
    [2, 5n, false],
  ] as const) {
    const pieces = await Array.fromAsync(readSegment(cluster, { timeline, segment, partial }))
    content.set(`${timeline}/${segment}`, Buffer.concat(pieces).toString('base64'))
  }
  const tail = await readTail(cluster, { timeline: 2, segment: 6n })
  content.set('tail', Buffer.concat(await Array.fromAsync(tail?.bytes ?? [])).toString('base64'))
  return content
}

test('afterwards the newest key seals everything that counts, and everything is as it was', async () => {
  const example = await rotated()
  const { repository, store, key } = example
  const [wal, backups] = [await walContent(example), await listBackups(await reopen(store, key))]
  const report = await reEncryptCluster(await reopen(store, key))
  assert.deepEqual([report.epoch, report.packs, report.manifests, report.left], [2, 4, 2, []])
  const cluster = await reopen(store, key)
  assert.deepEqual(await listBackups(cluster), backups)
  assert.deepEqual(await walContent(example), wal)
  assert.deepEqual(await problems(repository), [])
  const old = (await readEpochUsage(cluster)).get(1)
  assert.deepEqual([old?.packs, old?.objects], [4, 2], 'only what was replaced, until it is pruned')
  const again = await reEncryptCluster(cluster)
  assert.deepEqual(
    [again.packs, again.manifests, again.objects, again.left],
    [0, 0, 0, []],
    'there is nothing left to do',
  )
})

test('what was replaced is given up with it, and once that is deleted the old key seals nothing', async () => {
  const { repository, store, key } = await rotated()
  await reEncryptCluster(await reopen(store, key))
  const cluster = await reopen(store, key)
  const { records } = await readCondemned(cluster)
  assert.deepEqual([records.length, records[0]?.packs.length, records[0]?.revisions.length], [1, 4, 2])
  {
    await using _lease = await acquireLease(cluster, { role: 'prune', holder: 'x' })
    await deleteCondemned(cluster, { survey: () => surveyPacks({ repository, cluster }), graceMs: 0 })
  }
  assert.deepEqual([...(await readEpochUsage(cluster)).keys()], [2])
  assert.deepEqual(await problems(repository), [])
})

test('what a backup writes that began before the rotation is sealed anew by the next run', async () => {
  const { repository, cluster, store, key } = await rotated()
  assert.equal(cluster.sealing.epoch, 1)
  await reEncryptCluster(await reopen(store, key))
  await writeExampleBackup(cluster, { backupId: '20261122T110000Z-0000000c' })
  const report = await reEncryptCluster(await reopen(store, key))
  assert.deepEqual([report.packs, report.manifests, report.objects], [2, 1, 2])
  assert.deepEqual(await problems(repository), [])
})

test('while a receiver runs, the end of the WAL is left to it', async () => {
  const { store, key, cluster } = await rotated()
  await using _receiver = await acquireLease(cluster, { role: 'wal', holder: 'retake wal receive' })
  const report = await reEncryptCluster(await reopen(store, key))
  assert.match(report.left[0]?.reason ?? '', /a receiver is running/)
  assert.equal(report.left.length, 1)
})

test('a pack that is damaged is left as it is, and its backup stays readable as far as it was', async () => {
  const { repository, store, key, backups } = await rotated()
  const packId = backups[0]?.packIds[1] ?? ''
  const name = `packs/${packId.slice(-2)}/${packId}`
  const bytes = Uint8Array.from((await store.get(name)) ?? [])
  bytes[70] = (bytes[70] ?? 0) ^ 1
  await store.replace(name, bytes)
  const report = await reEncryptCluster(await reopen(store, key))
  assert.deepEqual([report.packs, report.manifests], [3, 2])
  assert.deepEqual(
    report.left.map(({ object }) => object),
    [name],
  )
  const found = await problems(repository)
  assert.ok(found.length > 0 && found.every((one) => one.startsWith(`error ${name}`)), found.join())
})

test('a segment that is sealed anew between the reads of one who reads it piece by piece is read to its end', async () => {
  const { store, key } = await rotated()
  const id = { timeline: 1, segment: 2n, partial: false }
  const name = segmentName('main', id)
  const pieces = await Array.fromAsync(readSegment(await reopen(store, key), id))
  const replace = async () => void (await reEncryptCluster(await reopen(store, key)))
  for (let after = 0; after < 3; after++) {
    const fresh = await rotated()
    const racing = new FaultyStore(fresh.store).plan('get', {
      matching: (object) => object === segmentName('main', id).key,
      after,
      before: async () => void (await reEncryptCluster(await reopen(fresh.store, fresh.key))),
    })
    const expected = await Array.fromAsync(readSegment(await reopen(fresh.store, fresh.key), id))
    const read = await Array.fromAsync(readSegment(await reopen(racing, fresh.key), id))
    racing.assertAllHit()
    assert.ok(Buffer.concat(read).equals(Buffer.concat(expected)), `replaced before read ${after}`)
  }
  const cluster = await reopen(store, key)
  const opened = await openSegment(cluster, id)
  await replace()
  assert.ok(Buffer.from((await opened?.container.readFrame(0)) ?? []).equals(pieces[0] ?? new Uint8Array(0)))
  assert.equal((await openContainer(store, cluster.sealing, name))?.epoch, 2)
})
