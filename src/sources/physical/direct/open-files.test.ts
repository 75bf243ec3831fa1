import assert from 'node:assert/strict'
import { closeSync, fstatSync, openSync } from 'node:fs'
import { test } from 'node:test'
import { isRetakeError } from '../../../base/errors.ts'
import type { FrameJob } from '../frame-cutter.ts'
import { OpenFiles } from './open-files.ts'

const isOpen = (descriptor: number): boolean => {
  try {
    fstatSync(descriptor)
    return true
  } catch {
    return false
  }
}

const job = (...pieces: [descriptor: number | undefined, lengthBytes: number][]): FrameJob => ({
  slot: 0,
  lengthBytes: 0,
  pieces: pieces.map(([descriptor, lengthBytes]) => ({
    file: 0,
    fileOffsetBytes: 0,
    frameOffsetBytes: 0,
    lengthBytes,
    ...(descriptor === undefined ? {} : { descriptor }),
  })),
})

test('a file is open until its last byte was read, and what waits for all of them hears of it', async () => {
  using files = new OpenFiles()
  const [first, second] = [openSync(import.meta.filename, 'r'), openSync(import.meta.filename, 'r')]
  files.add(first, 100)
  files.add(second, 50)
  let done = false
  const all = files.allRead(new AbortController().signal).then(() => {
    done = true
  })
  files.stored(job([first, 60], [undefined, 7]))
  assert.deepEqual([isOpen(first), isOpen(second)], [true, true])
  files.stored(job([second, 50]))
  assert.deepEqual([isOpen(first), isOpen(second)], [true, false])
  await new Promise(setImmediate)
  assert.equal(done, false)
  files.stored(job([first, 40]))
  await all
  assert.equal(isOpen(first), false)
  await files.allRead(new AbortController().signal)
})

test('who waits is told of an abort; what is open then is closed at the end, and not before', async () => {
  const descriptor = openSync(import.meta.filename, 'r')
  const controller = new AbortController()
  {
    using files = new OpenFiles()
    files.add(descriptor, 1)
    const waiting = files.allRead(controller.signal)
    controller.abort()
    await assert.rejects(waiting, (error) => isRetakeError(error, 'aborted'))
    assert.ok(isOpen(descriptor))
  }
  assert.throws(() => closeSync(descriptor), /EBADF/)
})
