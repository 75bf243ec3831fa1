import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FileEntry, FileRun } from '../repository/manifest.ts'
import { BatchBuilder, groupAdjacent, type RestoreBatch } from './restore-batches.ts'

/** A small repository: packs of frames laid out one after the other, and files made of stretches of them. */
const layout = fc.record({
  packs: fc.array(fc.array(fc.integer({ min: 20, max: 3_000_000 }), { minLength: 1, maxLength: 12 }), {
    minLength: 1,
    maxLength: 4,
  }),
  files: fc.array(fc.array(fc.tuple(fc.nat(), fc.nat(), fc.boolean()), { maxLength: 8 }), { maxLength: 20 }),
})

function shapeOf({ path, sizeBytes, mode }: FileEntry) {
  return { file: path, sizeBytes, mode }
}

function build({ packs, files }: { packs: number[][]; files: [number, number, boolean][][] }) {
  const frames = packs.map((sizes) => {
    let offsetBytes = 64
    return sizes.map((storedBytes, index) => {
      const frame = { index, offsetBytes, storedBytes, plainBytes: storedBytes, codec: 'raw' as const, contentId: 'x' }
      offsetBytes += storedBytes
      return frame
    })
  })
  return files.map((runs, number): FileEntry => {
    let offsetBytes = 0
    const made = runs.map(([packSeed, frameSeed, zero]): FileRun => {
      const pack = packSeed % frames.length
      const frame = frames[pack]![frameSeed % frames[pack]!.length]!
      const run = { offsetBytes, lengthBytes: frame.plainBytes, frameOffsetBytes: 0 }
      offsetBytes += frame.plainBytes
      return zero ? run : { ...run, frame: { pack, ...frame } }
    })
    return { type: 'file', path: `f${number}`, sizeBytes: offsetBytes, mode: 0o600, modifiedMs: 0, runs: made }
  })
}

test('every stretch is read once and written exactly where it belongs; batches stay bounded', () => {
  fc.assert(
    fc.property(layout, (shape) => {
      const files = build(shape)
      const builder = new BatchBuilder()
      for (const index of shape.packs.keys())
        builder.addPack({ type: 'pack', packId: `p${index}`, salt: 's', epoch: 1 })
      const batches: RestoreBatch[] = []
      for (const file of files) batches.push(...builder.addFile(file, shapeOf(file)))
      batches.push(...builder.flush())
      const expected = files.flatMap((file) =>
        file.runs
          .filter((run) => run.frame)
          .map((run) => `${file.path}@${run.offsetBytes}+${run.lengthBytes}=p${run.frame!.pack}/${run.frame!.index}`),
      )
      const actual = batches.flatMap((batch) =>
        batch.frames.flatMap((frame) =>
          frame.writes.map(
            (write) =>
              `${write.shape.file}@${write.fileOffsetBytes}+${write.lengthBytes}=${batch.packId}/${frame.index}`,
          ),
        ),
      )
      assert.deepEqual(actual.sort(), expected.sort())
      for (const batch of batches) {
        assert.ok(batch.storedBytes <= 4 * 1024 * 1024 + 3_000_000)
        const offsets = batch.frames.map((frame) => frame.offsetBytes)
        assert.deepEqual(
          offsets,
          [...offsets].sort((a, b) => a - b),
        )
        assert.equal(new Set(offsets).size, offsets.length, 'a frame is read once in a batch')
      }
      assert.deepEqual([...builder.flush()], [])
    }),
  )
})

test('groups hold every frame once, in order, and are no longer than asked', () => {
  fc.assert(
    fc.property(layout, (shape) => {
      const builder = new BatchBuilder()
      for (const index of shape.packs.keys())
        builder.addPack({ type: 'pack', packId: `p${index}`, salt: 's', epoch: 1 })
      for (const file of build(shape)) {
        for (const batch of [...builder.addFile(file, shapeOf(file)), ...builder.flush()]) {
          const groups = groupAdjacent(batch.frames, { maxGapBytes: 1000, maxGroupBytes: 4_000_000 })
          assert.deepEqual(
            groups.flatMap((group) => group.frames),
            batch.frames,
          )
          for (const group of groups) {
            const last = group.frames.at(-1)!
            assert.equal(group.offsetBytes + group.lengthBytes, last.offsetBytes + last.storedBytes)
            assert.ok(group.lengthBytes <= 4_000_000)
          }
        }
      }
    }),
  )
})

test('of a hundred thousand equal files, which lie in one frame, no batch holds more than some', () => {
  const builder = new BatchBuilder()
  builder.addPack({ type: 'pack', packId: 'p', salt: 's', epoch: 1 })
  const frame = { pack: 0, index: 0, offsetBytes: 64, storedBytes: 9, plainBytes: 8192, codec: 'raw' as const }
  const runs = [{ offsetBytes: 0, lengthBytes: 8192, frameOffsetBytes: 0, frame: { ...frame, contentId: 'x' } }]
  const batches: RestoreBatch[] = []
  for (let number = 0; number < 100_000; number += 1) {
    const file = { type: 'file' as const, path: `f${number}`, sizeBytes: 8192, mode: 0o600, modifiedMs: 0, runs }
    batches.push(...builder.addFile(file, shapeOf(file)))
  }
  batches.push(...builder.flush())
  const counts = batches.map(({ frames }) => frames.reduce((sum, { writes }) => sum + writes.length, 0))
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    100_000,
  )
  assert.ok(counts.every((count) => count <= 8192))
})
