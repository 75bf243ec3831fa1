import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as later } from 'node:timers/promises'
import { Turns } from './turns.ts'

test('never more at a time than allowed, all of them in the end, also when some fail', async () => {
  const turns = new Turns(3)
  let running = 0
  let most = 0
  const order: number[] = []
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, number) =>
      turns.take(async () => {
        order.push(number)
        running += 1
        most = Math.max(most, running)
        await later()
        running -= 1
        if (number % 4 === 0) throw new Error('no')
      }),
    ),
  )
  assert.equal(most, 3)
  assert.deepEqual(
    order,
    [...order].sort((left, right) => left - right),
  )
  assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 5)
})
