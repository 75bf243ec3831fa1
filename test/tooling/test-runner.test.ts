import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'

const runner = resolve(import.meta.dirname, '../../scripts/test.ts')

/** Runs the project's test command on a made-up project; what it must not overlook is in its files. */
function runOn(files: Readonly<Record<string, string>>, ...args: string[]) {
  const project = mkdtempSync(join(tmpdir(), 'runner-'))
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(project, path)), { recursive: true })
      writeFileSync(join(project, path), `import { test, describe } from 'node:test'\n${text}`)
    }
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const { status, stdout, stderr } = spawnSync(process.execPath, [runner, '--root', project, ...args], {
      encoding: 'utf8',
      env,
    })
    return { status, stdout, stderr, lastLine: stdout.trimEnd().split('\n').at(-1) }
  } finally {
    rmSync(project, { recursive: true, force: true })
  }
}

/** A killed process may stay as a zombie, without a command line, until its parent looks. */
async function hasEnded(pid: number): Promise<boolean> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const path = `/proc/${pid}/cmdline`
    if (!existsSync(path) || readFileSync(path, 'utf8') === '') return true
    await setTimeout(20)
  }
  return false
}

const good = { 'src/a.test.ts': "test('one', () => {}); describe('s', () => { test('two', () => {}) })" }

test('passing tests are counted and end with status 0', () => {
  const { status, lastLine } = runOn(good)
  assert.equal(lastLine, '2 passed, 0 failed')
  assert.equal(status, 0)
})

test('a failing test fails the run and is shown with its message, its name and what it printed', () => {
  const { status, stdout, lastLine } = runOn({
    ...good,
    'test/b.test.ts':
      "describe('group', () => { test('bad', () => { console.log('a trace'); throw new Error('the reason') }) })",
  })
  assert.equal(lastLine, '2 passed, 1 failed')
  assert.equal(status, 1)
  assert.match(stdout, /group > bad/)
  assert.match(stdout, /the reason/)
  assert.match(stdout, /a trace/)
})

test('a skipped test is counted and named with its reason', () => {
  const { status, stdout, lastLine } = runOn({
    'src/a.test.ts': "test('x', { skip: 'no such server here' }, () => {}); test('y', () => {})",
  })
  assert.equal(lastLine, '1 passed, 0 failed, 1 skipped')
  assert.equal(status, 0)
  assert.match(stdout, /x: no such server here/)
})

test('a file that runs no test fails', () => {
  const { status, stdout, lastLine } = runOn({ ...good, 'src/empty.test.ts': '' })
  assert.equal(lastLine, '2 passed, 1 failed')
  assert.equal(status, 1)
  assert.match(stdout, /it ran no test/)
})

test('a file that does not load fails and shows why', () => {
  const { status, stdout } = runOn({ 'src/broken.test.ts': "throw new Error('cannot load')" })
  assert.equal(status, 1)
  assert.match(stdout, /cannot load/)
})

test('a file that does not end fails', () => {
  const { status, stdout } = runOn(
    { 'src/open.test.ts': "test('leaves a timer', () => { setInterval(() => {}, 1000) })" },
    '--file-timeout',
    '2',
  )
  assert.equal(status, 1)
  assert.match(stdout, /something is still open/)
})

test('processes and files that a test leaves behind fail it and are removed', async () => {
  const { status, stdout, lastLine } = runOn({
    'test/leak.pg.test.ts': `
      import { spawn } from 'node:child_process'
      import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs'
      import { tmpdir } from 'node:os'
      test('leaks', () => {
        spawn('sleep', ['600'], { detached: true, stdio: 'ignore' }).unref()
        const directory = mkdtempSync(tmpdir() + '/forgotten-')
        mkdirSync(directory + '/closed')
        chmodSync(directory, 0o500)
      })`,
  })
  assert.equal(status, 1)
  assert.equal(lastLine, '1 passed, 2 failed')
  const pid = Number(/left a process running \((\d+), killed\): sleep 600/.exec(stdout)?.[1])
  assert(await hasEnded(pid), 'the process still runs')
  assert.match(stdout, /left temporary files: forgotten-/)
})

test('a filter that matches nothing is a failure, not an empty success', () => {
  assert.equal(runOn(good, 'no-such-file').status, 2)
})
