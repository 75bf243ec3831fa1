import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HealthScore } from '../health/score.ts'
import { followScore, type ScoreMemory } from './scores.ts'

const HOUR_MS = 3_600_000
const START = Date.parse('2026-11-23T00:00:00Z')

/** A score each hour; what had been before the drops that are left. */
function drops(values: readonly (number | undefined)[], formulaAt: (hour: number) => number = () => 1) {
  let memory: ScoreMemory | undefined
  return values.map((value, hour) => {
    const score = { formula: formulaAt(hour), at: new Date(START + hour * HOUR_MS).toISOString(), value } as HealthScore
    memory = JSON.parse(JSON.stringify(followScore(memory, score) ?? null)) ?? undefined
    return (memory?.losses ?? []).map(({ before }) => before).join()
  })
}

test('a drop is one of 20 points within a day, or into a worse band', () => {
  assert.deepEqual(drops([89, 70]), ['', ''])
  assert.deepEqual(drops([69, 50]), ['', ''])
  assert.deepEqual(drops([69, 49]), ['', '69'])
  assert.deepEqual(drops([91, 89]), ['', '91'])
  assert.deepEqual(drops([60, 52, 45, 40]), ['', '', '', '60'], 'slowly, within a day')
  const slow = Array.from({ length: 60 }, (_, hour) => 65 - Math.floor(hour / 2))
  assert.ok(
    drops(slow).every((left) => left === ''),
    'slower than that',
  )
})

test('it is left until the score is nearly what it was, and in its band', () => {
  assert.deepEqual(drops([95, 70, 89, 90]), ['', '95', '95', ''])
  assert.deepEqual(drops([65, 40, 54, 55]), ['', '65', '65', ''])
  const days = [95, ...Array.from({ length: 100 }, () => 70), 92]
  assert.deepEqual(drops(days).slice(-2), ['95', ''])
})

test('a further drop is one of its own', () => {
  assert.deepEqual(drops([95, 75, 50, 66, 95]), ['', '95', '95,75', '95,75', ''])
  assert.deepEqual(drops([95, 75, 50, 75, 95]), ['', '95', '95,75', '95', ''])
})

test('what is unknown is no drop and no recovery; another formula begins anew', () => {
  assert.deepEqual(drops([95, undefined, 94]), ['', '', ''])
  assert.deepEqual(drops([95, 60, undefined]), ['', '95', '95'])
  assert.deepEqual(
    drops([95, 60, 30], (hour) => (hour < 2 ? 1 : 2)),
    ['', '95', ''],
  )
})
