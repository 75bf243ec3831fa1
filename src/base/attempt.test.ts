import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attempt } from './attempt.ts'

const options = { limitMs: 60_000, what: 'asking', hint: 'Ask again.' }
const never = () => new Promise<never>(() => {})

test('what a step gives or throws is a value', async () => {
  assert.deepEqual(await attempt(async () => 1, options), { value: 1 })
  const failed = await attempt(() => Promise.reject(new Error('no')), options)
  assert.equal('error' in failed && failed.error.message, 'no')
})

test('a step that never answers ends with its time limit, and is told', async () => {
  let told: AbortSignal | undefined
  const outcome = await attempt(
    (signal) => {
      told = signal
      return never()
    },
    { ...options, limitMs: 5 },
  )
  assert.ok('error' in outcome)
  assert.equal(outcome.error.code, 'timeout')
  assert.match(outcome.error.message, /within 0\.005 seconds \(asking\)/)
  assert.equal(told?.aborted, true)
})

test('an abort from outside is thrown, before and during the step', async () => {
  await assert.rejects(attempt(never, { ...options, signal: AbortSignal.abort() }), { code: 'aborted' })
  const stop = new AbortController()
  const running = attempt(never, { ...options, signal: stop.signal })
  stop.abort()
  await assert.rejects(running, { code: 'aborted' })
})
