import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { isRetakeError } from '../base/errors.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { ContainerWriter, getSmall, openContainer, putSmall } from './container.ts'
import { readFrames } from './read-frames.ts'
import {
  contentId,
  deriveObjectKey,
  exportSealing,
  importSealing,
  MAX_FRAME_BYTES,
  openFrameSync,
  sealFrame,
} from './sealing.ts'

const sealing = importSealing({ repositoryId: 'a'.repeat(32), epochs: [{ epoch: 1, key: randomBytes(32) }] })
const pack = { key: 'packs/ab/x', kind: 'pack' } as const
const isDamage = (error: unknown) => isRetakeError(error, 'repo.damaged')

test('frames of every size come back; what does not shrink is stored raw', async () => {
  const store = createMemoryStore()
  const plains = [0, 1, 100, MAX_FRAME_BYTES].flatMap((length) => [randomBytes(length), Buffer.alloc(length, 'text ')])
  await using writer = await ContainerWriter.open(store, sealing, pack)
  for (const plain of plains) {
    const before = writer.sizeBytes
    const location = await writer.writeFrame(plain, { contentId: contentId(sealing, plain) })
    assert.equal(location.offsetBytes, before)
    assert.equal(writer.sizeBytes, before + location.storedBytes)
    assert.ok(location.storedBytes <= plain.length + 16, 'never larger than raw')
  }
  assert.equal(await store.head(pack.key), undefined)
  assert.equal(await writer.commit({ note: 'ünïcode' }), true)
  const container = await openContainer(store, sealing, pack)
  assert.ok(container)
  assert.equal(container.sizeBytes, writer.sizeBytes)
  assert.deepEqual(container.meta, { note: 'ünïcode' })
  assert.deepEqual(
    container.frames.map(({ codec }) => codec),
    ['raw', 'raw', 'raw', 'raw', 'raw', 'zstd', 'raw', 'zstd'],
  )
  const read = await Array.fromAsync(readFrames(container))
  for (const [index, plain] of plains.entries()) {
    assert.ok(plain.equals(read[index] as Uint8Array), `frame ${index}`)
    assert.equal(container.frames[index]?.contentId, contentId(sealing, plain))
  }
})

test('frames sealed elsewhere may be appended in any order, and opened from a range', async () => {
  const store = createMemoryStore()
  await using writer = await ContainerWriter.open(store, sealing, pack)
  const indexes = [writer.reserveFrame(), writer.reserveFrame(), writer.reserveFrame()]
  // As a worker does it: with data that can be sent to it.
  const elsewhere = importSealing(structuredClone(exportSealing(sealing)))
  const objectKey = deriveObjectKey(elsewhere, { ...pack, epoch: elsewhere.epoch, salt: writer.salt })
  for (const index of indexes.toReversed()) {
    await writer.appendSealed(sealFrame(objectKey, { index, plain: Buffer.from(`frame ${index}`) }), {
      contentId: `id${index}`,
    })
  }
  await writer.commit({})
  const container = await openContainer(store, sealing, pack)
  assert.ok(container)
  assert.deepEqual(
    container.frames.map(({ contentId }) => contentId),
    ['id0', 'id1', 'id2'],
  )
  for (const frame of container.frames) {
    const stored = (await store.get(pack.key, {
      offsetBytes: frame.offsetBytes,
      lengthBytes: frame.storedBytes,
    })) as Uint8Array
    assert.equal(Buffer.from(openFrameSync(objectKey, frame, stored) ?? []).toString(), `frame ${frame.index}`)
    assert.equal(openFrameSync(objectKey, { ...frame, index: frame.index + 1 }, stored), undefined)
    assert.equal(openFrameSync(objectKey, { ...frame, plainBytes: frame.plainBytes + 1 }, stored), undefined)
    assert.equal(openFrameSync(objectKey, frame, stored.subarray(1)), undefined)
  }
})

test('a reserved frame that was never appended is a defect, not a container', async () => {
  await using writer = await ContainerWriter.open(createMemoryStore(), sealing, pack)
  writer.reserveFrame()
  await assert.rejects(writer.commit({}), /assertion/)
})

test('a container opens only as what it is, where it is, and with its key', async () => {
  const store = createMemoryStore()
  const name = { key: 'clusters/a/cluster', kind: 'cluster' } as const
  await putSmall(store, sealing, { ...name, meta: { a: 1 } })
  assert.deepEqual(await getSmall(store, sealing, name), { a: 1 })
  assert.equal(await putSmall(store, sealing, { ...name, meta: { a: 2 } }), false)
  const bytes = (await store.get(name.key)) as Uint8Array
  await store.create('clusters/b/cluster', bytes)
  await assert.rejects(getSmall(store, sealing, { ...name, key: 'clusters/b/cluster' }), isDamage)
  await assert.rejects(getSmall(store, sealing, { ...name, kind: 'clusterKey' }), isDamage)
  const { epochs } = exportSealing(sealing)
  const elsewhere = importSealing({ repositoryId: 'b'.repeat(32), epochs })
  await assert.rejects(getSmall(store, elsewhere, name), isDamage)
  const otherKey = importSealing({ repositoryId: sealing.repositoryId, epochs: [{ epoch: 1, key: randomBytes(32) }] })
  await assert.rejects(getSmall(store, otherKey, name), isDamage)
  assert.equal(await getSmall(store, sealing, { ...name, key: 'nothing' }), undefined)
})

test('objects of an older epoch open after a new one has begun, and content ids stay the same', async () => {
  const store = createMemoryStore()
  const name = { key: 'x', kind: 'cluster' } as const
  await putSmall(store, sealing, { ...name, meta: { a: 1 } })
  const { repositoryId, epochs } = exportSealing(sealing)
  const later = importSealing({ repositoryId, epochs: [{ epoch: 2, key: randomBytes(32) }, ...epochs] })
  assert.equal(later.epoch, 2)
  assert.deepEqual(await getSmall(store, later, name), { a: 1 })
  assert.equal(contentId(later, Buffer.from('x')), contentId(sealing, Buffer.from('x')))
  await putSmall(store, later, { ...name, key: 'y', meta: {} })
  await assert.rejects(getSmall(store, sealing, { ...name, key: 'y' }), isDamage)
})
