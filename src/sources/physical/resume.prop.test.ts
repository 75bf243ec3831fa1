import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Lsn } from '../../postgres/lsn.ts'
import { decideResume, firstLsnOf, type HeldTimeline, type TimelineStep } from './resume.ts'

const SEGMENT = 1024 * 1024
const lsn = (value: number | bigint) => BigInt(value) as Lsn
const decide = (path: readonly TimelineStep[], held: readonly HeldTimeline[]) =>
  decideResume({ path, held, segmentSizeBytes: SEGMENT })
const holds = (timeline: number, endLsn: number, beginLsn = SEGMENT): HeldTimeline => ({
  timeline,
  beginLsn: lsn(beginLsn),
  endLsn: lsn(endLsn),
})

test('nothing held: first contact', () => {
  assert.deepEqual(decide([{ timeline: 1 }], []), { kind: 'first-contact' })
})

test('the same timeline is continued at its durable end', () => {
  assert.deepEqual(decide([{ timeline: 1 }], [holds(1, 5_000_000)]), {
    kind: 'continue',
    timeline: 1,
    startLsn: lsn(5_000_000),
  })
})

test('an old timeline is finished before the next begins, at the segment of the switch', () => {
  const path = [{ timeline: 1, endLsn: lsn(5_000_000) }, { timeline: 2 }]
  assert.equal(decide(path, [holds(1, 4_999_999)]).kind, 'continue')
  for (const end of [5_000_000, 6_000_000]) {
    assert.deepEqual(decide(path, [holds(1, end)]), {
      kind: 'next-timeline',
      leftTimeline: 1,
      timeline: 2,
      startLsn: lsn(Math.floor(5_000_000 / SEGMENT) * SEGMENT),
    })
  }
})

test('WAL of a timeline that the server did not come along is not continued', () => {
  // Timeline 2 was a restored copy; the server went from 1 to 3.
  const path = [{ timeline: 1, endLsn: lsn(5_000_000) }, { timeline: 3 }]
  const decision = decide(path, [holds(1, 5_000_000), holds(2, 9_000_000)])
  assert.equal(decision.kind === 'next-timeline' && decision.timeline, 3)
})

test('an older timeline, or one without a common ancestor, is another past', () => {
  assert.equal(decide([{ timeline: 1 }], [holds(1, 5_000_000), holds(2, 6_000_000)]).kind, 'diverged')
  assert.equal(decide([{ timeline: 3 }], [holds(2, 6_000_000)]).kind, 'diverged')
})

test('a receiver that follows the decisions reaches the present timeline and never steps over a byte', () => {
  const steps = fc.array(fc.integer({ min: 1, max: 3 * SEGMENT }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(steps, fc.nat({ max: 100 }), (lengths, percent) => {
      let end = SEGMENT
      const path: TimelineStep[] = lengths.map((length, index) => {
        end += length
        return { timeline: index + 1, ...(index < lengths.length - 1 ? { endLsn: lsn(end) } : {}) }
      })
      const serverEnd = lsn(end)
      let held = [holds(1, SEGMENT + Math.floor(((lengths[0] ?? 0) * percent) / 100))]
      for (let connection = 0; connection <= 2 * path.length; connection++) {
        const decision = decide(path, held)
        assert.ok(decision.kind === 'continue' || decision.kind === 'next-timeline')
        const { timeline, startLsn } = decision
        const known = held.find((candidate) => candidate.timeline === timeline)
        if (decision.kind === 'continue') assert.equal(startLsn, known?.endLsn, 'exactly where what is held ends')
        else {
          const left = held.find((candidate) => candidate.timeline === decision.leftTimeline)
          const leftStep = path.find((step) => step.timeline === decision.leftTimeline)
          assert.ok(left && leftStep?.endLsn !== undefined && left.endLsn >= leftStep.endLsn)
          assert.equal(startLsn, firstLsnOf(leftStep.endLsn, SEGMENT))
        }
        const step = path.find((candidate) => candidate.timeline === timeline)
        const reached = step?.endLsn ?? serverEnd
        held = [
          ...held.filter((candidate) => candidate.timeline !== timeline),
          { timeline, beginLsn: known?.beginLsn ?? startLsn, endLsn: reached },
        ]
        if (timeline === path.length) return
      }
      assert.fail('the present timeline is reached')
    }),
  )
})
