import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { Lsn } from '../../postgres/lsn.ts'
import { openContainer } from '../../repository/container.ts'
import { PACKS_PREFIX, packKey } from '../../repository/layout.ts'
import { contentId, importSealing } from '../../repository/sealing.ts'
import { createMemoryStore } from '../../storage/memory-store.ts'
import { FrameProcessor, isAllZero } from './frame-processor.ts'
import type { Placement, TaskPiece } from './frame-task.ts'
import type { KnownStretch } from './known-content.ts'
import type { PackFacts } from './pack-series.ts'
import { FRAME_BYTES } from './slab.ts'
import { hookedStore } from './testing/recording-store.ts'

const BLOCK = 8192
const SINCE = 0x5000_0000n as Lsn
const sealing = importSealing({ repositoryId: 'r', epochs: [{ epoch: 1, key: randomBytes(32) }] })

interface OpenOptions {
  readonly packTargetBytes?: number
  readonly failCommits?: boolean
  readonly held?: ReadonlyMap<string, KnownStretch>
}

function open(options: OpenOptions = {}) {
  const store = createMemoryStore()
  const packs: PackFacts[] = []
  const bundled: Placement[] = []
  const asked: string[] = []
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
      blockSizeBytes: BLOCK,
      pageRule: { blockSizeBytes: BLOCK, sinceLsn: SINCE, leastLsn: 0x100_0000n as Lsn },
      packTargetBytes: options.packTargetBytes,
    },
    {
      pack: (pack) => packs.push(pack),
      bundled: (placements) => bundled.push(...placements),
      lookUp: async (ids) => {
        asked.push(...ids)
        return ids.map((id) => options.held?.get(id))
      },
    },
  )
  return { store, processor, packs, bundled, asked }
}

const pieceOf = (lengthBytes: number, more: Partial<TaskPiece> = {}): TaskPiece => ({
  ...{ file: 0, fileOffsetBytes: 0, frameOffsetBytes: 0, lengthBytes },
  ...{ checked: false, mainFork: false, wholeFile: false },
  ...more,
})

/** Pages that were last changed at these positions. */
function pagesAt(...lsns: bigint[]): Buffer {
  const bytes = randomBytes(lsns.length * BLOCK)
  for (const [page, lsn] of lsns.entries()) {
    bytes.writeUInt32LE(Number(lsn >> 32n), page * BLOCK)
    bytes.writeUInt32LE(Number(lsn & 0xffff_ffffn), page * BLOCK + 4)
    bytes.writeUInt16LE(0, page * BLOCK + 10)
  }
  return bytes
}

async function readPlaced(store: ReturnType<typeof open>['store'], placements: readonly Placement[]) {
  const parts = new Map<string, Buffer>()
  for (const { file, fileOffsetBytes, lengthBytes, source } of placements) {
    if (typeof source === 'string') continue
    const pack = await openContainer(store, sealing, { key: packKey(source.frame.packId), kind: 'pack' })
    const frame = Buffer.from((await pack?.readFrame(source.frame.index)) ?? [])
    assert.equal(contentId(sealing, frame), source.frame.contentId)
    const { frameOffsetBytes } = source
    parts.set(`${file}:${fileOffsetBytes}`, frame.subarray(frameOffsetBytes, frameOffsetBytes + lengthBytes))
  }
  return parts
}

test('zeros take no place, not even a pack', async () => {
  const { store, processor, packs } = open()
  const { placements } = await processor.process(Buffer.alloc(FRAME_BYTES), [pieceOf(FRAME_BYTES)])
  assert.deepEqual(placements, [{ file: 0, fileOffsetBytes: 0, lengthBytes: FRAME_BYTES, source: 'zeros' }])
  await processor.finish()
  assert.deepEqual(packs, [])
  for await (const { key } of store.list(PACKS_PREFIX)) assert.fail(key)
  assert.ok(!isAllZero(Buffer.from([0, 0, 1])))
})

test('packs are closed at their size, begin with the digits of the backup, and hold what was written', async () => {
  const { store, processor, packs } = open({ packTargetBytes: 250_000 })
  const frames = Array.from({ length: 7 }, () => randomBytes(100_000))
  // Several at once, as a worker has them.
  const outcomes = await Promise.all(
    frames.map((frame, index) => processor.process(frame, [pieceOf(frame.length, { file: index })])),
  )
  await processor.finish()
  assert.equal(packs.length, 3)
  assert.equal(new Set(packs.map(({ packId }) => packId)).size, 3)
  let stored = 0
  for (const { packId } of packs) {
    assert.match(packId, /^0badcafe[0-9a-f]{24}$/)
    stored += (await store.head(packKey(packId)))?.sizeBytes ?? 0
  }
  assert.equal(processor.storedBytes, stored)
  const parts = await readPlaced(
    store,
    outcomes.flatMap(({ placements }) => placements),
  )
  for (const [index, frame] of frames.entries()) assert.ok(parts.get(`${index}:0`)?.equals(frame))
})

