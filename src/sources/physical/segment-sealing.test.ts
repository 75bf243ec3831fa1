import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WalBuilder } from '../../postgres/wal/testing/wal-builder.ts'
import { generateKey } from '../../repository/keys/key-material.ts'
import { createRepository } from '../../repository/repository.ts'
import { exampleFacts } from '../../repository/testing/example-repository.ts'
import { segmentName } from '../../repository/wal-layout.ts'
import { readSegmentMeta } from '../../repository/wal-segments.ts'
import { listTailParts, TailWriter } from '../../repository/wal-tail.ts'
import { createMemoryStore } from '../../storage/memory-store.ts'
import { SegmentSealing } from './segment-sealing.ts'

const MIB = 1024 * 1024

async function clusterOf() {
  const repository = await createRepository(createMemoryStore(), generateKey())
  return await repository.registerCluster({ ...exampleFacts, systemIdentifier: '77' })
}

type Cluster = Awaited<ReturnType<typeof clusterOf>>

async function writeTail(cluster: Cluster, segment: bigint, bytes: Uint8Array): Promise<void> {
  await using tail = await TailWriter.open(cluster, { timeline: 1, segment, offsetBytes: 0 })
  await tail.append(bytes)
  await tail.sync()
}

test('a commit that spans three segments counts where it ends, also when the receiver was started anew', async () => {
  const cluster = await clusterOf()
  const builder = new WalBuilder({ startLsn: BigInt(MIB), segmentSizeBytes: MIB, systemIdentifier: 77n })
  builder.add({ rmgr: 10, info: 0, data: new Uint8Array(600_000) })
  builder.add({ rmgr: 1, info: 0, xid: 4711, data: new Uint8Array(2 * MIB) })
  const wal = builder.padded()
  for (let segment = 1n; segment <= 3n; segment++) {
    const begin = Number(segment - 1n) * MIB
    await writeTail(cluster, segment, wal.subarray(begin, begin + MIB))
    await new SegmentSealing(cluster).seal({ timeline: 1, segment, partial: false })
  }
  const facts = await readSegmentMeta(cluster, { timeline: 1, segment: 3n, partial: false })
  assert.equal(facts?.commits, 1)
  assert.equal(facts.minXid, 4711)
})

test('a damaged object of the same name is not replaced, and the tail is kept', async () => {
  const cluster = await clusterOf()
  const { key } = segmentName('main', { timeline: 1, segment: 1n, partial: true })
  const evidence = Buffer.alloc(500, 1)
  await cluster.store.create(key, evidence)
  const builder = new WalBuilder({ startLsn: BigInt(MIB), segmentSizeBytes: MIB, systemIdentifier: 77n })
  builder.add({ rmgr: 10, info: 0, data: new Uint8Array(1000) })
  await writeTail(cluster, 1n, builder.bytes)
  const damage = await new SegmentSealing(cluster).seal({ timeline: 1, segment: 1n, partial: true })
  assert.equal(damage?.code, 'repo.damaged')
  assert.deepEqual(Buffer.from((await cluster.store.get(key)) ?? []), evidence)
  assert.equal((await listTailParts(cluster, { timeline: 1, segment: 1n })).length, 1)
})
