import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { renderFetchScript, restoreCommandOf, spoolPaths } from './fetch-script.ts'

// A place whose name needs quoting, as a user's may.
const base = mkdtempSync(path.join(tmpdir(), "retake it's 50% "))
after(() => rmSync(base, { recursive: true, force: true }))

const SEGMENT = '000000010000000000000003'
let number = 0

function makeSpool(options: { feederPid?: number; silenceSteps?: number } = {}) {
  number += 1
  const spool = path.join(base, `spool ${number}`)
  const paths = spoolPaths(spool)
  for (const directory of [spool, paths.ready, paths.want, paths.absent, paths.filling]) mkdirSync(directory)
  writeFileSync(paths.beat, '1\n')
  writeFileSync(paths.script, renderFetchScript(spool, { feederPid: options.feederPid ?? process.pid, ...options }))
  const destination = path.join(base, `destination ${number}`)
  return { spool, paths, destination }
}

function run(script: string, args: string[]): Promise<{ status: number | null; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn('/bin/sh', [script, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
    let stderr = ''
    child.stderr.on('data', (piece) => {
      stderr += piece
    })
    child.on('close', (status) => resolve({ status, stderr }))
  })
}

test('a ready file is delivered at once and leaves nothing behind: 0', async () => {
  const { paths, destination } = makeSpool()
  writeFileSync(`${paths.ready}/${SEGMENT}`, 'content')
  assert.equal((await run(paths.script, [SEGMENT, destination])).status, 0)
  assert.equal(readFileSync(destination, 'utf8'), 'content')
  assert.equal(existsSync(`${paths.ready}/${SEGMENT}`), false)
  assert.equal(existsSync(`${paths.want}/${SEGMENT}`), false)
})

test('it asks, and waits until the file is there: 0', async () => {
  const { paths, destination } = makeSpool()
  const result = run(paths.script, [SEGMENT, destination])
  while (!existsSync(`${paths.want}/${SEGMENT}`)) await new Promise((resolve) => setTimeout(resolve, 5))
  writeFileSync(`${paths.ready}/${SEGMENT}`, 'late')
  assert.equal((await result).status, 0)
  assert.equal(readFileSync(destination, 'utf8'), 'late')
  assert.equal(existsSync(`${paths.want}/${SEGMENT}`), false, 'the request is withdrawn before the file is taken')
})

test('what is certainly absent: 1, and only that', async () => {
  const { paths, destination } = makeSpool()
  writeFileSync(`${paths.absent}/00000002.history`, '')
  assert.equal((await run(paths.script, ['00000002.history', destination])).status, 1)
  assert.equal(existsSync(destination), false)
})

const refusals: Record<string, (spool: ReturnType<typeof makeSpool>) => string[]> = {
  'the feeder failed': ({ paths, destination }) => {
    writeFileSync(paths.failed, 'retake: repo.damaged: object X\n')
    return [SEGMENT, destination]
  },
  'the spool is gone': ({ spool, paths, destination }) => {
    writeFileSync(`${base}/moved.sh`, readFileSync(paths.script))
    rmSync(spool, { recursive: true })
    return [SEGMENT, destination]
  },
  'no name': ({ destination }) => ['', destination],
  'a name that leaves the spool': ({ destination }) => ['../beat', destination],
  'no destination': () => [SEGMENT],
  'a destination that cannot be written': ({ paths }) => {
    writeFileSync(`${paths.ready}/${SEGMENT}`, 'content')
    return [SEGMENT, path.join(base, 'no', 'such', 'directory')]
  },
}

for (const [name, arrange] of Object.entries(refusals)) {
  test(`${name}: 126`, async () => {
    const spool = makeSpool()
    const args = arrange(spool)
    const script = existsSync(spool.paths.script) ? spool.paths.script : `${base}/moved.sh`
    const { status, stderr } = await run(script, args)
    assert.equal(status, 126)
    assert.match(stderr, /retake/)
  })
}

test('a feeder that has ended is noticed: 126', { skip: !existsSync('/proc/self') && 'needs /proc' }, async () => {
  const child = spawn('/bin/true')
  await new Promise((resolve) => child.on('close', resolve))
  const { paths, destination } = makeSpool({ feederPid: child.pid ?? 0 })
  const { status, stderr } = await run(paths.script, [SEGMENT, destination])
  assert.equal(status, 126)
  assert.match(stderr, /has ended/)
})

test('a feeder that lives but is silent is given up after its time: 126', async () => {
  const { paths, destination } = makeSpool({ silenceSteps: 4 })
  const { status, stderr } = await run(paths.script, [SEGMENT, destination])
  assert.equal(status, 126)
  assert.match(stderr, /no sign of life/)
})

test('a beating feeder is waited for beyond the time of silence', async () => {
  const { paths, destination } = makeSpool({ silenceSteps: 8 })
  let beats = 1
  const timer = setInterval(() => writeFileSync(paths.beat, `${++beats}\n`), 30)
  const result = run(paths.script, [SEGMENT, destination])
  // Longer than 8 steps of 50 ms.
  await new Promise((resolve) => setTimeout(resolve, 700))
  writeFileSync(`${paths.ready}/${SEGMENT}`, 'patience')
  assert.equal((await result).status, 0)
  clearInterval(timer)
})

test('the command that PostgreSQL runs is quoted for the shell and for its placeholders', () => {
  const command = restoreCommandOf("/a b/it's 50%")
  assert.equal(command, `/bin/sh '/a b/it'\\''s 50%%/fetch.sh' %f "%p"`)
  chmodSync(base, 0o755)
})
