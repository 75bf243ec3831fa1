import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRetakeError } from '../base/errors.ts'
import { buildTimelinePath } from '../catalog/timeline-path.ts'
import type { Retake } from '../engine/open.ts'
import { readWindow } from '../engine/window.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { createExampleRepository, EXAMPLE_SEGMENT_BYTES } from '../repository/testing/example-repository.ts'
import { verifyRepository } from '../repository/verify.ts'
import { readWalInventory } from '../repository/wal-archive.ts'
import { historyKey, positionKey, rangeKey, segmentName } from '../repository/wal-layout.ts'
import { putSegment } from '../repository/wal-segments.ts'
import { deleteTail, readTail, TailWriter } from '../repository/wal-tail.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { FaultyStore } from '../storage/testing/faulty-store.ts'
import { archiveSource } from './archive-source.ts'
import { readHeldArchive, takenTimelines } from './held-archive.ts'
import { openSegment } from './segment-content.ts'
import { lastRange } from './stop-point.ts'
import { openWalLog } from './wal-log.ts'

async function flip(cluster: ClusterRepository, key: string): Promise<void> {
  const bytes = Buffer.from((await cluster.store.get(key)) ?? [])
  // In the tag of the footer, without which no object opens.
  const at = bytes.length - 20
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await cluster.store.replace(key, bytes)
}

const objects = [
  ['range', rangeKey('main', { timeline: 2, begin: 0x400000n as never })],
  ['segment', segmentName('main', { timeline: 1, segment: 4n, partial: true }).key],
  ['history', historyKey('main', 2)],
  ['position', positionKey('main')],
] as const

for (const [what, key] of objects) {
  test(`a damaged ${what} is noted, and all the rest is held`, async () => {
    const { cluster, repository } = await createExampleRepository(createMemoryStore())
    const whole = await readHeldArchive(cluster)
    await flip(cluster, key)
    await assert.rejects(readWalInventory(cluster), (error) => isRetakeError(error, 'repo.damaged'))
    const held = await readHeldArchive(cluster)
    assert.deepEqual(
      held.damage.map((one) => [one.what, one.object]),
      [[what, key]],
    )
    assert.ok(held.damage[0]?.error.message.includes(key))
    const ranges = (archive: typeof held) => archive.coverage.map((one) => [one.timeline, one.ranges])
    if (what === 'segment') assert.deepEqual(ranges(held).at(1), ranges(whole).at(1))
    else assert.deepEqual(ranges(held), ranges(whole))
    assert.deepEqual(takenTimelines(held), [2])
    // The library's view for people and machines names it too.
    const retake = { clusterName: 'main', repository, cluster: async () => cluster } as unknown as Retake
    assert.deepEqual(
      (await readWindow(retake)).damage.map(({ object }) => object),
      [key],
    )
  })
}

test('without the position nothing may be called the end; earlier WAL is not concerned', async () => {
  const { cluster } = await createExampleRepository(createMemoryStore())
  const open = async () => {
    const held = await readHeldArchive(cluster)
    return openWalLog(cluster, { held, path: buildTimelinePath(held.histories, 2) })
  }
  assert.equal(lastRange(await open()).endLsn, 0x61d4c0n)
  await flip(cluster, positionKey('main'))
  const log = await open()
  assert.throws(() => lastRange(log), { code: 'repo.damaged', message: /cannot be told/ })
  assert.equal(log.coverage.ranges.at(-1)?.endLsn, 0x61d4c0n)
})

test('a damaged history of another branch still says that its number is taken', async () => {
  const { cluster } = await createExampleRepository(createMemoryStore())
  await flip(cluster, historyKey('main', 2))
  const held = await readHeldArchive(cluster)
  const path = buildTimelinePath(held.histories, 1)
  const source = archiveSource(cluster, { held, path, firstSegment: 1n, lastSegment: 3n })
  const content = await source.open('00000002.history')
  assert.ok(content)
  assert.match(Buffer.concat(await Array.fromAsync(content)).toString(), /^#.* 2 is damaged/)
  assert.equal(await source.open('00000003.history'), undefined)
})

/** The sixth segment of timeline 2 is a tail; when its parts are read, a receiver stores it as `partial` and deletes them. */
async function beingSealed() {
  const store = new FaultyStore(createMemoryStore())
  const example = await createExampleRepository(store)
  const behind: ClusterRepository = { ...example.cluster, store: store.inner }
  const place = { timeline: 2, segment: 6n }
  const tail = await readTail(behind, place)
  const wal = Buffer.concat(await Array.fromAsync(tail?.bytes ?? []))
  const seal = async () => {
    await putSegment(behind, { ...place, partial: true, validBytes: wal.length }, [wal], {
      commits: 0,
      restorePoints: [],
    })
    await deleteTail(behind, place)
  }
  const arm = (after: number) => store.plan('get', { matching: (key) => key.includes('/tail/'), after, before: seal })
  return { ...example, store, place, wal, arm }
}

test('a tail that is sealed between the list and the read is held all the same', async () => {
  const { cluster, store, wal, arm } = await beingSealed()
  arm(0)
  const held = await readHeldArchive(cluster)
  store.assertAllHit()
  assert.deepEqual(held.damage, [])
  assert.equal(held.coverage.at(-1)?.ranges.at(-1)?.endLsn, BigInt(6 * EXAMPLE_SEGMENT_BYTES + wal.length))
})

test('a tail that is sealed at any moment of being read gives its bytes', async () => {
  for (let after = 0; ; after++) {
    const { cluster, store, place, wal, arm } = await beingSealed()
    arm(after)
    const content = await openSegment(cluster, place)
    assert.ok(content)
    const bytes = Buffer.concat(await Array.fromAsync(content.bytes, (piece) => Buffer.from(piece)))
    assert.ok(bytes.equals(wal), `sealed at call ${after}`)
    try {
      store.assertAllHit()
    } catch {
      assert.ok(after > 3, 'the tail was read by several calls')
      return
    }
  }
})

test('verification beside a receiver reports no damage', async () => {
  for (const after of [0, 1, 2, 3]) {
    const { repository, store, arm } = await beingSealed()
    arm(after)
    const report = await verifyRepository({ repository, depth: 'quick', workers: 0 })
    store.assertAllHit()
    assert.deepEqual(report.findings, [], `sealed at call ${after}`)
  }
})

test('a tail stands in for the damaged partial segment beside it', async () => {
  const { cluster } = await createExampleRepository(createMemoryStore())
  const place = { timeline: 1, segment: 4n }
  await flip(cluster, segmentName('main', { ...place, partial: true }).key)
  await assert.rejects(openSegment(cluster, place), { code: 'repo.damaged' })
  await using tail = await TailWriter.open(cluster, { ...place, offsetBytes: 0 })
  await tail.append(Buffer.alloc(500, 3))
  await tail.sync()
  const content = await openSegment(cluster, place)
  assert.equal(content?.validBytes, 500)
})
