import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type AssembledFile, FileAssembly } from './file-assembly.ts'
import { FrameCutter, type FrameJob, LARGE_FILE_BYTES } from './frame-cutter.ts'
import type { Placement } from './frame-task.ts'
import { FRAME_BYTES, Slab } from './slab.ts'

const KIB = 1024
const sizes = fc.oneof(
  fc.integer({ min: 0, max: 40 * KIB }),
  fc.constantFrom(0, 1, LARGE_FILE_BYTES - 1, LARGE_FILE_BYTES, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1),
  fc.integer({ min: 0, max: 3 * FRAME_BYTES }),
)
const files = fc.array(fc.record({ sizeBytes: sizes, announced: fc.boolean(), reserved: fc.boolean() }), {
  maxLength: 12,
})
const pieceSizes = fc.array(fc.integer({ min: 1, max: 200 * KIB }), { minLength: 1, maxLength: 5 })

/** Content in which every place is recognisable. */
function contentOf(file: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  for (let at = 0; at < sizeBytes; at += 251) bytes[at] = (file * 31 + at / 251) % 256
  return bytes
}

interface InputFile {
  readonly sizeBytes: number
  readonly announced: boolean
  /** Not written here, but read by whoever stores the frame; the file's number stands for its descriptor. */
  readonly reserved: boolean
}

async function cutAll(input: readonly InputFile[], pieces: readonly number[]) {
  const slab = new Slab(2)
  const jobs: FrameJob[] = []
  const frames: Buffer[] = []
  const assembled: AssembledFile[] = []
  const assembly = new FileAssembly((file) => assembled.push(file))
  const cutter = new FrameCutter(slab, (job) => {
    jobs.push(job)
    for (const { descriptor, fileOffsetBytes, frameOffsetBytes, lengthBytes } of job.pieces) {
      if (descriptor === undefined) continue
      const content = contentOf(descriptor, input[descriptor]?.sizeBytes ?? 0)
      slab.view(job.slot).set(content.subarray(fileOffsetBytes, fileOffsetBytes + lengthBytes), frameOffsetBytes)
    }
    frames.push(Buffer.from(slab.view(job.slot).subarray(0, job.lengthBytes)))
    // As a worker would: later, so that the cutter has to wait for slots.
    setImmediate(() => slab.release(job.slot))
  })
  let turn = 0
  for (const [index, { sizeBytes, announced, reserved }] of input.entries()) {
    const number = assembly.begin({ path: String(index), mode: 0o600, modifiedMs: 0 })
    assert.equal(number, index)
    cutter.beginFile(number, announced ? sizeBytes : undefined)
    const content = contentOf(index, sizeBytes)
    for (let at = 0; at < sizeBytes; ) {
      const length = Math.min(sizeBytes - at, pieces[turn++ % pieces.length] ?? 1)
      await (reserved ? cutter.reserve(index, length) : cutter.write(content.subarray(at, at + length)))
      at += length
    }
    cutter.endFile()
    assembly.end(number, sizeBytes)
  }
  cutter.flush()
  return { jobs, frames, assembly, assembled }
}

const frameRef = (index: number, bytes: Buffer) =>
  ({
    packId: 'p',
    index,
    offsetBytes: 0,
    storedBytes: 1,
    plainBytes: bytes.length,
    codec: 'raw',
    contentId: '',
  }) as const

test('files are cut into frames and put together again, whatever the order in which frames come back', async () => {
  await fc.assert(
    fc.asyncProperty(files, pieceSizes, fc.infiniteStream(fc.nat()), async (input, pieces, order) => {
      const { jobs, frames, assembly, assembled } = await cutAll(input, pieces)
      const shuffled = jobs.map((job, index) => ({ job, index, at: order.next().value })).sort((a, b) => a.at - b.at)
      for (const { job, index } of shuffled) {
        const frame = frames[index]
        assert.ok(frame)
        const placements = job.pieces.map(({ frameOffsetBytes, ...stretch }) => ({
          ...stretch,
          source: { frame: frameRef(index, frame), frameOffsetBytes },
        }))
        assembly.answered(job.pieces, { placements, badPages: [], facts: [], changedBytes: 0 })
      }
      assert.equal(assembly.inFlight, 0)
      assert.equal(assembled.length, input.length)
      for (const file of assembled) {
        const { sizeBytes } = input[Number(file.path)] ?? { sizeBytes: -1 }
        assert.equal(file.sizeBytes, sizeBytes)
        assert.ok(readPlaced(file.placements, frames).equals(contentOf(Number(file.path), sizeBytes)))
      }
    }),
    { numRuns: 60 },
  )
})

test('a large file has frames of its own, cut at every MiB; a small one is never split', async () => {
  await fc.assert(
    fc.asyncProperty(files, pieceSizes, async (input, pieces) => {
      const { jobs } = await cutAll(input, pieces)
      const count = new Map<number, number>()
      for (const job of jobs) {
        assert.ok(job.lengthBytes > 0 && job.lengthBytes <= FRAME_BYTES)
        assert.equal(
          job.pieces.reduce((sum, piece) => sum + piece.lengthBytes, 0),
          job.lengthBytes,
        )
        for (const piece of job.pieces) {
          const file = input[piece.file]
          assert.ok(file)
          count.set(piece.file, (count.get(piece.file) ?? 0) + 1)
          const large = !file.announced || file.sizeBytes >= LARGE_FILE_BYTES
          if (!large) continue
          assert.equal(job.pieces.length, 1)
          assert.equal(piece.fileOffsetBytes % FRAME_BYTES, 0)
        }
      }
      for (const [file, pieces] of count) {
        const { announced = false, sizeBytes = 0 } = input[file] ?? {}
        const large = !announced || sizeBytes >= LARGE_FILE_BYTES
        assert.equal(pieces, large ? Math.ceil(sizeBytes / FRAME_BYTES) : 1)
      }
    }),
    { numRuns: 60 },
  )
})

test('whoever waits for a slot is told when none comes any more', async () => {
  const slab = new Slab(1)
  const cutter = new FrameCutter(slab, () => {})
  cutter.beginFile(0, undefined)
  const waiting = cutter.write(Buffer.alloc(FRAME_BYTES + 1))
  slab.fail(new Error('the storage is full'))
  await assert.rejects(async () => waiting, /the storage is full/)
  await assert.rejects(async () => cutter.write(Buffer.alloc(1)), /the storage is full/)
})

function readPlaced(placements: readonly Placement[], frames: readonly Buffer[]): Buffer {
  let end = 0
  const parts = placements.map(({ fileOffsetBytes, lengthBytes, source }) => {
    assert.equal(fileOffsetBytes, end)
    end += lengthBytes
    assert.ok(typeof source !== 'string')
    const frame = frames[source.frame.index]
    assert.ok(frame)
    return frame.subarray(source.frameOffsetBytes, source.frameOffsetBytes + lengthBytes)
  })
  return Buffer.concat(parts)
}
