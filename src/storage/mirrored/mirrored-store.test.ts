import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { assertKeyPrefix, assertObjectKey } from '../keys.ts'
import type { ObjectStore } from '../object-store.ts'
import { openStore } from '../open.ts'
import { addressOf, DEFAULT_TIME_LIMITS } from '../store-address.ts'
import { testObjectStoreContract } from '../testing/object-store-contract.ts'
import { temporaryDirectory } from '../testing/temporary-directory.ts'
import { createRecord, IDENTITY_KEY } from './copy-record.ts'
import { createSharedView } from './shared-view.ts'
import { contentOf, openMirroredLab } from './testing/mirrored-lab.ts'

const bytes = (text: string) => Buffer.from(text)

/** A store without what makes its places copies of a repository: the contract wants an empty one. */
function below(store: ObjectStore, folder: string): ObjectStore {
  const inside = (key: string) => {
    assertObjectKey(key)
    return `${folder}/${key}`
  }
  const outside = ({ key, sizeBytes }: { key: string; sizeBytes: number }) => ({
    key: key.slice(folder.length + 1),
    sizeBytes,
  })
  const { openAppender } = store
  return {
    url: store.url,
    get: async (key, range) => store.get(inside(key), range),
    head: async (key) => {
      const info = await store.head(inside(key))
      return info && outside(info)
    },
    async *list(prefix, options = {}) {
      assertKeyPrefix(prefix)
      const startAfter = options.startAfter && `${folder}/${options.startAfter}`
      for await (const info of store.list(`${folder}/${prefix}`, { startAfter })) yield outside(info)
    },
    create: async (key, body) => store.create(inside(key), body),
    openWriter: async (key) => store.openWriter(inside(key)),
    replace: async (key, body) => store.replace(inside(key), body),
    delete: async (key) => store.delete(inside(key)),
    ...(openAppender ? { openAppender: async (key: string) => openAppender(inside(key)) } : {}),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}

testObjectStoreContract('a store in three memories', async () => {
  const lab = await openMirroredLab({ names: ['origin', 'north', 'south'] })
  return { store: below(lab.store, 'x'), [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose]() }
})

async function openDirectories() {
  const directory = await temporaryDirectory()
  const copies = ['origin', 'north'].map((name) => ({ name, url: join(directory.path, name) }))
  const names = copies.map(({ name }) => name)
  for (const { url } of copies) {
    await using store = await openStore(url, { create: true })
    await store.create(IDENTITY_KEY, bytes('{"repositoryId":"r"}'))
    await createRecord(store, {
      generation: 1,
      primary: 'origin',
      current: names,
      joining: [],
      members: names,
      reason: 'test',
      at: '',
    })
  }
  const shared = createSharedView()
  const address = { copies, mirrorSync: 'available', referring: [], limits: DEFAULT_TIME_LIMITS, shared } as const
  return { directory, copies, store: await openStore(address) }
}

test('every write is in every copy, byte by byte', async () => {
  await using lab = await openMirroredLab({ names: ['origin', 'north', 'south'] })
  const { store, places } = lab
  await store.create('a', bytes('one'))
  await store.replace('late/position', bytes('two'))
  {
    await using writer = await store.openWriter('b')
    await writer.write(bytes('thr'))
    await writer.write(bytes('ee'))
    assert.equal(await writer.commit(), true)
    await using appender = await store.openAppender?.('tail')
    await appender?.append(bytes('four'))
    await appender?.sync()
  }
  await store.create('gone', bytes('x'))
  assert.equal(await store.delete('gone'), true)
  const contents = await Promise.all(places.map(({ memory }) => contentOf(memory)))
  assert.deepEqual(Object.keys(contents[0] ?? {}), ['a', 'b', 'late/position', IDENTITY_KEY, 'tail'].sort())
  for (const content of contents) assert.deepEqual(content, contents[0])
})

test('another thread opens the same store by its address', async () => {
  const { directory, copies, store } = await openDirectories()
  await using _directory = directory
  await using _store = store
  await using again = await openStore(structuredClone(addressOf(store)))
  await again.create('seen', bytes('by both'))
  for (const { url } of copies) {
    await using place = await openStore(url)
    assert.deepEqual(await place.get('seen'), bytes('by both'))
  }
})

test('what exists in the primary alone is brought to the others when it is created again', async () => {
  await using lab = await openMirroredLab()
  const [origin, north] = lab.places
  // As a process left it that was killed between the first copy and the second.
  await origin?.memory.create('range', bytes('held'))
  assert.equal(await lab.store.create('range', bytes('the same, sealed anew')), false)
  assert.equal(Buffer.from((await north?.memory.get('range')) ?? []).toString(), 'held')
})
