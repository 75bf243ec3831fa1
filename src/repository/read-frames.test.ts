import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createMemoryStore } from '../storage/memory-store.ts'
import type { ObjectReader } from '../storage/object-store.ts'
import { ContainerWriter, openContainer } from './container.ts'
import { readFrames } from './read-frames.ts'
import { importSealing, sealFrame } from './sealing.ts'

const sealing = importSealing({ repositoryId: 'a'.repeat(32), epochs: [{ epoch: 1, key: randomBytes(32) }] })
const pack = { key: 'packs/ab/x', kind: 'pack' } as const
const FRAME_BYTES = 512 * 1024

/** Ten frames that do not compress; the last two lie in the object the other way round. */
async function example() {
  const store = createMemoryStore()
  const plains = Array.from({ length: 10 }, () => randomBytes(FRAME_BYTES))
  await using writer = await ContainerWriter.open(store, sealing, pack)
  for (const plain of plains.slice(0, 8)) await writer.writeFrame(plain)
  const swapped = plains.slice(8).map((plain) => {
    const index = writer.reserveFrame()
    return sealFrame(writer.objectKey, { index, plain })
  })
  for (const sealed of swapped.reverse()) await writer.appendSealed(sealed)
  await writer.commit({})
  const gets: number[] = []
  const reader: ObjectReader = {
    head: (key) => store.head(key),
    list: (prefix) => store.list(prefix),
    get: (key, range) => {
      gets.push(range?.lengthBytes ?? 0)
      return store.get(key, range)
    },
  }
  return { store, plains, reader, gets }
}

test('frames that lie side by side are read with one request, the first ones for less', async () => {
  const { plains, reader, gets } = await example()
  const container = await openContainer(reader, sealing, pack)
  assert.ok(container)
  gets.length = 0
  const read = await Array.fromAsync(readFrames(container))
  for (const [index, plain] of plains.entries()) assert.ok(plain.equals(read[index] as Uint8Array), `frame ${index}`)
  // Two, six, and two that do not follow each other in the object.
  assert.deepEqual(
    gets.map((bytes) => Math.floor(bytes / FRAME_BYTES)),
    [2, 6, 1, 1],
  )
})

test('whoever stops early has asked for two runs and no more', async () => {
  const { reader, gets } = await example()
  const container = await openContainer(reader, sealing, pack)
  assert.ok(container)
  gets.length = 0
  for await (const _ of readFrames(container)) break
  assert.equal(gets.length, 2)
})

test('what lies before a damaged frame is given out, then the damage is told', async () => {
  const { store, plains } = await example()
  const whole = await openContainer(store, sealing, pack)
  const damaged = whole?.frames[5]
  const bytes = Buffer.from((await store.get(pack.key)) ?? [])
  assert.ok(damaged)
  bytes[damaged.offsetBytes + 100] = (bytes[damaged.offsetBytes + 100] ?? 0) ^ 1
  await store.replace(pack.key, bytes)
  const container = await openContainer(store, sealing, pack)
  assert.ok(container)
  let given = 0
  await assert.rejects(
    async () => {
      for await (const frame of readFrames(container)) {
        assert.ok(plains[given]?.equals(frame))
        given += 1
      }
    },
    { code: 'repo.damaged', message: /frame 5 is not authentic/ },
  )
  assert.equal(given, 5)
})
