import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isRetakeError } from '../../base/errors.ts'
import type { Lsn } from '../../postgres/lsn.ts'
import { WalTail, type WalTailOptions } from './wal-tail.ts'

const SEGMENT = 64 * 1024

interface FakePart {
  readonly segment: bigint
  readonly offsetBytes: number
  readonly bytes: Buffer[]
  /** What would survive a power failure. */
  syncedBytes: number
}

/** An archive in memory that knows what is durable, and can fail at a chosen call. */
class FakeArchive {
  readonly parts: FakePart[] = []
  readonly completed: bigint[] = []
  calls = 0
  failAt = Number.POSITIVE_INFINITY

  #step(): Promise<void> {
    this.calls++
    if (this.calls === this.failAt) return Promise.reject(new Error(`call ${this.calls} failed`))
    return new Promise((resolve) => setImmediate(resolve))
  }

  async openPart(segment: bigint, offsetBytes: number) {
    await this.#step()
    const part: FakePart = { segment, offsetBytes, bytes: [], syncedBytes: 0 }
    this.parts.push(part)
    return {
      append: async (bytes: Uint8Array) => {
        const copy = Buffer.from(bytes)
        await this.#step()
        part.bytes.push(copy)
      },
      sync: async () => {
        const written = part.bytes.reduce((sum, piece) => sum + piece.length, 0)
        await this.#step()
        part.syncedBytes = written
      },
      close: async () => {},
    }
  }

  /** What is durable from the beginning on, without a hole. */
  durable(startLsn: bigint): Buffer {
    const pieces: Buffer[] = []
    let end = startLsn
    for (const part of this.parts) {
      const begin = part.segment * BigInt(SEGMENT) + BigInt(part.offsetBytes)
      assert.equal(begin, end, 'parts adjoin')
      const held = Buffer.concat(part.bytes).subarray(0, part.syncedBytes)
      pieces.push(held)
      end += BigInt(held.length)
    }
    return Buffer.concat(pieces)
  }
}

function logOf(length: number): Buffer {
  const log = Buffer.alloc(length)
  for (let at = 0; at < length; at++) log[at] = (at * 7 + (at >> 8)) % 256
  return log
}

function openTail(archive: FakeArchive, options: Partial<WalTailOptions> & { startLsn: Lsn }) {
  const flushed: Lsn[] = []
  const failures: unknown[] = []
  const tail = new WalTail({
    timeline: 1,
    segmentSizeBytes: SEGMENT,
    synchronous: true,
    openPart: (segment, offsetBytes) => archive.openPart(segment, offsetBytes),
    flushed: (lsn) => flushed.push(lsn),
    segmentComplete: (segment) => void archive.completed.push(segment),
    failed: (error) => failures.push(error),
    ...options,
  })
  return { tail, flushed, failures }
}

const runs = fc.record({
  start: fc.nat({ max: 3 * SEGMENT }),
  pieces: fc.array(fc.integer({ min: 1, max: 2 * SEGMENT }), { minLength: 1, maxLength: 12 }),
  synchronous: fc.boolean(),
  failAt: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
})

test('what counts as flushed is durable at that moment, whatever fails; and without a failure everything is', async () => {
  await fc.assert(
    fc.asyncProperty(runs, async ({ start, pieces, synchronous, failAt }) => {
      const startLsn = BigInt(start) as Lsn
      const log = logOf(pieces.reduce((sum, piece) => sum + piece, 0))
      const archive = new FakeArchive()
      if (failAt !== undefined) archive.failAt = failAt
      const heldAt: bigint[] = []
      const { tail, failures } = openTail(archive, {
        startLsn,
        synchronous,
        flushed: (lsn) => {
          const durable = archive.durable(startLsn)
          assert.ok(startLsn + BigInt(durable.length) >= lsn, 'never more than is durable')
          heldAt.push(lsn)
        },
      })
      let at = 0
      let failed = false
      try {
        for (const piece of pieces) {
          await tail.write((startLsn + BigInt(at)) as Lsn, log.subarray(at, at + piece))
          at += piece
        }
        await tail.settle()
      } catch (error) {
        failed = true
        assert.match(String(error), /call \d+ failed/)
      }
      const { flushedLsn } = tail
      await tail[Symbol.asyncDispose]()
      const durable = archive.durable(startLsn)
      assert.ok(durable.equals(log.subarray(0, durable.length)), 'every byte in its place')
      assert.equal(failed, failures.length > 0)
      if (!failed) {
        assert.equal(flushedLsn, startLsn + BigInt(log.length))
        assert.equal(durable.length, log.length)
        const first = startLsn / BigInt(SEGMENT)
        const complete = Number(flushedLsn / BigInt(SEGMENT) - first)
        assert.deepEqual(
          archive.completed,
          Array.from({ length: complete }, (_, index) => first + BigInt(index)),
        )
      }
      assert.deepEqual(
        heldAt,
        heldAt.toSorted((a, b) => (a < b ? -1 : 1)),
        'flushed never goes back',
      )
    }),
    { numRuns: 150 },
  )
})

test('bytes that do not follow are refused', async () => {
  const { tail } = openTail(new FakeArchive(), { startLsn: 100n as Lsn })
  await tail.write(100n as Lsn, Buffer.alloc(10))
  assert.throws(
    () => tail.write(111n as Lsn, Buffer.alloc(1)),
    (error) => isRetakeError(error, 'postgres.protocol'),
  )
  await tail.settle()
  await tail[Symbol.asyncDispose]()
})

test('while a barrier runs, what comes in the meantime shares the next one', async () => {
  const archive = new FakeArchive()
  const { tail, flushed } = openTail(archive, { startLsn: 0n as Lsn })
  for (let at = 0; at < 100; at++) await tail.write(BigInt(at) as Lsn, Buffer.alloc(1))
  await tail.settle()
  assert.ok(flushed.length < 10, `${flushed.length} barriers for 100 writes`)
  assert.equal(flushed.at(-1), 100n)
  await tail[Symbol.asyncDispose]()
})
