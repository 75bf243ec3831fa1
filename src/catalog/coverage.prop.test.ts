import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import type { SegmentStretch } from '../repository/wal-layout.ts'
import { computeCoverage, coverageOfPath, type HeldPiece, mergeRanges } from './coverage.ts'
import { buildTimelinePath, stepAt } from './timeline-path.ts'

// Segments of 8 bytes: small enough to compare with a model that knows every single byte.
const SIZE = 8
const SEGMENTS = 12

const piece = fc.record({
  timeline: fc.integer({ min: 1, max: 3 }),
  segment: fc.bigInt({ min: 0n, max: BigInt(SEGMENTS - 1) }),
  validBytes: fc.oneof(fc.constant(SIZE), fc.integer({ min: 0, max: SIZE })),
})

/** Finished segments, as archives list them. */
const run = fc
  .record({ timeline: piece.map(({ timeline }) => timeline), first: fc.bigInt(0n, 11n), length: fc.bigInt(0n, 5n) })
  .map(({ timeline, first, length }) => ({ timeline, first, last: first + length }))

function piecesOfRun({ timeline, first, last }: SegmentStretch): HeldPiece[] {
  const count = Number(last - first) + 1
  return Array.from({ length: count }, (_, index) => ({ timeline, segment: first + BigInt(index), validBytes: SIZE }))
}

function bytesOf(pieces: readonly HeldPiece[], timeline: number): Set<number> {
  const bytes = new Set<number>()
  for (const one of pieces) {
    if (one.timeline !== timeline) continue
    for (let index = 0; index < one.validBytes; index += 1) bytes.add(Number(one.segment) * SIZE + index)
  }
  return bytes
}

test('coverage holds exactly the bytes that exist, and gaps are exactly the bytes missing between them', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), fc.array(run, { maxLength: 3 }), (pieces, runs) => {
      const all = [...pieces, ...runs.flatMap(piecesOfRun)]
      for (const one of computeCoverage({ pieces, runs, ranges: [] }, SIZE)) {
        const bytes = bytesOf(all, one.timeline)
        const covered = new Set<number>()
        for (const range of one.ranges)
          for (let at: bigint = range.beginLsn; at < range.endLsn; at += 1n) covered.add(Number(at))
        assert.deepEqual([...covered].sort(), [...bytes].sort())
        const missing = new Set<number>()
        for (const gap of one.gaps)
          for (let at: bigint = gap.beginLsn; at < gap.endLsn; at += 1n) missing.add(Number(at))
        const low = Math.min(...bytes)
        const high = Math.max(...bytes)
        for (let at = low; at <= high; at += 1) assert.equal(missing.has(at), !bytes.has(at))
        assert.equal(missing.size + bytes.size, bytes.size === 0 ? 0 : high - low + 1)
      }
    }),
  )
})

test('a run of segments is the same as its segments, also where holding began inside one of them', () => {
  const begin = fc.record({ timeline: fc.integer({ min: 1, max: 3 }), at: fc.bigInt(0n, 100n) })
  fc.assert(
    fc.property(fc.array(piece), fc.array(run), fc.array(begin, { maxLength: 3 }), (pieces, runs, begins) => {
      const ranges = begins.map(({ timeline, at }) => ({
        ...{ timeline, beginLsn: formatLsn(at), reason: 'gap' as const, at: '', explanation: '' },
      }))
      assert.deepEqual(
        computeCoverage({ pieces, runs, ranges }, SIZE),
        computeCoverage({ pieces: [...pieces, ...runs.flatMap(piecesOfRun)], ranges }, SIZE),
      )
    }),
  )
})

test('coverage along a path takes each byte from the timeline that owns it, or from a newer one’s copy of the switch segment', () => {
  const switches = fc.tuple(fc.integer({ min: 1, max: 90 }), fc.integer({ min: 1, max: 90 }))
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), switches, (pieces, [a, b]) => {
      const first = BigInt(Math.min(a, b)) as Lsn
      const second = BigInt(Math.max(a, b)) as Lsn
      const entries = [
        { timeline: 1, switchLsn: first, reason: '' },
        { timeline: 2, switchLsn: second, reason: '' },
      ]
      const path = buildTimelinePath([{ timeline: 3, entries }], 3)
      const { ranges } = coverageOfPath(computeCoverage({ pieces, ranges: [] }, SIZE), path, { segmentSizeBytes: SIZE })
      const held = [1, 2, 3].map((timeline) => bytesOf(pieces, timeline))
      for (let at = 0; at < SEGMENTS * SIZE; at += 1) {
        const owner = stepAt(path, BigInt(at) as Lsn)?.timeline ?? 0
        const expected = path.some((step) => {
          const from = Math.floor(Number(step.beginLsn) / SIZE) * SIZE
          const until = step.endLsn === undefined ? Number.POSITIVE_INFINITY : Number(step.endLsn)
          return step.timeline >= owner && from <= at && at < until && held[step.timeline - 1]?.has(at)
        })
        const actual = ranges.some((range) => range.beginLsn <= BigInt(at) && BigInt(at) < range.endLsn)
        assert.equal(actual, expected, `byte ${at}, owner ${owner}`)
      }
    }),
  )
})

test('merging is idempotent, ordered and leaves no touching neighbours', () => {
  const range = fc
    .tuple(fc.bigInt({ min: 0n, max: 60n }), fc.bigInt({ min: 0n, max: 60n }))
    .map(([beginLsn, endLsn]) => ({ beginLsn: beginLsn as Lsn, endLsn: endLsn as Lsn }))
  fc.assert(
    fc.property(fc.array(range, { maxLength: 15 }), (ranges) => {
      const merged = mergeRanges(ranges)
      assert.deepEqual(mergeRanges(merged), merged)
      for (const [index, one] of merged.entries()) {
        assert.ok(one.beginLsn < one.endLsn)
        const previous = merged[index - 1]
        if (previous) assert.ok(previous.endLsn < one.beginLsn)
      }
    }),
  )
})
