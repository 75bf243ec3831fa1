import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WriteBack } from './write-back.ts'

const MIB = 1024 * 1024

test('flushes are begun as bytes come in, and never two at a time', async () => {
  const flushes: (() => void)[] = []
  const writeBack = new WriteBack([], () => new Promise<void>((resolve) => flushes.push(resolve)))
  writeBack.wrote(127 * MIB)
  assert.equal(flushes.length, 0)
  writeBack.wrote(128 * MIB)
  writeBack.wrote(900 * MIB)
  assert.equal(flushes.length, 1)
  flushes[0]?.()
  await writeBack.settle()
  writeBack.wrote(901 * MIB)
  assert.equal(flushes.length, 2)
  flushes[1]?.()
  await writeBack.settle()
})

test('disposing waits for the flush that is running, and begins none', async () => {
  let ended = false
  {
    await using writeBack = new WriteBack([], async () => {
      await new Promise((resolve) => setImmediate(resolve))
      ended = true
    })
    writeBack.wrote(128 * MIB)
  }
  assert.ok(ended)
})

test('a write that the disk refused is not forgotten: the barrier would not hear of it again', async () => {
  const writeBack = new WriteBack([], () => Promise.reject(new Error('EIO')))
  writeBack.wrote(128 * MIB)
  await assert.rejects(writeBack.settle(), /EIO/)
  await assert.rejects(writeBack.settle(), /EIO/)
})
