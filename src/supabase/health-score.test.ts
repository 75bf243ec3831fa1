import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type HealthFacts, scoreHealth } from './health-score.ts'

const facts = (parts: Partial<HealthFacts> = {}): HealthFacts => ({
  restorable: { value: true, explanation: '' },
  ageHours: { value: 3, explanation: '' },
  successShare: { value: 1, explanation: '' },
  pointInTime: { value: true, explanation: '' },
  retentionDays: { value: 7, explanation: '' },
  openGap: false,
  targets: { recencyHours: 24, retentionDays: 7 },
  ...parts,
})

const pointsOf = (parts: Partial<HealthFacts>) =>
  Object.fromEntries(scoreHealth(facts(parts)).parts.map(({ name, points }) => [name, points]))

describe('parts', () => {
  test('are full at their targets', () => {
    assert.deepEqual(pointsOf({}), { recency: 30, success: 30, pointInTime: 20, retention: 20 })
    assert.equal(scoreHealth(facts()).points, 100)
  })

  test('recency is linear from the target to twice the target', () => {
    for (const [value, points] of [
      [0, 30],
      [24, 30],
      [26, 27.5],
      [36, 15],
      [48, 0],
      [1000, 0],
    ] as const) {
      assert.equal(pointsOf({ ageHours: { value, explanation: '' } }).recency, points)
    }
  })

  test('success is full at 99.9 % and nothing at half', () => {
    for (const [value, points] of [
      [1, 30],
      [0.999, 30],
      [6 / 7, 21.4],
      [0.5, 0],
      [0, 0],
    ] as const) {
      assert.equal(pointsOf({ successShare: { value, explanation: '' } }).success, points)
    }
  })

  test('retention is nothing at half of the target', () => {
    for (const [value, points] of [
      [30, 20],
      [7, 20],
      [5.25, 10],
      [3.5, 0],
      [0, 0],
    ] as const) {
      assert.equal(pointsOf({ retentionDays: { value, explanation: '' } }).retention, points)
    }
  })

  test('what is not known earns nothing, says why, and what it could have been is told', () => {
    const score = scoreHealth(facts({ retentionDays: { unknown: 'no permission' } }))
    assert.equal(score.points, 80)
    assert.deepEqual(
      score.parts.filter(({ points }) => points === 'unknown').map(({ name, reason }) => [name, reason]),
      [['retention', 'no permission']],
    )
  })

  test('every part that lost points says how to win them back, and no other does', () => {
    const score = scoreHealth(facts({ pointInTime: { value: false, explanation: '' }, ageHours: { unknown: '' } }))
    assert.deepEqual(
      score.parts.filter(({ fix }) => fix !== undefined).map(({ name }) => name),
      ['recency', 'pointInTime'],
    )
  })
})

describe('caps', () => {
  test('nothing restorable is nothing, whatever else is well', () => {
    const score = scoreHealth(facts({ restorable: { value: false, explanation: 'no backup is listed.' } }))
    assert.equal(score.score, 0)
    assert.equal(score.band, 'at risk')
  })

  test('a hole in the WAL', () => assert.equal(scoreHealth(facts({ openGap: true })).score, 40))

  test('no rehearsal is known', () => {
    const score = scoreHealth(facts())
    assert.equal(score.score, 60)
    assert.match(score.caps[0]?.reason ?? '', /rehearsed/)
  })

  test('without knowing whether anything can be restored there is no number', () => {
    const score = scoreHealth(facts({ restorable: { unknown: 'cut off' } }))
    assert.equal(score.score, 'unknown')
    assert.equal(score.points, 'unknown')
    assert.equal(score.band, 'unknown')
    assert.equal(score.reason, 'cut off')
  })
})

test('whatever the facts: within its bounds, and never more for knowing less', () => {
  const measured = <T>(value: fc.Arbitrary<T>) => value.map((known) => ({ value: known, explanation: '' }))
  const arbitrary = fc.record({
    ageHours: measured(fc.double({ min: 0, max: 1e6, noNaN: true })),
    successShare: measured(fc.double({ min: 0, max: 1, noNaN: true })),
    pointInTime: measured(fc.boolean()),
    retentionDays: measured(fc.integer({ min: 0, max: 1000 })),
    openGap: fc.boolean(),
  })
  fc.assert(
    fc.property(
      arbitrary,
      fc.constantFrom('ageHours', 'successShare', 'pointInTime', 'retentionDays'),
      (given, name) => {
        const known = scoreHealth(facts(given))
        const less = scoreHealth(facts({ ...given, [name]: { unknown: 'x' } }))
        assert(typeof known.score === 'number' && typeof less.score === 'number')
        assert(known.score >= 0 && known.score <= known.atMost && known.atMost <= 60)
        assert(less.score <= known.score && less.atMost >= known.atMost)
      },
    ),
  )
})
