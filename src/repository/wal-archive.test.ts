import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { isRetakeError } from '../base/errors.ts'
import { formatLsn } from '../postgres/lsn.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { generateKey } from './keys/key-material.ts'
import { createRepository } from './repository.ts'
import { contentId } from './sealing.ts'
import { createExampleRepository, EXAMPLE_SEGMENT_BYTES, exampleFacts } from './testing/example-repository.ts'
import { listSegments } from './testing/segments.ts'
import { readWalInventory } from './wal-archive.ts'
import { segmentName } from './wal-layout.ts'
import { putHistory, putPosition, putRange, readHistory, readPosition } from './wal-records.ts'
import { putSegment, readSegment, readSegmentMeta } from './wal-segments.ts'

const code = (expected: string) => (error: unknown) => isRetakeError(error) && error.code === expected
const noFacts = { commits: 0, restorePoints: [] }

async function emptyCluster() {
  const repository = await createRepository(createMemoryStore(), generateKey())
  return await repository.registerCluster(exampleFacts)
}

const whole = { timeline: 1, segment: 0x1_0000_0003n, partial: false, validBytes: EXAMPLE_SEGMENT_BYTES } as const

test('a segment comes back as it was, with what is known of it', async () => {
  const cluster = await emptyCluster()
  const wal = randomBytes(EXAMPLE_SEGMENT_BYTES)
  let begun = false
  async function* pieces() {
    begun = true
    for (let start = 0; start < wal.length; start += 70_001) yield wal.subarray(start, start + 70_001)
  }
  const facts = {
    commits: 3,
    firstAt: '2026-11-22T09:00:00.000Z',
    lastAt: '2026-11-22T09:00:01.123456Z',
    minXid: 700,
    maxXid: 702,
    restorePoints: [{ name: 'before deploy', at: '2026-11-22T09:00:00.500Z', lsn: '1/3000060' }],
  }
  await putSegment(cluster, whole, pieces(), () => {
    assert.ok(begun, 'facts are asked for when the source has ended')
    return facts
  })
  assert.deepEqual(Buffer.concat(await Array.fromAsync(readSegment(cluster, whole))), wal)
  const expected = { ...facts, validBytes: wal.length, contentId: contentId(cluster.sealing, wal) }
  assert.deepEqual(await readSegmentMeta(cluster, whole), expected)
  assert.equal(await readSegmentMeta(cluster, { ...whole, timeline: 2 }), undefined)
  await assert.rejects(Array.fromAsync(readSegment(cluster, { ...whole, segment: 4n })), code('wal.gap'))
})

test('the same segment again is fine, another content is not stored (F5)', async () => {
  const cluster = await emptyCluster()
  const wal = randomBytes(EXAMPLE_SEGMENT_BYTES)
  await putSegment(cluster, whole, [wal], noFacts)
  await putSegment(cluster, whole, [wal], noFacts)
  await assert.rejects(putSegment(cluster, whole, [randomBytes(EXAMPLE_SEGMENT_BYTES)], noFacts), code('wal.diverged'))
  assert.deepEqual(Buffer.concat(await Array.fromAsync(readSegment(cluster, whole))), wal)
  const partial = { ...whole, partial: true, validBytes: 5000 }
  await putSegment(cluster, partial, [wal.subarray(0, 5000)], noFacts)
  await assert.rejects(
    putSegment(cluster, { ...partial, validBytes: 5001 }, [wal.subarray(0, 5001)], noFacts),
    code('wal.diverged'),
  )
  const history = { timeline: 2, content: Buffer.from('1\t0/3000000\tx\n') }
  await putHistory(cluster, history)
  await putHistory(cluster, history)
  await assert.rejects(
    putHistory(cluster, { timeline: 2, content: Buffer.from('1\t0/4000000\tx\n') }),
    code('wal.diverged'),
  )
  assert.deepEqual(Buffer.from((await readHistory(cluster, 2)) ?? []), history.content)
  assert.equal(await readHistory(cluster, 3), undefined)
})

test('a segment of the wrong length is a defect, and nothing is stored', async () => {
  const cluster = await emptyCluster()
  for (const length of [0, EXAMPLE_SEGMENT_BYTES - 1, EXAMPLE_SEGMENT_BYTES + 1]) {
    await assert.rejects(putSegment(cluster, whole, [randomBytes(length)], noFacts), /assertion/)
  }
  await assert.rejects(
    putSegment(cluster, whole, [randomBytes(EXAMPLE_SEGMENT_BYTES)], { ...noFacts, contentId: 'not this one' }),
    /assertion/,
  )
  assert.equal(await readSegmentMeta(cluster, whole), undefined)
})

test('the position is replaced; a range is recorded once', async () => {
  const cluster = await emptyCluster()
  assert.equal(await readPosition(cluster), undefined)
  const at = '2026-11-22T09:00:00.000Z'
  for (let lsn = 0x3000000n; lsn < 0x3000100n; lsn += 0x10n) {
    const position = { timeline: 1, flushLsn: formatLsn(lsn), at, serverTime: at }
    await putPosition(cluster, position)
    assert.deepEqual(await readPosition(cluster), position)
  }
  const range = { timeline: 1, beginLsn: '0/3000000', reason: 'first-contact', at, explanation: 'first' } as const
  await putRange(cluster, range)
  await putRange(cluster, { ...range, explanation: 'second' })
  assert.deepEqual((await readWalInventory(cluster)).ranges, [range])
})

test('the inventory lists everything in order', async () => {
  const { cluster } = await createExampleRepository(createMemoryStore())
  const inventory = await readWalInventory(cluster)
  const names = listSegments(inventory).map(
    ({ timeline, segment, partial }) => `${timeline}/${segment}${partial ? 'p' : ''}`,
  )
  assert.deepEqual(names, ['1/1', '1/2', '1/3', '1/4p', '2/4', '2/5'])
  assert.deepEqual(
    inventory.runs.map(({ timeline, first, last }) => [timeline, first, last]),
    [
      [1, 1n, 3n],
      [2, 4n, 5n],
    ],
  )
  for (const { storedBytes, ...id } of listSegments(inventory))
    assert.equal((await cluster.store.head(segmentName('main', id).key))?.sizeBytes, storedBytes)
  assert.equal(inventory.partials[0]?.validBytes, 300_000)
  assert.deepEqual(
    inventory.tails.map(({ timeline, segment, offsetBytes }) => [timeline, segment, offsetBytes]),
    [
      [2, 6n, 0],
      [2, 6n, 70_000],
    ],
  )
  assert.deepEqual(
    inventory.ranges.map(({ timeline, beginLsn }) => [timeline, beginLsn]),
    [
      [1, '0/100000'],
      [2, '0/400000'],
    ],
  )
  assert.equal(inventory.histories[0]?.entries[0]?.switchLsn, 0x4493e0n)
  assert.equal(inventory.position?.flushLsn, '0/61D4C0')
})
