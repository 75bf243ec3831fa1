import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sleep, throwIfAborted } from '../base/abort.ts'
import { isRetakeError, RetakeError } from '../base/errors.ts'
import type { Progress } from '../base/progress.ts'
import { startOperation } from './operation.ts'

const step = (phase: string, done: number): Progress => ({ phase, done, unit: 'steps' })

test('progress is an async iterable that ends when the work ends, and the result follows', async () => {
  const run = startOperation(async ({ onProgress }) => {
    for (let done = 1; done <= 3; done++) {
      onProgress(step('copy', done))
      await new Promise(setImmediate)
    }
    return 'finished'
  })
  const seen: number[] = []
  for await (const progress of run.progress) seen.push(progress.done)
  assert.deepEqual(seen, [1, 2, 3])
  assert.equal(await run.result, 'finished')
})

test('a slow watcher sees the newest step of each phase, and never all of them', async () => {
  const gate = Promise.withResolvers<void>()
  const run = startOperation(async ({ onProgress }) => {
    await gate.promise
    for (let done = 1; done <= 1000; done++) onProgress(step('copy', done))
    for (let done = 1; done <= 1000; done++) onProgress(step('sync', done))
  })
  const iterator = run.progress[Symbol.asyncIterator]()
  const first = iterator.next()
  gate.resolve()
  await run.result
  assert.deepEqual((await first).value, step('copy', 1))
  assert.deepEqual((await iterator.next()).value, step('copy', 1000))
  assert.deepEqual((await iterator.next()).value, step('sync', 1000))
  assert.equal((await iterator.next()).done, true)
})

test('a watcher that comes late gets where the work stands', async () => {
  const run = startOperation(async ({ onProgress }) => onProgress(step('copy', 7)))
  await run.result
  const seen: Progress[] = []
  for await (const progress of run.progress) seen.push(progress)
  assert.deepEqual(seen, [step('copy', 7)])
})

test('a failure is thrown by the loop and by the result', async () => {
  const run = startOperation(async ({ onProgress }) => {
    onProgress(step('copy', 1))
    await new Promise(setImmediate)
    throw new RetakeError('storage.full', 'full')
  })
  await assert.rejects(
    async () => {
      for await (const _ of run.progress);
    },
    { code: 'storage.full' },
  )
  await assert.rejects(run.result, { code: 'storage.full' })
})

test('a failure that nobody watches or awaits is an unhandled rejection, not silence', async () => {
  const unhandled = Promise.withResolvers<unknown>()
  const listeners = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  process.once('unhandledRejection', unhandled.resolve)
  try {
    startOperation(async () => {
      throw new RetakeError('internal', 'lost')
    })
    assert.ok(isRetakeError(await unhandled.promise, 'internal'))
  } finally {
    for (const listener of listeners) process.on('unhandledRejection', listener)
  }
})

test('abort, the given signal and disposal each stop the work', async () => {
  const work = ({ signal }: { signal: AbortSignal }) => sleep(3_600_000, signal)
  const aborted = startOperation(work)
  aborted.abort()
  await assert.rejects(aborted.result, { code: 'aborted' })

  const controller = new AbortController()
  const signalled = startOperation(work, { signal: controller.signal })
  controller.abort()
  await assert.rejects(signalled.result, { code: 'aborted' })

  const already = startOperation(async ({ signal }) => throwIfAborted(signal), { signal: controller.signal })
  await assert.rejects(already.result, { code: 'aborted' })

  let ended = false
  {
    await using _run = startOperation(async (context) => {
      await work(context).finally(() => {
        ended = true
      })
    })
  }
  assert.equal(ended, true)
})

test('leaving the loop early stops watching, not working', async () => {
  const run = startOperation(async ({ onProgress }) => {
    for (let done = 1; done <= 3; done++) {
      onProgress(step('copy', done))
      await new Promise(setImmediate)
    }
    return 3
  })
  for await (const _ of run.progress) break
  assert.equal(await run.result, 3)
})