test('a frame that is held already is referred to, and asked for only when nothing else says so', async () => {
  const bytes = randomBytes(300_000)
  const frame = { packId: 'p', index: 3, offsetBytes: 64, storedBytes: 9, plainBytes: 300_000, codec: 'raw' } as const
  const held = { frame: { ...frame, contentId: 'f' }, frameOffsetBytes: 0, lengthBytes: 300_000 }
  const { processor, packs, asked } = open({ held: new Map([[contentId(sealing, bytes), held]]) })
  const { placements, changedBytes } = await processor.process(bytes, [pieceOf(bytes.length)])
  assert.deepEqual(placements[0]?.source, { frame: held.frame, frameOffsetBytes: 0 })
  assert.equal(changedBytes, 0)
  assert.equal(asked.length, 1)
  await processor.finish()
  assert.deepEqual(packs, [])
})

test('changed pages and small files of several frames end up in one frame', async () => {
  const { store, processor, packs, bundled } = open()
  const old = SINCE - 5n
  const known = { sources: Uint8Array.of(...Array(8).fill(1)), visible: new Uint8Array(1) }
  const changes = Array.from({ length: 5 }, () => pagesAt(old, old, SINCE + 1n, old, old, SINCE + 9n, old, old))
  const small = randomBytes(5000)
  for (const [file, bytes] of changes.entries()) {
    const piece = pieceOf(bytes.length, { file, fileOffsetBytes: FRAME_BYTES, mainFork: true, known })
    const { placements, changedBytes } = await processor.process(bytes, [piece])
    assert.ok(placements.every(({ source }) => source === 'parent'))
    assert.equal(
      placements.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0),
      6 * BLOCK,
    )
    assert.equal(changedBytes, 2 * BLOCK)
  }
  const both = Buffer.concat([small, small])
  const twin = { file: 6, frameOffsetBytes: 5000, wholeFile: true, knownContentId: contentId(sealing, small) }
  const { placements } = await processor.process(both, [
    pieceOf(5000, { file: 5, wholeFile: true }),
    pieceOf(5000, twin),
  ])
  assert.deepEqual(placements, [{ file: 6, fileOffsetBytes: 0, lengthBytes: 5000, source: 'parent' }])
  assert.equal(bundled.length, 0)
  await processor.finish()
  assert.equal(packs.length, 1)
  assert.equal(new Set(bundled.map(({ source }) => (typeof source === 'string' ? '' : source.frame.index))).size, 1)
  const parts = await readPlaced(store, bundled)
  for (const [file, bytes] of changes.entries()) {
    for (const page of [2, 5]) {
      const part = parts.get(`${file}:${FRAME_BYTES + page * BLOCK}`)
      assert.ok(part?.equals(bytes.subarray(page * BLOCK, (page + 1) * BLOCK)))
    }
  }
  assert.ok(parts.get('5:0')?.equals(small))
})

test('bad pages are reported by file, with the block number of their relation', async () => {
  const { processor } = open()
  const bytes = Buffer.alloc(4 * BLOCK, 1)
  bytes.fill(0, 0, BLOCK)
  const checked = { file: 5, checked: true, firstBlockNumber: 131_072 }
  const { badPages } = await processor.process(bytes, [
    pieceOf(3 * BLOCK + 100, checked),
    pieceOf(BLOCK - 100, { frameOffsetBytes: 3 * BLOCK + 100 }),
  ])
  assert.deepEqual(
    badPages.map(({ file, pages }) => ({ file, blocks: pages.map(({ blockNumber }) => blockNumber) })),
    [{ file: 5, blocks: [131_073, 131_074] }],
  )
  await processor[Symbol.asyncDispose]()
})

test('a pack that cannot be committed fails what follows, at the latest the end', async () => {
  const { processor, store } = open({ packTargetBytes: 50_000, failCommits: true })
  await processor.process(randomBytes(100_000), [pieceOf(100_000)])
  await assert.rejects(processor.finish(), /the disk is gone/)
  await processor[Symbol.asyncDispose]()
  for await (const { key } of store.list(PACKS_PREFIX)) assert.fail(key)
})
