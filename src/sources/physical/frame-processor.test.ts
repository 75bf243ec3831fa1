import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { openContainer } from '../../repository/container.ts'
import { PACKS_PREFIX, packKey } from '../../repository/layout.ts'
import { importSealing } from '../../repository/sealing.ts'
import { createMemoryStore } from '../../storage/memory-store.ts'
import { FrameProcessor, isAllZero } from './frame-processor.ts'
import type { PackFacts } from './pack-series.ts'
import { FRAME_BYTES } from './slab.ts'
import { hookedStore } from './testing/recording-store.ts'

const sealing = importSealing({ repositoryId: 'r', epochs: [{ epoch: 1, key: randomBytes(32) }] })

function open(options: { packTargetBytes?: number; failCommits?: boolean } = {}) {
  const store = createMemoryStore()
  const packs: PackFacts[] = []
  const hooked = hookedStore(store, {
    before(action) {
      if (action === 'commit' && options.failCommits) throw new Error('the disk is gone')
    },
  })
  const processor = new FrameProcessor(
    {
      store: hooked,
      sealing,
      backupId: '20261122T090411Z-0badcafe',
      compressionLevel: 1,
      blockSizeBytes: 8192,
      packTargetBytes: options.packTargetBytes,
    },
    (pack) => packs.push(pack),
  )
  return { store, processor, packs }
}

test('zeros take no place, not even a pack', async () => {
  const { store, processor, packs } = open()
  assert.deepEqual(await processor.process(Buffer.alloc(FRAME_BYTES), []), { badPages: [] })
  await processor.finish()
  assert.deepEqual(packs, [])
  for await (const { key } of store.list(PACKS_PREFIX)) assert.fail(key)
  assert.ok(!isAllZero(Buffer.from([0, 0, 1])))
})

test('packs are closed at their size, begin with the digits of the backup, and hold what was written', async () => {
  const { store, processor, packs } = open({ packTargetBytes: 250_000 })
  const frames = Array.from({ length: 7 }, () => randomBytes(100_000))
  const outcomes = []
  for (const frame of frames) outcomes.push(await processor.process(frame, []))
  await processor.finish()
  assert.equal(packs.length, 3)
  assert.equal(new Set(packs.map(({ packId }) => packId)).size, 3)
  let stored = 0
  for (const { packId } of packs) {
    assert.match(packId, /^0badcafe[0-9a-f]{24}$/)
    stored += (await store.head(packKey(packId)))?.sizeBytes ?? 0
  }
  assert.equal(processor.storedBytes, stored)
  for (const [index, { frame }] of outcomes.entries()) {
    assert.ok(frame)
    const pack = await openContainer(store, sealing, { key: packKey(frame.packId), kind: 'pack' })
    assert.ok(Buffer.from((await pack?.readFrame(frame.index)) ?? []).equals(frames[index] ?? Buffer.alloc(0)))
  }
})

test('bad pages are reported by piece, with the block number of their relation', async () => {
  const { processor } = open()
  const bytes = Buffer.alloc(4 * 8192, 1)
  bytes.fill(0, 0, 8192)
  const { badPages } = await processor.process(bytes, [
    { piece: 5, frameOffsetBytes: 0, lengthBytes: 3 * 8192 + 100, firstBlockNumber: 131_072 },
  ])
  assert.deepEqual(
    badPages.map(({ piece, pages }) => ({ piece, blocks: pages.map(({ blockNumber }) => blockNumber) })),
    [{ piece: 5, blocks: [131_073, 131_074] }],
  )
  await processor[Symbol.asyncDispose]()
})

test('a pack that cannot be committed fails what follows, at the latest the end', async () => {
  const { processor, store } = open({ packTargetBytes: 50_000, failCommits: true })
  await processor.process(randomBytes(100_000), [])
  await assert.rejects(processor.finish(), /the disk is gone/)
  await processor[Symbol.asyncDispose]()
  for await (const { key } of store.list(PACKS_PREFIX)) assert.fail(key)
})
