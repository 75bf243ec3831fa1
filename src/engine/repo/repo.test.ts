import assert from 'node:assert/strict'
import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { receiptKey } from '../../repository/keys/key-ring.ts'
import { packKey } from '../../repository/layout.ts'
import { acquireLease } from '../../repository/lease.ts'
import { createExampleRepository } from '../../repository/testing/example-repository.ts'
import { verifyRepository } from '../../repository/verify.ts'
import { createMemoryStore } from '../../storage/memory-store.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { openStore } from '../../storage/open.ts'
import { temporaryDirectory } from '../../storage/testing/temporary-directory.ts'
import { assembleRetake, retakeSettings } from '../open.ts'
import { checkRepository } from './check.ts'
import { copyRepository } from './copy.ts'
import { rebuildRepository } from './rebuild.ts'
import { repositoryStats } from './stats.ts'

async function makeRetake() {
  const store = createMemoryStore()
  const example = await createExampleRepository(store)
  return { ...example, store, retake: assembleRetake(retakeSettings({ cluster: 'main' }), example.repository) }
}

async function replaceWith(store: ObjectStore, key: string, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  const bytes = await store.get(key)
  assert.ok(bytes, key)
  await store.replace(key, change(Uint8Array.from(bytes)))
}

test('stats: every object is in one kind, and the sums are those of the storage', async () => {
  const { retake, store, backups } = await makeRetake()
  await store.create(packKey(`99999999${'0'.repeat(24)}`), Buffer.alloc(700))
  const stats = await repositoryStats(retake, { sharing: true }).result
  let bytes = 0
  let objects = 0
  for await (const { sizeBytes } of store.list('')) {
    bytes += sizeBytes
    objects += 1
  }
  assert.equal(stats.storedBytes, bytes)
  assert.equal(stats.objects, objects)
  assert.equal(
    stats.kinds.reduce((sum, one) => sum + one.objects, 0),
    objects,
  )
  assert.deepEqual(stats.otherPacks, { objects: 1, bytes: 700 })
  const [main] = stats.clusters
  assert.ok(main)
  const restored = backups.flatMap(({ files }) => [...files.values()]).reduce((sum, file) => sum + file.length, 0)
  assert.equal(main.logicalBytes, restored)
  // Three and two finished segments on two timelines; the partial one and the tail are not counted.
  assert.equal(main.walLogicalBytes, 5 * 1024 * 1024)
  const { sharing, ratio } = main
  assert.ok(sharing)
  // The second backup refers to the first frame of the first.
  const shared = backups[0] as unknown as { frames: { storedBytes: number }[] }
  assert.equal(sharing.savedBytes, shared.frames[0]?.storedBytes)
  assert.equal(sharing.aloneBytes - sharing.referencedBytes, sharing.savedBytes)
  const [quick] = (await repositoryStats(retake).result).clusters
  assert.equal(quick?.sharing, undefined)
  // The other pack may be one that its backups need.
  assert.equal(quick?.ratio, undefined)
  assert.equal(ratio, (restored + main.walLogicalBytes) / (sharing.referencedBytes + main.walStoredBytes))
})

test('check: a sound repository is sound, and what is not read is said', async () => {
  const { retake } = await makeRetake()
  const result = await checkRepository(retake).result
  assert.deepEqual(result.findings, [])
  assert.equal(result.ok, true)
  assert.equal(result.backups, 2)
  assert.equal(result.unreferencedPackBytes, 0)
  assert.match(result.notChecked.join(), /content of packs/)
})

const damages: readonly [
  what: string,
  pattern: RegExp,
  change: (store: ObjectStore, packId: string) => Promise<unknown>,
][] = [
  ['a pack is missing', /packs\/.*: it is missing/, (store, packId) => store.delete(packKey(packId))],
  [
    'a pack is cut',
    /what backups refer to ends only at/,
    (store, packId) => replaceWith(store, packKey(packId), (bytes) => bytes.subarray(0, 200)),
  ],
  [
    'a manifest is altered',
    /backups\/20261122T090000Z-0000000a/,
    (store) =>
      replaceWith(store, 'clusters/main/backups/20261122T090000Z-0000000a', (bytes) =>
        bytes.with(80, (bytes[80] ?? 0) ^ 1),
      ),
  ],
  [
    'a manifest is missing',
    /missing, though the backup was completed/,
    (store) => store.delete('clusters/main/backups/20261122T090000Z-0000000a'),
  ],
  [
    'a receipt is missing',
    /keys\/.*receipt: it is missing/,
    async (store) => {
      for await (const { key } of store.list('keys/')) if (key.endsWith('.receipt')) await store.delete(key)
    },
  ],
  ['something foreign', /not an object of Retake/, (store) => store.create('photos/cat.jpg', Buffer.from('meow'))],
]
for (const [what, pattern, change] of damages) {
  test(`check: ${what}`, async () => {
    const { retake, store, backups } = await makeRetake()
    await change(store, backups[0]?.packIds[0] ?? '')
    const result = await checkRepository(retake).result
    assert.equal(result.ok, false)
    assert.match(result.findings.map(({ object, problem }) => `${object}: ${problem}`).join('\n'), pattern)
  })
}

