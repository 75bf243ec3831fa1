import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatLsn, type Lsn, parseLsn, segmentStart } from '../../postgres/lsn.ts'
import { inventorySegments, listSegments } from '../../repository/testing/segments.ts'
import { findWalProblems, type WalFacts } from '../../repository/verify/wal-continuity.ts'
import { rangeKey, segmentName } from '../../repository/wal-layout.ts'
import type { WalRange } from '../../repository/wal-records.ts'
import type { WalDecision } from './plan.ts'
import { selectWal, type WalObjects } from './wal-objects.ts'

const SIZE = 1024
const at = '2026-11-22T09:00:00.000Z'

const stretch = fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 6 }))
const keeps = fc.array(stretch, { maxLength: 3 })
const archive = fc.record({
  /** Where the second timeline branches off, in segments. */
  switchSegment: fc.integer({ min: 2, max: 20 }),
  end: fc.integer({ min: 21, max: 30 }),
  /** WAL of the first timeline that was lost when it was received. */
  gap: fc.option(fc.integer({ min: 1, max: 18 }), { nil: undefined }),
  /** Two prunings, one after the other. */
  first: fc.record({ old: keeps, from: fc.integer({ min: 2, max: 21 }), extra: keeps }),
  second: fc.record({ old: keeps, from: fc.integer({ min: 2, max: 21 }), extra: keeps }),
})
type Archive = typeof archive extends fc.Arbitrary<infer T> ? T : never

function recorded(timeline: number, segment: number, reason: WalRange['reason']): WalRange {
  const beginLsn = formatLsn(segmentStart(BigInt(segment), SIZE))
  return { timeline, beginLsn, reason, at, explanation: '' }
}

function begin(a: Archive): WalObjects {
  const segments = [
    ...Array.from({ length: a.switchSegment }, (_, segment) => ({ timeline: 1, segment, partial: false })),
    { timeline: 1, segment: a.switchSegment, partial: true },
    ...Array.from({ length: a.end - a.switchSegment }, (_, index) => ({
      ...{ timeline: 2, segment: a.switchSegment + index, partial: false },
    })),
  ]
  const lost = a.gap !== undefined && a.gap < a.switchSegment ? a.gap : undefined
  return {
    ...inventorySegments(
      'main',
      segments
        .filter(({ timeline, segment }) => timeline !== 1 || segment !== lost)
        .map(({ timeline, segment, partial }) => {
          const id = { timeline, segment: BigInt(segment), partial }
          return { ...id, storedBytes: 1, ...(partial ? { validBytes: 512 } : {}) }
        }),
    ),
    tails: [],
    ranges: [
      recorded(1, 0, 'first-contact'),
      ...(lost === undefined ? [] : [recorded(1, lost + 1, 'gap')]),
      recorded(2, a.switchSegment, 'new-timeline'),
    ],
  }
}

function factsOf(objects: WalObjects, a: Archive): WalFacts {
  return {
    segmentSizeBytes: SIZE,
    stretches: listSegments(objects).map(({ timeline, segment, validBytes = SIZE }) => ({
      ...{ timeline, segment, beginBytes: 0, endBytes: validBytes },
    })),
    ranges: objects.ranges,
    histories: [
      {
        timeline: 2,
        entries: [{ timeline: 1, switchLsn: BigInt(a.switchSegment * SIZE + 512) as Lsn, reason: '' }],
      },
    ],
    position: { timeline: 2, flushLsn: formatLsn(BigInt(a.end * SIZE)), at, serverTime: at },
  }
}

/** As plans are: sorted, apart from each other, and open at the end on the timeline that is being written. */
function decisions(pruning: Archive['first'], a: Archive): WalDecision[] {
  const join = (list: readonly (readonly [number, number])[]) => {
    const numbers = new Set(list.flatMap(([from, length]) => Array.from({ length: length + 1 }, (_, i) => from + i)))
    const sorted = [...numbers].sort((x, y) => x - y)
    const stretches: { from: number; to: number }[] = []
    for (const number of sorted) {
      const open = stretches.at(-1)
      if (open && number === open.to + 1) open.to = number
      else stretches.push({ from: number, to: number })
    }
    return stretches
  }
  const view = ({ from, to }: { from: number; to: number | undefined }) => ({
    fromSegment: BigInt(from),
    ...(to === undefined ? {} : { toSegment: BigInt(to) }),
    fromLsn: segmentStart(BigInt(from), SIZE),
    why: [],
  })
  const from = Math.min(pruning.from, a.end - 1)
  const extra = join(pruning.extra).filter(({ to }) => to < from - 1)
  return [
    { timeline: 1, keep: join(pruning.old).map(view), why: '' },
    { timeline: 2, keep: [...extra.map(view), view({ from, to: undefined })], why: '' },
  ]
}

function stays(plan: readonly WalDecision[], timeline: number, segment: bigint): boolean {
  const keep = plan.find((one) => one.timeline === timeline)?.keep ?? 'all'
  if (keep === 'all') return true
  return keep.some(({ fromSegment, toSegment = segment }) => fromSegment <= segment && segment <= toSegment)
}

function carryOut(objects: WalObjects, plan: readonly WalDecision[]): WalObjects {
  const chosen = selectWal(objects, { decisions: plan, cluster: 'main', segmentSizeBytes: SIZE, at })
  const keys = new Set(chosen.walKeys)
  const isGone = (timeline: number, segment: bigint) =>
    chosen.segments.some((one) => one.timeline === timeline && one.first <= segment && segment <= one.last)
  const byKey = new Map(
    [...chosen.newRanges, ...objects.ranges].map((range) => [
      rangeKey('main', { timeline: range.timeline, begin: parseLsn(range.beginLsn) }),
      range,
    ]),
  )
  return {
    ...inventorySegments(
      'main',
      listSegments(objects).filter((one) =>
        one.partial ? !keys.has(segmentName('main', one).key) : !isGone(one.timeline, one.segment),
      ),
    ),
    tails: [],
    ranges: [...byKey].flatMap(([key, range]) => (keys.has(key) ? [] : [range])),
  }
}

test('property: what is given up leaves no hole that looks like damage, and exactly what is kept stays', () => {
  fc.assert(
    fc.property(archive, (a) => {
      const before = begin(a)
      assert.deepEqual(findWalProblems(factsOf(before, a)), [])
      let now = before
      for (const pruning of [a.first, a.second]) {
        const plan = decisions(pruning, a)
        const expected = listSegments(now).filter(({ timeline, segment }) => stays(plan, timeline, segment))
        // New ranges are recorded before anything goes: nothing may look wrong in between either.
        const chosen = selectWal(now, { decisions: plan, cluster: 'main', segmentSizeBytes: SIZE, at })
        assert.deepEqual(
          findWalProblems(factsOf({ ...now, ranges: [...now.ranges, ...chosen.newRanges] }, a)),
          [],
          'with the new ranges alone',
        )
        assert.equal(chosen.bytes, listSegments(now).length - expected.length)
        now = carryOut(now, plan)
        assert.deepEqual(listSegments(now), expected)
        assert.deepEqual(findWalProblems(factsOf(now, a)), [])
      }
    }),
    { numRuns: 400 },
  )
})
