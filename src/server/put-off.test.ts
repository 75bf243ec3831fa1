import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { judgeBeginning, latestBeginning } from './put-off.ts'

const MINUTE_MS = 60_000
const startAt = new Date('2026-11-23T02:00:00Z')
const after = (minutes: number) => new Date(startAt.getTime() + minutes * MINUTE_MS)
const stress = ['94 of 100 connections active']

function beginning(
  minutes: number,
  facts: { stress?: string[]; graceMinutes?: number; maxDelayMinutes?: number } = {},
) {
  const { graceMinutes = 60, maxDelayMinutes = 60 } = facts
  return judgeBeginning(
    { startAt },
    {
      schedule: { graceMs: graceMinutes * MINUTE_MS },
      now: after(minutes),
      stress: facts.stress ?? stress,
      maxDelayMs: maxDelayMinutes * MINUTE_MS,
    },
  )
}

describe('a run that is due', () => {
  test('begins when its server is calm', () => {
    assert.deepEqual(beginning(0, { stress: [] }), { kind: 'now' })
    assert.deepEqual(beginning(500, { stress: [] }), { kind: 'now' })
  })

  test('waits under stress, and begins anyway a minute before it would be late', () => {
    const putOff = { kind: 'put-off', until: after(59), because: stress }
    assert.deepEqual(beginning(0), putOff)
    assert.deepEqual(beginning(58), putOff)
    assert.deepEqual(beginning(59), { kind: 'now', despite: stress })
  })

  test('waits no longer than it may', () => {
    assert.deepEqual(beginning(9, { maxDelayMinutes: 10 }), { kind: 'put-off', until: after(10), because: stress })
    assert.deepEqual(beginning(10, { maxDelayMinutes: 10 }), { kind: 'now', despite: stress })
  })

  test('is not put off without grace, nor when it is late already', () => {
    assert.deepEqual(beginning(0, { graceMinutes: 0 }), { kind: 'now', despite: stress })
    assert.deepEqual(beginning(240), { kind: 'now', despite: stress })
    assert.deepEqual(latestBeginning({ startAt }, { schedule: { graceMs: 1 }, maxDelayMs: MINUTE_MS }), startAt)
  })
})
