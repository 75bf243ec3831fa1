import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { isRetakeError } from '../base/errors.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { FaultyStore } from '../storage/testing/faulty-store.ts'
import type { ClusterRepository } from './cluster.ts'
import { importSealing } from './sealing.ts'
import { exampleFacts } from './testing/example-repository.ts'
import { tailPartKey } from './wal-layout.ts'
import { deleteTail, listTailParts, readTail, TailWriter } from './wal-tail.ts'

const id = { timeline: 1, segment: 7n }
const wal = randomBytes(exampleFacts.walSegmentSizeBytes)
const sealing = importSealing({ repositoryId: 'a'.repeat(32), epochs: [{ epoch: 1, key: randomBytes(32) }] })

function newCluster(options: { readonly canAppend?: boolean } = {}): ClusterRepository {
  return { facts: exampleFacts, store: new FaultyStore(createMemoryStore(), options), sealing }
}

async function read(cluster: ClusterRepository) {
  const tail = await readTail(cluster, id)
  if (tail === undefined) return undefined
  const bytes = Buffer.concat(await Array.fromAsync(tail.bytes))
  assert.equal(bytes.length, tail.validBytes - tail.beginBytes)
  assert.ok(bytes.equals(wal.subarray(tail.beginBytes, tail.validBytes)), 'other bytes than were written')
  return tail
}

interface WrittenPart {
  readonly key: string
  /** Size of the object after each sync, and where in the segment the WAL ended then. */
  readonly synced: { readonly sizeBytes: number; readonly endBytes: number }[]
}

/** Appends pieces of these lengths; `true` is a sync. */
async function writePart(
  cluster: ClusterRepository,
  offsetBytes: number,
  steps: readonly (number | true)[],
): Promise<WrittenPart> {
  const known = new Set((await listTailParts(cluster, id)).map((part) => part.random))
  await using writer = await TailWriter.open(cluster, { ...id, offsetBytes })
  const [part] = (await listTailParts(cluster, id)).filter(({ random }) => !known.has(random))
  const key = part ? tailPartKey(cluster.facts.name, part) : ''
  const synced = [{ sizeBytes: 0, endBytes: offsetBytes }]
  for (const step of steps) {
    if (step !== true) await writer.append(wal.subarray(writer.endBytes, writer.endBytes + step))
    else {
      await writer.sync()
      synced.push({ sizeBytes: (await cluster.store.head(key))?.sizeBytes ?? 0, endBytes: writer.endBytes })
    }
  }
  return { key, synced }
}

const steps = fc.array(fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.constant(true as const)), {
  minLength: 1,
  maxLength: 12,
})

test('after a crash, everything synced is there and nothing invented, whatever became of the rest', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(), fc.nat(), fc.boolean(), async (written, cut, hole, isTorn) => {
      const cluster = newCluster()
      const { key, synced } = await writePart(cluster, 0, written)
      const durable = synced.at(-1) ?? assert.fail()
      const bytes = (await cluster.store.get(key)) as Uint8Array
      const volatile = bytes.length - durable.sizeBytes
      // The end may be missing, and any sector without synced bytes may be zeros.
      const left = bytes.slice(0, durable.sizeBytes + (volatile > 0 ? cut % (volatile + 1) : 0))
      const first = Math.ceil(durable.sizeBytes / 512)
      const sectors = Math.ceil(left.length / 512) - first
      if (isTorn && sectors > 0) {
        const sector = first + (hole % sectors)
        left.fill(0, sector * 512, (sector + 1) * 512)
      }
      await cluster.store.replace(key, left)
      const tail = await read(cluster)
      assert.ok(tail && tail.validBytes >= durable.endBytes, `${tail?.validBytes} of ${durable.endBytes}`)
    }),
    { numRuns: 300 },
  )
})

test('a changed byte in what had been proven durable by a later record is damage, never a shorter tail', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 2, maxLength: 8 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (lengths, at, mask) => {
        const cluster = newCluster()
        const { key, synced } = await writePart(
          cluster,
          0,
          lengths.flatMap((length) => [length, true] as const),
        )
        const bytes = (await cluster.store.get(key)) as Uint8Array
        const proven = synced.at(-2)?.sizeBytes ?? 0
        const place = at % proven
        bytes[place] = (bytes[place] as number) ^ mask
        await cluster.store.replace(key, bytes)
        await assert.rejects(
          read(cluster),
          (error) => isRetakeError(error, 'repo.damaged') && error.details.object === key,
        )
      },
    ),
  )
})

