import assert from 'node:assert/strict'
import { test } from 'node:test'
import { releaseBackingMemory, releaseMemory } from './memory.ts'

test('a large buffer of its own is given back', () => {
  const bytes = new Uint8Array(1024 * 1024)
  releaseMemory(bytes)
  assert.equal(bytes.length, 0)
  releaseMemory(bytes)
})

test('a part of a buffer, and a small one, stay as they are', () => {
  const whole = new Uint8Array(1024 * 1024)
  for (const part of [whole.subarray(0, 500_000), whole.subarray(1), whole.subarray(500_000)]) {
    const { length } = part
    releaseMemory(part)
    assert.equal(part.length, length)
  }
  const small = Buffer.from('small')
  releaseMemory(small)
  assert.equal(small.toString(), 'small')
})

test('a result that is cut a little shorter than its memory is given back', () => {
  const memory = new ArrayBuffer(1024 * 1024)
  releaseMemory(new Uint8Array(memory, 0, 1024 * 1024 - 1))
  assert.equal(memory.detached, true)
})

test('the memory behind a short result is given back, but never a shared one', () => {
  const whole = new Uint8Array(1024 * 1024)
  releaseBackingMemory(whole.subarray(0, 10))
  assert.equal(whole.length, 0)
  const shared = new Uint8Array(new SharedArrayBuffer(1024 * 1024))
  releaseBackingMemory(shared)
  assert.equal(shared.length, 1024 * 1024)
  const pooled = Buffer.from('a small buffer of the pool')
  releaseBackingMemory(pooled)
  assert.equal(pooled.toString(), 'a small buffer of the pool')
})
