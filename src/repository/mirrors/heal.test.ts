import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MemoryStore } from '../../storage/memory-store.ts'
import { openContainer } from '../container.ts'
import { packKey } from '../layout.ts'
import { readFrames } from '../read-frames.ts'
import { verifyRepository } from '../verify.ts'
import { readSegment } from '../wal-segments.ts'
import { readTail } from '../wal-tail.ts'
import { healRepository } from './heal.ts'
import { syncRepository } from './sync.ts'
import { contentOf, createMirroredExample } from './testing/mirrored-example.ts'

async function setUp() {
  const mirrored = await createMirroredExample()
  await using repository = await mirrored.open()
  await syncRepository({ repository, setUp: true })
  return mirrored
}

async function flip(memory: MemoryStore, key: string, at: number): Promise<Uint8Array> {
  const bytes = await memory.get(key)
  assert(bytes, `${key} is there`)
  const offset = at < 0 ? bytes.length + at : at
  bytes[offset] = (bytes[offset] ?? 0) ^ 1
  await memory.replace(key, bytes)
  return bytes
}

test('bit rot in either copy is healed from the other; the damaged bytes are kept', async () => {
  const mirrored = await setUp()
  const [origin, north] = mirrored.places
  const before = await contentOf(origin!.memory)
  const [first, second] = mirrored.example.backups
  const inOrigin = [packKey(first!.packIds[0]!), 'clusters/main/wal/00000001/0000000000000002', 'retake.json']
  const inNorth = [
    packKey(second!.packIds[0]!),
    `clusters/main/backups/${first?.backupId}`,
    'clusters/main/wal/history/00000002',
  ]
  const rotten = new Map<string, Uint8Array>()
  for (const key of inOrigin) rotten.set(key, await flip(origin!.memory, key, 100))
  for (const key of inNorth) rotten.set(key, await flip(north!.memory, key, 100))
  const missing = packKey(second!.packIds[1]!)
  await north?.memory.delete(missing)
  await using repository = await mirrored.open()
  const planned = await healRepository({ repository, depth: 'deep', dryRun: true })
  const reports = await healRepository({ repository, depth: 'deep' })
  assert.deepEqual(planned, reports)
  const [ofOrigin, ofNorth] = reports
  assert.deepEqual(ofOrigin?.healed.map(({ object }) => object).toSorted(), inOrigin.toSorted())
  assert.deepEqual(ofNorth?.healed.map(({ object }) => object).toSorted(), [...inNorth, missing].toSorted())
  assert.deepEqual([ofOrigin?.lost, ofNorth?.lost], [[], []])
  for (const place of mirrored.places) assert.deepEqual(await contentOf(place.memory), before)
  for (const [key, bytes] of rotten) {
    const memory = inOrigin.includes(key) ? origin?.memory : north?.memory
    assert.deepEqual(Buffer.from((await memory?.get(`copies/damaged/${key}`)) ?? []), Buffer.from(bytes))
  }
})

test('what is damaged in every copy is lost, and left as it is', async () => {
  const mirrored = await setUp()
  const key = 'clusters/main/wal/00000001/0000000000000002'
  for (const { memory } of mirrored.places) await flip(memory, key, 100)
  const before = await Promise.all(mirrored.places.map(({ memory }) => contentOf(memory)))
  await using repository = await mirrored.open()
  for (const report of await healRepository({ repository, depth: 'deep' })) {
    assert.deepEqual(report.lost, [{ object: key, was: 'damaged' }])
    assert.deepEqual(report.healed, [])
  }
  assert.deepEqual(await Promise.all(mirrored.places.map(({ memory }) => contentOf(memory))), before)
})

test('damage is read around: containers, frames, small objects, tails, key files, and the repository file', async () => {
  const mirrored = await setUp()
  const [origin] = mirrored.places
  const keys = [...(await contentOf(origin!.memory)).keys()].filter((key) => !key.includes('/leases/'))
  for (const [index, key] of keys.entries())
    await flip(origin!.memory, key, index % 2 === 0 || key.includes('/tail/') ? 70 : -20)
  await using repository = await mirrored.open()
  const cluster = await repository.openCluster('main')
  const [backup] = mirrored.example.backups
  const key = packKey(backup!.packIds[0]!)
  const pack = await openContainer(cluster.store, cluster.sealing, { key, kind: 'pack' })
  assert((await Array.fromAsync(readFrames(pack!))).length > 0)
  const tail = await readTail(cluster, { timeline: 2, segment: 6n })
  const wal = Buffer.concat(await Array.fromAsync(tail!.bytes))
  assert.equal(wal.length, 120_000)
  for (const segment of [1n, 2n, 3n]) {
    const pieces = await Array.fromAsync(readSegment(cluster, { timeline: 1, segment, partial: false }))
    assert.equal(Buffer.concat(pieces).length, cluster.facts.walSegmentSizeBytes)
  }
  assert.deepEqual((await verifyRepository({ repository, depth: 'quick' })).findings, [])
  assert(mirrored.events.some(({ kind }) => kind === 'suspected'))
})
