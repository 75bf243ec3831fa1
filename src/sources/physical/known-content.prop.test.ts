import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeTemp } from '../../../test/support/temp.ts'
import type { FileRun } from '../../repository/manifest.ts'
import { encodeEntry } from '../../repository/manifest-lines.ts'
import { KnownContent } from './known-content.ts'
import { encodeVisible, joinRuns, knownPages, sliceBits, sliceRuns } from './known-pages.ts'
import { PlaceTable } from './place-table.ts'
import { Spool } from './spool.ts'

const BLOCK = 512
const packs = Array.from({ length: 4 }, (_, number) => ({
  packId: String(number).repeat(32),
  salt: 'A'.repeat(43),
  epoch: 1,
}))

test('a spool gives back what was appended, in memory and beyond, and leaves no file', async () => {
  await using temp = makeTemp({ label: 'spool' })
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 400_000 }), { maxLength: 12 }),
      fc.constantFrom(0, 300_000, 100_000_000),
      (sizes, memoryBytes) => {
        using spool = new Spool({ memoryBytes, directory: temp.path })
        const places = sizes.map((size, index) => {
          const bytes = Buffer.alloc(size, index + 1)
          return { bytes, place: spool.append(bytes) }
        })
        for (const { bytes, place } of places) assert.ok(spool.read(place, bytes.length).equals(bytes))
        assert.deepEqual(readdirSync(temp.path), [])
      },
    ),
    { numRuns: 40 },
  )
})

test('a table finds every place of a digest, in the order in which they were added', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -5, max: 3000 }), { maxLength: 3000 }), (digests) => {
      const table = new PlaceTable()
      const model = new Map<number, number[]>()
      for (const [place, digest] of digests.entries()) {
        table.add(digest, place)
        model.set(digest, [...(model.get(digest) ?? []), place])
      }
      assert.equal(table.count, digests.length)
      for (const [digest, places] of model) {
        assert.deepEqual(
          [...table.find(digest)].sort((a, b) => a - b),
          places,
        )
      }
      assert.deepEqual([...table.find(99_999)], [])
    }),
  )
})

/** A file of whole and cut pages, in frames of its own order. */
const runsOf = fc
  .array(
    fc.record({
      lengthBytes: fc.oneof(
        fc.integer({ min: 1, max: 6 }).map((pages) => pages * BLOCK),
        fc.integer({ min: 1, max: 2000 }),
      ),
      pack: fc.nat(3),
      index: fc.nat(3),
      frameOffsetBytes: fc.nat(4000),
      zero: fc.boolean(),
    }),
    { minLength: 1, maxLength: 20 },
  )
  .map((parts) => {
    let offsetBytes = 0
    return parts.map(({ lengthBytes, pack, index, frameOffsetBytes, zero }): FileRun => {
      const at = { offsetBytes, lengthBytes }
      offsetBytes += lengthBytes
      if (zero) return { ...at, frameOffsetBytes: 0 }
      const place = { pack, index, offsetBytes: 64, storedBytes: 10, plainBytes: 100_000 }
      return { ...at, frameOffsetBytes, frame: { ...place, codec: 'zstd', contentId: `${pack}-${index}` } }
    })
  })

const byteAt = (runs: readonly FileRun[], position: number) => {
  const run = runs.find(
    ({ offsetBytes, lengthBytes }) => position >= offsetBytes && position < offsetBytes + lengthBytes,
  )
  return run?.frame ? `${run.frame.contentId}@${run.frameOffsetBytes + position - run.offsetBytes}` : 'zero'
}

test('any stretch of a block map, put together again, is the same bytes', () => {
  fc.assert(
    fc.property(runsOf, fc.nat(), fc.nat(), (runs, one, other) => {
      const sizeBytes = runs.reduce((sum, run) => sum + run.lengthBytes, 0)
      const [begin, end] = [one % (sizeBytes + 1), other % (sizeBytes + 1)].sort((a, b) => a - b) as [number, number]
      const cuts = [
        [0, begin],
        [begin, end],
        [end, sizeBytes],
      ] as const
      const parts = cuts.map(([from, to]) => sliceRuns(runs, { fileOffsetBytes: from, lengthBytes: to - from }))
      const joined = joinRuns(parts.flat())
      assert.equal(
        joined.reduce((sum, run) => sum + run.lengthBytes, 0),
        sizeBytes,
      )
      for (let at = 0; at < sizeBytes; at += 97) assert.equal(byteAt(joined, at), byteAt(runs, at))
      assert.deepEqual(joined, joinRuns(runs))
    }),
  )
})

