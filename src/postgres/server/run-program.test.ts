import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { isRetakeError } from '../../base/errors.ts'
import { runProgram } from './run-program.ts'

test('gives back what the program said, and its status', async () => {
  const result = await runProgram('sh', ['-c', 'echo out; echo err >&2; exit 3'])
  assert.deepEqual(result, { code: 3, stdout: 'out\n', stderr: 'err\n' })
})

test('stops a program that takes too long, or that nobody waits for any more', async () => {
  await assert.rejects(runProgram('sleep', ['100'], { timeoutMs: 20 }), (error) => isRetakeError(error, 'timeout'))
  const run = runProgram('sleep', ['100'], { signal: AbortSignal.timeout(20) })
  await assert.rejects(run, (error) => isRetakeError(error, 'aborted'))
})

test('leaves no timer behind when there is no such program', async () => {
  await assert.rejects(runProgram('no-such-program', []), (error) => isRetakeError(error, 'dependency.missing'))
  const script = `import { runProgram } from ${JSON.stringify(new URL('./run-program.ts', import.meta.url).href)}
    await runProgram('no-such-program', []).catch(() => {})
    console.log(process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length)`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  assert.equal(stdout, '0\n')
})
