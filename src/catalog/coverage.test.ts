import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Lsn } from '../postgres/lsn.ts'
import { computeCoverage, coverageOfPath, type HeldPiece, type HeldWal } from './coverage.ts'
import { buildTimelinePath } from './timeline-path.ts'

const MIB16 = 16 * 1024 * 1024
const lsn = (value: number) => BigInt(value) as Lsn
const full = (timeline: number, segment: number): HeldPiece => ({
  timeline,
  segment: BigInt(segment),
  validBytes: MIB16,
})
const at = '2026-11-22T09:00:00.000Z'

function held(pieces: HeldPiece[], more: Partial<HeldWal> = {}): HeldWal {
  return { pieces, ranges: [], ...more }
}

test('adjoining segments and a tail make one range', () => {
  const [one] = computeCoverage(held([full(1, 3), full(1, 2), { timeline: 1, segment: 4n, validBytes: 100 }]), MIB16)
  assert.deepEqual(one?.ranges, [{ beginLsn: lsn(2 * MIB16), endLsn: lsn(4 * MIB16 + 100) }])
  assert.deepEqual(one?.gaps, [])
})

test('a missing segment in the middle is a gap that nobody recorded', () => {
  const [one] = computeCoverage(held([full(1, 2), full(1, 4)]), MIB16)
  assert.equal(one?.gaps.length, 1)
  assert.equal(one?.gaps[0]?.recorded, false)
  assert.equal(one?.gaps[0]?.beginLsn, lsn(3 * MIB16))
  assert.equal(one?.gaps[0]?.endLsn, lsn(4 * MIB16))
})

test('a hole that a gap record explains is recorded, with its explanation', () => {
  const ranges = [
    { timeline: 1, beginLsn: '0/2000000', reason: 'first-contact', at, explanation: 'first' },
    {
      timeline: 1,
      beginLsn: '0/5000000',
      reason: 'gap',
      heldUntilLsn: '0/2000064',
      at,
      explanation: 'The slot was lost.',
    },
  ] as const
  const pieces = [{ timeline: 1, segment: 2n, validBytes: 100 }, full(1, 5)]
  const [one] = computeCoverage(held(pieces, { ranges }), MIB16)
  assert.equal(one?.gaps[0]?.recorded, true)
  assert.match(one?.gaps[0]?.explanation ?? '', /The slot was lost/)
})

test('a gap record does not excuse another hole', () => {
  const ranges = [{ timeline: 1, beginLsn: '0/5000000', reason: 'gap', at, explanation: 'lost' }] as const
  const [one] = computeCoverage(held([full(1, 2), full(1, 5), full(1, 7)], { ranges }), MIB16)
  assert.deepEqual(
    one?.gaps.map((gap) => gap.recorded),
    [true, false],
  )
})

test('WAL that was acknowledged and has vanished from the end is a gap', () => {
  const [one] = computeCoverage(held([full(1, 2)], { position: { timeline: 1, flushLsn: '0/3000100' } }), MIB16)
  assert.deepEqual(
    one?.gaps.map((gap) => [gap.beginLsn, gap.endLsn, gap.recorded]),
    [[lsn(3 * MIB16), lsn(3 * MIB16 + 256), false]],
  )
})

test('with nothing left at all, the acknowledged position still shows the loss', () => {
  const [one] = computeCoverage(held([], { position: { timeline: 1, flushLsn: '0/3000100' } }), MIB16)
  assert.equal(one?.ranges.length, 0)
  assert.equal(one?.gaps.length, 1)
})

test('holding that began inside a segment does not count the bytes before', () => {
  const ranges = [{ timeline: 1, beginLsn: '0/2000080', reason: 'first-contact', at, explanation: 'first' }] as const
  const [one] = computeCoverage(held([full(1, 2), full(1, 3)], { ranges }), MIB16)
  assert.equal(one?.ranges[0]?.beginLsn, lsn(2 * MIB16 + 128))
})

test('along a path the log runs across a switch of timeline', () => {
  const switchLsn = lsn(3 * MIB16 + 512)
  const path = buildTimelinePath([{ timeline: 2, entries: [{ timeline: 1, switchLsn, reason: '' }] }], 2)
  const pieces = [full(1, 2), { timeline: 1, segment: 3n, validBytes: 512 }, full(2, 3), full(2, 4)]
  const { ranges, gaps } = coverageOfPath(computeCoverage(held(pieces), MIB16), path, { segmentSizeBytes: MIB16 })
  assert.deepEqual(ranges, [{ beginLsn: lsn(2 * MIB16), endLsn: lsn(5 * MIB16) }])
  assert.deepEqual(gaps, [])
})

test('WAL that the old timeline wrote after the switch is not on the path', () => {
  const path = buildTimelinePath(
    [{ timeline: 2, entries: [{ timeline: 1, switchLsn: lsn(3 * MIB16), reason: '' }] }],
    2,
  )
  const coverage = computeCoverage(held([full(1, 2), full(1, 3), full(1, 4)]), MIB16)
  const { ranges } = coverageOfPath(coverage, path, { segmentSizeBytes: MIB16 })
  assert.deepEqual(ranges, [{ beginLsn: lsn(2 * MIB16), endLsn: lsn(3 * MIB16) }])
})

test('the new timeline holds its parent’s part of the first segment too', () => {
  const switchLsn = lsn(3 * MIB16 + 512)
  const path = buildTimelinePath([{ timeline: 2, entries: [{ timeline: 1, switchLsn, reason: '' }] }], 2)
  const coverage = computeCoverage(held([full(1, 2), full(2, 3)]), MIB16)
  const { ranges, gaps } = coverageOfPath(coverage, path, { segmentSizeBytes: MIB16 })
  assert.deepEqual(ranges, [{ beginLsn: lsn(2 * MIB16), endLsn: lsn(4 * MIB16) }])
  assert.deepEqual(gaps, [])
})
