import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { currentProcess, hasCertainlyEnded } from './process-identity.ts'

test('this process lives; another is known to have ended only on the same host and boot', async () => {
  const me = currentProcess()
  assert.equal(me.pid, process.pid)
  assert.deepEqual(currentProcess(), me)
  assert.equal(hasCertainlyEnded(me), false)
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] })
  // Where the start of a process is not known, its id alone decides.
  const other = { ...me, pid: child.pid ?? assert.fail(), started: '' }
  assert.equal(hasCertainlyEnded(other), false)
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.stdin.end()
  await exit
  assert.equal(hasCertainlyEnded(other), true)
  assert.equal(hasCertainlyEnded({ ...other, realm: '00000000' }), false, 'another host')
  assert.equal(hasCertainlyEnded({ ...other, boot: '00000000' }), false, 'another boot')
})

test('a process id that is used again by another process is not mistaken for the old one', (t) => {
  const me = currentProcess()
  if (me.started === '') return t.diagnostic('this system does not tell when a process began')
  assert.equal(hasCertainlyEnded({ ...me, started: '1' }), true)
})