test('only whole pages in usable frames count as held', () => {
  fc.assert(
    fc.property(runsOf, fc.nat(30), fc.nat(3), fc.nat(30), (runs, firstPage, condemnedPack, bad) => {
      const sizeBytes = runs.reduce((sum, run) => sum + run.lengthBytes, 0)
      const entry = {
        type: 'file' as const,
        path: 'base/1/2',
        sizeBytes,
        mode: 0,
        modifiedMs: 0,
        runs,
        tornBlocks: [bad],
      }
      const stretch = { fileOffsetBytes: firstPage * BLOCK, lengthBytes: 16 * BLOCK }
      const condemned = new Set([packs[condemnedPack]?.packId ?? ''])
      const { sources } = knownPages({ entry, packs }, stretch, {
        blockSizeBytes: BLOCK,
        firstBlockNumber: 0,
        condemned,
      })
      for (let page = 0; page < 16; page++) {
        const begin = (firstPage + page) * BLOCK
        const run = runs.find(
          ({ offsetBytes, lengthBytes }) => offsetBytes <= begin && offsetBytes + lengthBytes >= begin + BLOCK,
        )
        const held = run?.frame !== undefined && run.frame.pack !== condemnedPack && firstPage + page !== bad
        assert.equal((sources[page] ?? 0) > 0, held)
      }
    }),
  )
})

test('bits survive the way through the manifest, stretch by stretch', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 300 }), fc.integer({ min: 1, max: 60 }), (flags, step) => {
      const stretches = []
      for (let first = 0; first < flags.length; first += step) {
        const part = flags.slice(first, first + step)
        const visible = new Uint8Array(Math.ceil(part.length / 8))
        for (const [at, flag] of part.entries()) if (flag) visible[at >> 3] = (visible[at >> 3] ?? 0) | (1 << (at & 7))
        stretches.push({ fileOffsetBytes: first * BLOCK, visible })
      }
      const text = encodeVisible(stretches.reverse(), BLOCK)
      assert.equal(text === undefined, !flags.includes(true))
      for (let first = 0; first < flags.length; first += 7) {
        const bits = sliceBits(text, { first, count: 7 })
        for (let at = 0; at < 7; at++) assert.equal(((bits[0] ?? 0) >> at) & 1, flags[first + at] ? 1 : 0)
      }
    }),
  )
})

test('files are found by their path, contents by their id, up to the limit', () => {
  using known = new KnownContent({ maxContents: 3, memoryBytes: 0 })
  for (const path of ['a', 'b/c', 'b/d']) {
    const entry = { type: 'file' as const, path, sizeBytes: 0, mode: 0o600, modifiedMs: 5, runs: [] }
    known.addFile(path, encodeEntry(entry, 4), packs)
  }
  assert.equal(known.file('b/c')?.entry.path, 'b/c')
  assert.equal(known.file('b/x'), undefined)
  const [pack] = packs
  assert.ok(pack)
  const idOf = (number: number) => Buffer.alloc(32, number).toString('base64url')
  const stretchOf = (number: number) => ({
    frame: {
      ...{ packId: pack.packId, index: number, offsetBytes: 2 ** 40 + number, storedBytes: 9, plainBytes: 20 },
      ...{ codec: 'raw' as const, contentId: idOf(100 + number) },
    },
    frameOffsetBytes: 3,
    lengthBytes: 17,
  })
  for (const number of [1, 2, 2, 3, 4]) known.addContent(idOf(number), stretchOf(number), pack)
  assert.equal(known.contentCount, 3)
  for (const number of [1, 2, 3]) assert.deepEqual(known.content(idOf(number)), stretchOf(number))
  assert.equal(known.content(idOf(4)), undefined)
  assert.deepEqual(known.pack(pack.packId), pack)
})