test('check: WAL that disappeared is found by the names alone', async () => {
  const { retake, store } = await makeRetake()
  await store.delete('clusters/main/wal/00000001/0000000000000002')
  const result = await checkRepository(retake).result
  assert.equal(result.ok, false)
  assert.match(JSON.stringify(result.clusters), /"recorded":false|strandedBackups":\["/)
})

test('rebuild: what follows from the rest is written again, exactly, and what does not is named', async () => {
  const { retake, store, repository } = await makeRetake()
  const records = ['0000000a.begun', '0000000b.done'].map(
    (name, index) => `clusters/main/runs/20261122T${index === 0 ? '09' : '10'}0000Z-${name}`,
  )
  for (const key of records) assert.equal(await store.delete(key), true)
  const [holder] = await repository.listHolders()
  assert.ok(holder)
  await store.delete(receiptKey(holder.holder))
  await store.delete('clusters/main/wal/position')

  const plan = await rebuildRepository(retake, { dryRun: true }).result
  assert.deepEqual(
    plan.items.map(({ object }) => object).sort(),
    [...records, receiptKey(holder.holder), 'clusters/main/wal/position'].sort(),
  )
  assert.equal(await store.head(records[0] ?? ''), undefined, 'a plan writes nothing')
  assert.match(plan.items.find(({ what }) => what === 'WAL position')?.loses ?? '', /can no longer be told/)
  assert.deepEqual(
    plan.items.filter(({ what, loses }) => what !== 'WAL position' && loses !== undefined),
    [],
  )

  const done = await rebuildRepository(retake).result
  assert.deepEqual(done.items, plan.items)
  assert.deepEqual(done.beyondRepair, [])
  const verified = await verifyRepository({ repository, depth: 'deep' })
  assert.deepEqual(verified.findings, [])
  assert.deepEqual((await rebuildRepository(retake).result).items, [])
})

test('rebuild: a hole in the WAL is recorded as what it is, and lost backups stay lost', async () => {
  const { retake, store, repository, backups } = await makeRetake()
  await store.delete('clusters/main/wal/00000001/0000000000000003')
  await store.delete(packKey(backups[1]?.packIds[1] ?? ''))
  await store.delete('clusters/main/runs/20261122T100000Z-0000000b.done')
  const done = await rebuildRepository(retake).result
  const hole = done.items.find(({ what }) => what === 'WAL hole')
  assert.equal(hole?.object, 'clusters/main/wal/00000001/ranges/0000000000400000')
  assert.match(hole?.loses ?? '', /put the segments back/)
  assert.equal(
    done.items.some(({ what }) => what === 'run record'),
    false,
    'no receipt for a backup that cannot be restored',
  )
  assert.match(JSON.stringify(done.beyondRepair), /0000000b/)
  const { findings } = await verifyRepository({ repository, depth: 'quick' })
  assert.deepEqual(
    findings.filter(({ wal }) => wal),
    [],
  )
  const window = await checkRepository(retake).result
  assert.deepEqual(window.clusters[0]?.lostWal, [])
})

test('rebuild: nobody writes meanwhile', async () => {
  const { retake, cluster } = await makeRetake()
  await using _lease = await acquireLease(cluster, { role: 'wal', holder: 'retake wal receive' })
  await assert.rejects(rebuildRepository(retake).result, { code: 'repo.locked' })
  assert.deepEqual((await rebuildRepository(retake, { dryRun: true }).result).items, [])
})

test('copy: the same place by another name, or one within the other, is no copy', async () => {
  await using directory = await temporaryDirectory()
  const at = (name: string) => join(directory.path, name)
  await mkdir(at('repo'))
  await symlink(at('repo'), at('alias'))
  await using store = await openStore(at('repo'))
  const { repository } = await createExampleRepository(store)
  const retake = assembleRetake(retakeSettings({ cluster: 'main' }), repository)
  const before = (await Array.fromAsync(store.list(''))).map(({ key }) => key)
  for (const to of ['repo', 'alias', 'repo/inner']) {
    for (const dryRun of [true, false])
      await assert.rejects(copyRepository(retake, { to: at(to), dryRun }).result, { code: 'repo.exists' })
  }
  assert.deepEqual(
    (await Array.fromAsync(store.list(''))).map(({ key }) => key),
    before,
  )
  const { copied } = await copyRepository(retake, { to: at('repo-2') }).result
  assert.ok(copied.objects > 10)
})
