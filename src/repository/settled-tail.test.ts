import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createMemoryStore } from '../storage/memory-store.ts'
import { FaultyStore } from '../storage/testing/faulty-store.ts'
import type { ClusterRepository } from './cluster.ts'
import { importSealing } from './sealing.ts'
import { readSettledTail } from './settled-tail.ts'
import { EXAMPLE_SEGMENT_BYTES, exampleFacts } from './testing/example-repository.ts'
import { tailPartKey } from './wal-layout.ts'
import { putSegment } from './wal-segments.ts'
import { deleteTail, listTailParts, TailWriter } from './wal-tail.ts'

const id = { timeline: 1, segment: 7n }
const wal = randomBytes(EXAMPLE_SEGMENT_BYTES)

async function withTail() {
  const store = new FaultyStore(createMemoryStore())
  const sealing = importSealing({ repositoryId: 'a'.repeat(32), epochs: [{ epoch: 1, key: randomBytes(32) }] })
  const cluster: ClusterRepository = { facts: exampleFacts, store, sealing }
  const behind: ClusterRepository = { ...cluster, store: store.inner }
  await writePart(behind, wal.length)
  return { store, cluster, behind }
}

async function writePart(cluster: ClusterRepository, lengthBytes: number): Promise<void> {
  await using tail = await TailWriter.open(cluster, { ...id, offsetBytes: 0 })
  for (let start = 0; start < lengthBytes; start += 65_536) await tail.append(wal.subarray(start, start + 65_536))
  await tail.sync()
}

const isPart = (key: string) => key.includes('/tail/')

test('a tail that became its segment between the list and the read is no damage', async () => {
  for (const partial of [false, true]) {
    const { store, cluster, behind } = await withTail()
    store.plan('get', {
      matching: isPart,
      async before() {
        await putSegment(behind, { ...id, partial, validBytes: wal.length }, [wal], { commits: 0, restorePoints: [] })
        await deleteTail(behind, id)
      },
    })
    const settled = await readSettledTail(cluster, id, (tail) => tail)
    store.assertAllHit()
    assert.deepEqual(settled, { kind: 'stored', id: { ...id, partial }, validBytes: wal.length })
  }
})

test('a part that another part has replaced meanwhile is read from there', async () => {
  const { store, cluster, behind } = await withTail()
  store.plan('get', {
    matching: isPart,
    async before() {
      const former = await listTailParts(behind, id)
      await writePart(behind, wal.length)
      for (const part of former) await behind.store.delete(tailPartKey('main', part))
    },
  })
  const settled = await readSettledTail(cluster, id, async (tail) => Buffer.concat(await Array.fromAsync(tail.bytes)))
  store.assertAllHit()
  assert.ok(settled?.kind === 'tail' && settled.value.equals(wal))
})

test('what stays as it was and cannot be read is damage; what is not there is nothing', async () => {
  const { cluster, behind } = await withTail()
  const [part] = await listTailParts(behind, id)
  assert.ok(part)
  const key = tailPartKey('main', part)
  const bytes = Buffer.from((await behind.store.get(key)) ?? [])
  bytes.fill(0, 100, 200)
  await behind.store.replace(key, bytes)
  await assert.rejects(
    readSettledTail(cluster, id, async (tail) => {
      for await (const _ of tail.bytes);
      assert.equal(tail.validBytes, wal.length)
    }),
  )
  await deleteTail(behind, id)
  assert.equal(await readSettledTail(cluster, id, (tail) => tail), undefined)
})
