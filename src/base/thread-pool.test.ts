import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ThreadPool } from './thread-pool.ts'

const module = new URL('./testing/doubling-thread.ts', import.meta.url)

test('every task has one result, and no more are taken than the threads can hold', async () => {
  const results: number[] = []
  await using pool = new ThreadPool<{ value: number }, number>({
    module,
    data: undefined,
    threads: 2,
    onResult: (result) => results.push(result),
  })
  let accepted = 0
  for (let value = 0; value < 50; value += 1) {
    await pool.submit({ value })
    accepted += 1
    assert.ok(accepted - results.length <= 4, 'each thread has one task in work and one in its inbox')
  }
  await pool.settle()
  assert.deepEqual(
    results.sort((left, right) => left - right),
    Array.from({ length: 50 }, (_, value) => value * 2),
  )
})

test('the first failure is that of all, with its code', async () => {
  await using pool = new ThreadPool<{ value: number }, number>({
    module,
    data: undefined,
    threads: 1,
    onResult: () => {},
  })
  await pool.submit({ value: -1 })
  await assert.rejects(pool.settle(), { code: 'storage.full', message: 'no room for -1' })
  await assert.rejects(pool.submit({ value: 1 }), { code: 'storage.full' })
})

test('a thread that dies is a failure, not a wait for ever', async () => {
  await using pool = new ThreadPool<{ value: number }, number>({
    module,
    data: undefined,
    threads: 1,
    onResult: () => {},
  })
  await pool.submit({ value: 666 })
  await assert.rejects(pool.settle(), /ended unexpectedly/)
})

test('stopped by its signal', async () => {
  const controller = new AbortController()
  const options = { module, data: undefined, threads: 1, onResult: () => {}, signal: controller.signal }
  await using pool = new ThreadPool<{ value: number }, number>(options)
  await pool.submit({ value: 1 })
  controller.abort()
  await assert.rejects(pool.settle(), { code: 'aborted' })
})
