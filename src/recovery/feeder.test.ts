import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { RetakeError } from '../base/errors.ts'
import { WalFeeder } from './feeder.ts'
import { spoolPaths } from './fetch-script.ts'

const base = mkdtempSync(path.join(tmpdir(), 'retake-feeder-'))
after(() => rmSync(base, { recursive: true, force: true }))

const names = Array.from({ length: 40 }, (_, index) => `00000001000000000000${String(index).padStart(4, '0')}`)

async function* content(name: string) {
  yield Buffer.from(`start ${name}`)
  yield Buffer.alloc(1000, 'x')
}

function fetchFile(feeder: WalFeeder, name: string, destination: string): Promise<number> {
  // As PostgreSQL does: one string to the shell, with %f and %p replaced.
  const command = feeder.restoreCommand.replaceAll('%f', name).replaceAll('%p', destination).replaceAll('%%', '%')
  return new Promise((resolve) => {
    execFile('/bin/sh', ['-c', command], (error) => resolve(error ? Number(error.code) : 0))
  })
}

test('files are served in and out of turn, twice if asked, and never more than the bound lie ahead', async () => {
  const spoolDirectory = path.join(base, 'one')
  let most = 0
  {
    await using feeder = await WalFeeder.start({
      spoolDirectory,
      filesAhead: 4,
      source: {
        sequence: names,
        open: async (name) => {
          most = Math.max(most, readdirSync(spoolPaths(spoolDirectory).ready).length)
          return names.includes(name) ? content(name) : undefined
        },
      },
    })
    const destination = path.join(base, 'got')
    const order = ['00000002.history', names[3] ?? '', names[0] ?? '', names[3] ?? '', ...names]
    for (const name of order) {
      const status = await fetchFile(feeder, name, destination)
      assert.equal(status, names.includes(name) ? 0 : 1, name)
      if (status === 0) assert.match(readFileSync(destination, 'utf8'), new RegExp(`^start ${name}x{1000}$`))
    }
    assert.ok(feeder.delivered.files >= names.length)
    assert.equal(feeder.failure, undefined)
  }
  assert.ok(most <= 5, `${most} files lay ahead`)
  assert.equal(existsSync(spoolDirectory), false)
})

test('after a failure nothing is called absent any more', async () => {
  await using feeder = await WalFeeder.start({
    spoolDirectory: path.join(base, 'two'),
    filesAhead: 4,
    source: {
      sequence: names.slice(0, 3),
      open: async (name) => {
        if (name === names[2]) throw new RetakeError('repo.damaged', 'wal/00000001/X is damaged.')
        return names.includes(name) ? content(name) : undefined
      },
    },
  })
  while (feeder.failure === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(feeder.failure.code, 'repo.damaged')
  assert.equal(await fetchFile(feeder, names[0] ?? '', path.join(base, 'got')), 0, 'what was already ready is good')
  assert.equal(await fetchFile(feeder, names[2] ?? '', path.join(base, 'got')), 126)
  assert.equal(await fetchFile(feeder, '00000002.history', path.join(base, 'got')), 126)
})

test('content that breaks in the middle is never seen', async () => {
  const spoolDirectory = path.join(base, 'three')
  await using feeder = await WalFeeder.start({
    spoolDirectory,
    filesAhead: 4,
    source: {
      sequence: [],
      open: async () =>
        (async function* () {
          yield Buffer.alloc(100)
          throw new Error('broken')
        })(),
    },
  })
  assert.equal(await fetchFile(feeder, names[0] ?? '', path.join(base, 'broken')), 126)
  assert.equal(existsSync(path.join(base, 'broken')), false)
})

test('a script that waits when the feeder ends is told', async () => {
  const feeder = await WalFeeder.start({
    spoolDirectory: path.join(base, 'four'),
    filesAhead: 1,
    source: { sequence: [], open: () => new Promise(() => {}) },
  })
  const waiting = fetchFile(feeder, names[0] ?? '', path.join(base, 'never'))
  while (readdirSync(path.join(base, 'four', 'want')).length === 0)
    await new Promise((resolve) => setTimeout(resolve, 5))
  // An answer that never comes must not hold the end of the feeder up.
  await feeder[Symbol.asyncDispose]()
  assert.equal(await waiting, 126)
})
