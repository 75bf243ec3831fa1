import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildTimelinePath } from '../catalog/timeline-path.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { createExampleRepository } from '../repository/testing/example-repository.ts'
import { segmentName } from '../repository/wal-layout.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { readHeldArchive } from './held-archive.ts'
import type { RestorePlan } from './plan-types.ts'
import { proveWal } from './prove-wal.ts'

const plan = { wal: { beginLsn: '0/100028', endLsn: '0/61D000' } } as RestorePlan

async function prove(cluster: ClusterRepository): Promise<number[]> {
  const held = await readHeldArchive(cluster)
  const seen: number[] = []
  await proveWal(cluster, {
    plan,
    held: { ...held, path: buildTimelinePath(held.histories, 2) },
    onProgress: ({ done, total }) => seen.push(done, total ?? 0),
  })
  return seen
}

test('all WAL of a plan is read, across timelines and up to the tail', async () => {
  const { cluster } = await createExampleRepository(createMemoryStore())
  assert.deepEqual(await prove(cluster), [1, 6, 2, 6, 3, 6, 4, 6, 5, 6, 6, 6])
})

test('a segment that is listed and damaged in its middle is found', async () => {
  const { cluster } = await createExampleRepository(createMemoryStore())
  const { key } = segmentName('main', { timeline: 1, segment: 2n, partial: false })
  const bytes = Buffer.from((await cluster.store.get(key)) ?? [])
  bytes[500_000] = (bytes[500_000] ?? 0) ^ 1
  await cluster.store.replace(key, bytes)
  await assert.rejects(prove(cluster), { code: 'repo.damaged' })
  await cluster.store.delete(key)
  await assert.rejects(prove(cluster), { code: 'wal.gap' })
})
