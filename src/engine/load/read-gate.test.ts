import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../base/clock.ts'
import { ReadGate } from './read-gate.ts'

/** Each look at it is so much later. */
function steppingClock(stepMs: number): Clock {
  let nowMs = 0
  return { now: () => new Date(nowMs), monotonicMs: () => (nowMs += stepMs) }
}

const never = new AbortController().signal

test('open, it holds nothing back', () => {
  const gate = new ReadGate({ clock: steppingClock(1), maxHeldMs: 1000 })
  assert.equal(gate.pass(never), undefined)
  assert.equal(gate.heldMs, 0)
})

test('closed, a piece waits until it opens, which is counted', async () => {
  const gate = new ReadGate({ clock: steppingClock(7), maxHeldMs: 1_000_000 })
  assert.equal(gate.close(), true)
  const held = gate.pass(never)
  gate.open()
  await held
  assert.equal(gate.heldMs, 7)
  assert.equal(gate.pass(never), undefined)
})

test('whoever gives up does not wait for it', async () => {
  const gate = new ReadGate({ clock: steppingClock(1), maxHeldMs: 1_000_000 })
  gate.close()
  const stop = new AbortController()
  const held = gate.pass(stop.signal)
  stop.abort()
  await assert.rejects(held ?? Promise.resolve(), { code: 'aborted' })
})

test('when the limit is used up it opens, and stays open', async () => {
  const gate = new ReadGate({ clock: steppingClock(10), maxHeldMs: 15 })
  gate.close()
  // Nobody opens it: a piece goes through all the same.
  await gate.pass(never)
  assert.equal(gate.isClosed, true)
  await gate.pass(never)
  assert.equal(gate.heldMs, 20)
  assert.equal(gate.isClosed, false)
  assert.equal(gate.close(), false)
  assert.equal(gate.pass(never), undefined)
})
