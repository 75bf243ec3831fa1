import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createMemoryStore } from '../../storage/memory-store.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { FaultyStore } from '../../storage/testing/faulty-store.ts'
import { isRepository, openRepository } from '../repository.ts'
import { createExampleRepository, exampleFacts, writeExampleBackup } from '../testing/example-repository.ts'
import { verifyRepository } from '../verify.ts'
import { putPosition, readPosition } from '../wal-records.ts'
import { TailWriter } from '../wal-tail.ts'
import { copyRepository } from './copy.ts'

async function contentOf(store: ObjectStore): Promise<Map<string, string>> {
  const content = new Map<string, string>()
  for await (const { key } of store.list(''))
    content.set(key, Buffer.from((await store.get(key)) ?? []).toString('base64'))
  return content
}

async function makeSource() {
  const store = createMemoryStore()
  return { store, ...(await createExampleRepository(store)) }
}

test('the copy is the same, opens with the same key, verifies, and a second run copies nothing', async () => {
  const { store, repository, key } = await makeSource()
  const to = createMemoryStore()
  const planned = await copyRepository(repository, to, { dryRun: true })
  assert.deepEqual([...(await contentOf(to))], [])
  const { copied } = await copyRepository(repository, to)
  assert.deepEqual(copied, planned.copied)
  assert.deepEqual(await contentOf(to), await contentOf(store))
  const again = await copyRepository(repository, to)
  assert.equal(again.copied.objects, 0)
  await using copy = await openRepository(to, key)
  assert.deepEqual((await verifyRepository({ repository: copy, depth: 'deep' })).findings, [])
})

test('one cluster: its own objects, its packs and the keys, and nothing of the others', async () => {
  const { repository, key } = await makeSource()
  const other = await repository.registerCluster({ ...exampleFacts, name: 'other', systemIdentifier: '1' })
  await writeExampleBackup(other, { backupId: '20261122T110000Z-0000000c' })
  const to = createMemoryStore()
  await copyRepository(repository, to, { cluster: 'main' })
  await using copy = await openRepository(to, key)
  assert.deepEqual(await copy.listClusters(), ['main'])
  assert.deepEqual((await verifyRepository({ repository: copy, depth: 'deep' })).findings, [])
  await assert.rejects(copyRepository(repository, to, { cluster: 'none' }), { code: 'cluster.missing' })
})

test('wherever it stops, nothing in the copy refers to what is not there, and it is no repository; then it goes on', async () => {
  const { store, repository } = await makeSource()
  const whole = await contentOf(store)
  for (const point of ['commit', 'openWriter'] as const) {
    for (let after = 0; ; after += 1) {
      const inner = createMemoryStore()
      const to = new FaultyStore(inner)
      to.plan(point, { after, error: new Error('the storage went away') })
      const failed = await copyRepository(repository, to).then(
        () => false,
        () => true,
      )
      if (!failed) {
        assert.ok(after > 20, `only ${after} faults were reached`)
        break
      }
      assert.equal(await isRepository(inner), false)
      const there = await contentOf(inner)
      if ([...there.keys()].some((name) => name.includes('/backups/')))
        for (const name of whole.keys()) if (name.startsWith('packs/')) assert.ok(there.has(name), `${name} is missing`)
      for (const name of there.keys()) {
        if (name.endsWith('.done')) assert.ok(there.has(name.replace('/runs/', '/backups/').replace('.done', '')))
      }
      if (there.has('clusters/main/wal/position')) {
        for (const name of whole.keys()) assert.ok(name === 'retake.json' || there.has(name), `${name} is missing`)
      }
      await copyRepository(repository, inner)
      assert.deepEqual(await contentOf(inner), whole)
    }
  }
})

test('a tail that grew is brought up to date; the position never goes back', async () => {
  const { repository, cluster, key } = await makeSource()
  const to = createMemoryStore()
  await using tail = await TailWriter.open(cluster, { timeline: 2, segment: 6n, offsetBytes: 120_000 })
  await tail.append(randomBytes(1000))
  await tail.sync()
  await copyRepository(repository, to)
  await tail.append(randomBytes(5000))
  await tail.sync()
  const at = '2026-11-22T09:00:09.000Z'
  await putPosition(cluster, { timeline: 2, flushLsn: '0/61EC30', at, serverTime: at })
  await copyRepository(repository, to)
  await using copy = await openRepository(to, key)
  assert.deepEqual((await verifyRepository({ repository: copy, depth: 'deep' })).findings, [])
  const copied = await copy.openCluster('main')
  await putPosition(copied, { timeline: 2, flushLsn: '0/700000', at, serverTime: at })
  await copyRepository(repository, to)
  assert.equal((await readPosition(copied))?.flushLsn, '0/700000')
})

test('another repository, or anything else, is not written over', async () => {
  const { repository } = await makeSource()
  const other = await makeSource()
  await assert.rejects(copyRepository(repository, other.store), { code: 'repo.exists' })
  const photos = createMemoryStore()
  await photos.create('cat.jpg', Buffer.from('meow'))
  await assert.rejects(copyRepository(repository, photos), { code: 'repo.exists' })
  const unfinished = createMemoryStore()
  for (const [name, content] of await contentOf(other.store))
    if (name.startsWith('keys/')) await unfinished.create(name, Buffer.from(content, 'base64'))
  await assert.rejects(copyRepository(repository, unfinished), { code: 'repo.exists' })
})

test('what comes back altered is an error that names the object', async () => {
  const { repository } = await makeSource()
  const inner = createMemoryStore()
  const to = new FaultyStore(inner)
  let victim = ''
  to.plan('get', {
    matching: (name) => name.startsWith('packs/'),
    before: async (name) => {
      victim = name
      const bytes = Uint8Array.from((await inner.get(name)) ?? [])
      bytes[100] = (bytes[100] ?? 0) ^ 1
      await inner.replace(name, bytes)
    },
  })
  await assert.rejects(copyRepository(repository, to), (error: { message: string }) => error.message.includes(victim))
})