test('parts join and may overlap; one that begins beyond the end of the others is damage', async () => {
  const cluster = newCluster()
  assert.equal(await readTail(cluster, id), undefined)
  await writePart(cluster, 0, [5000, true, 1000])
  await writePart(cluster, 5000, [2000, true])
  await writePart(cluster, 5500, [100, true])
  await writePart(cluster, 7000, [])
  assert.deepEqual([(await read(cluster))?.beginBytes, (await read(cluster))?.validBytes], [0, 7000])
  const last = await writePart(cluster, 7001, [10, true])
  await assert.rejects(read(cluster), (error) => isRetakeError(error, 'repo.damaged'))
  await cluster.store.delete(last.key)
  assert.equal((await read(cluster))?.validBytes, 7000)
  await deleteTail(cluster, id)
  assert.equal(await readTail(cluster, id), undefined)
})

test('a tail may begin inside its segment, and be read while it grows', async () => {
  const cluster = newCluster()
  await using writer = await TailWriter.open(cluster, { ...id, offsetBytes: 8192 })
  assert.deepEqual([(await read(cluster))?.beginBytes, (await read(cluster))?.validBytes], [8192, 8192])
  await writer.append(wal.subarray(8192, 10_000))
  const tail = await readTail(cluster, id)
  await writer.append(wal.subarray(10_000, 20_000))
  assert.ok(Buffer.concat(await Array.fromAsync(tail?.bytes ?? [])).equals(wal.subarray(8192, 10_000)))
  assert.equal((await read(cluster))?.validBytes, 20_000)
})

test('a record larger than a frame is split', async () => {
  const cluster = newCluster()
  await writePart(cluster, 0, [exampleFacts.walSegmentSizeBytes, true])
  assert.equal((await read(cluster))?.validBytes, exampleFacts.walSegmentSizeBytes)
  await using writer = await TailWriter.open(cluster, { ...id, offsetBytes: exampleFacts.walSegmentSizeBytes })
  await assert.rejects(writer.append(Buffer.from('x')), /assertion/)
})

test('storage that cannot append gets a part per sync', async () => {
  const cluster = newCluster({ canAppend: false })
  await using writer = await TailWriter.open(cluster, { ...id, offsetBytes: 0 })
  await writer.sync()
  assert.equal(await readTail(cluster, id), undefined)
  for (let count = 1; count <= 3; count++) {
    await writer.append(wal.subarray(writer.endBytes, writer.endBytes + 1000))
    await writer.append(wal.subarray(writer.endBytes, writer.endBytes + 500))
    await writer.sync()
    await writer.sync()
    assert.equal((await listTailParts(cluster, id)).length, count)
    assert.equal((await read(cluster))?.validBytes, count * 1500)
  }
})

test('where every sync makes a part, many small ones are joined; a failure in between costs nothing', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        syncs: fc.integer({ min: 60, max: 200 }),
        failing: fc.constantFrom('create' as const, 'delete' as const, undefined),
        after: fc.integer({ min: 0, max: 120 }),
      }),
      async ({ syncs, failing, after }) => {
        const cluster = newCluster({ canAppend: false })
        const store = cluster.store as FaultyStore
        const writer = await TailWriter.open(cluster, { ...id, offsetBytes: 0 })
        if (failing === 'delete') store.plan('delete', { after: after % 40, error: new Error('planned') })
        let acknowledged = 0
        for (let index = 0; index < syncs; index++) {
          await writer.append(wal.subarray(writer.endBytes, writer.endBytes + 50))
          if (failing === 'create' && index === after) store.plan('create', { error: new Error('planned') })
          const synced = await writer.sync().then(
            () => true,
            () => false,
          )
          if (!synced) break
          acknowledged = writer.endBytes
          if (index % 16 === 0) assert.ok(((await read(cluster))?.validBytes ?? 0) >= acknowledged)
        }
        await writer.close()
        assert.equal((await read(cluster))?.validBytes, acknowledged || undefined)
        const parts = await listTailParts(cluster, id)
        if (failing === undefined) assert.ok(parts.length < 40, `${parts.length} parts after ${syncs} syncs`)
      },
    ),
    { numRuns: 8 },
  )
})
