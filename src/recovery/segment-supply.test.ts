import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { buildTimelinePath } from '../catalog/timeline-path.ts'
import { type Lsn, segmentName } from '../postgres/lsn.ts'
import { answerRequest, expectedRequests, type SupplyFacts } from './segment-supply.ts'

const SIZE = 16 * 1024 * 1024
const lsn = (segment: number, offset = 0) => BigInt(segment * SIZE + offset) as Lsn
const name = (timeline: number, segment: number) => segmentName({ timeline, segment: BigInt(segment) }, SIZE)

// Timeline 1 until the middle of segment 5, then 2, until the very start of segment 8, then 4.
const entries = [
  { timeline: 1, switchLsn: lsn(5, 4096), reason: '' },
  { timeline: 2, switchLsn: lsn(8), reason: '' },
]
const path = buildTimelinePath([{ timeline: 4, entries }], 4)

function facts(held: readonly (readonly [number, number])[], more: Partial<SupplyFacts> = {}): SupplyFacts {
  return {
    path,
    segmentSizeBytes: SIZE,
    firstSegment: 3n,
    lastSegment: 9n,
    holds: (timeline, segment) => held.some(([one, two]) => one === timeline && two === Number(segment)),
    histories: new Set([2, 3, 4]),
    ...more,
  }
}

const everything = [
  [1, 3],
  [1, 4],
  [1, 5],
  [1, 6],
  [2, 5],
  [2, 6],
  [2, 7],
  [2, 8],
  [4, 8],
  [4, 9],
  [4, 10],
  [3, 6],
] as const

test('the table of answers', () => {
  const table: readonly (readonly [string, string])[] = [
    [name(1, 3), 'segment'],
    [name(1, 5), 'segment'],
    [name(2, 5), 'segment'],
    [name(1, 6), 'absent'],
    [name(2, 4), 'absent'],
    [name(2, 8), 'absent'],
    [name(4, 8), 'segment'],
    [name(4, 10), 'absent'],
    [name(3, 6), 'absent'],
    ['00000002.history', 'history'],
    ['00000003.history', 'history'],
    ['00000005.history', 'absent'],
    ['00000001.history', 'absent'],
    [`${name(1, 5)}.partial`, 'absent'],
    [`${name(1, 3)}.00000028.backup`, 'absent'],
    ['garbage', 'absent'],
  ]
  for (const [request, kind] of table) assert.equal(answerRequest(request, facts(everything)).kind, kind, request)
})

test('a hole inside the promised range is never answered as absent', () => {
  const without = everything.filter(([timeline, segment]) => !(timeline === 2 && segment === 6))
  assert.equal(answerRequest(name(2, 6), facts(without)).kind, 'missing')
})

test('in the segment of a switch, the ancestor is asked after the newer timeline', () => {
  const without = everything.filter(([timeline, segment]) => !(timeline === 2 && segment === 5))
  assert.equal(answerRequest(name(2, 5), facts(without)).kind, 'absent')
  assert.equal(answerRequest(name(1, 5), facts(without)).kind, 'segment')
})

test('property: replay asks for one file per segment, in order, and each is delivered', () => {
  const held = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 2, max: 10 })), {
    selector: (one) => one.join(),
  })
  fc.assert(
    fc.property(held, (list) => {
      const some = facts(list)
      const names = [...expectedRequests(some)]
      assert.deepEqual(
        [...names].sort((a, b) => (a.slice(8) < b.slice(8) ? -1 : 1)),
        names,
      )
      for (const one of names) assert.equal(answerRequest(one, some).kind, 'segment')
      for (let segment = 3; segment <= 9; segment += 1) {
        const answers = [1, 2, 3, 4].map((timeline) => answerRequest(name(timeline, segment), some).kind)
        const delivered = names.some((one) => one.slice(8) === name(1, segment).slice(8))
        assert.equal(answers.includes('segment'), delivered)
        assert.equal(answers.includes('missing'), !delivered, 'a segment that nobody holds is missing, not absent')
      }
    }),
  )
})
