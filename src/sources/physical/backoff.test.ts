import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reconnectDelayMs } from './backoff.ts'

test('doubles from a second to half a minute, half of it by chance', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 60].map((failures) => reconnectDelayMs(failures, 1)),
    [1000, 2000, 4000, 8000, 16000, 30000, 30000],
  )
  assert.equal(reconnectDelayMs(3, 0), 2000)
})
