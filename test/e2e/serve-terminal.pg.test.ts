/** `retake serve` on a terminal (`script` of util-linux): whoever develops reads how the cluster is, among the log. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { createClient } from '../../src/client.ts'
import { proposedSchedules } from '../../src/schedules/schedule.ts'
import '../support/leaks.ts'
import { startTestServer, type TestServer } from '../support/postgres.ts'
import { type ServeStage, stageServe, waitFor } from '../support/serve.ts'

const PROGRAM = resolve(import.meta.dirname, '../../bin/retake.js')
const LINE = /^main: (ok|ENDANGERED|UNKNOWN) \(.*\)\./m

let server: TestServer
let stage: ServeStage

before(async () => {
  server = await startTestServer()
  // None is configured.
  stage = await stageServe({ server, schedules: 'null' })
})

after(async () => {
  await stage?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

/** Until a look is on record; then Ctrl-C. @returns everything that stood on the terminal */
async function onTerminal(env: Readonly<Record<string, string>>): Promise<string> {
  // In the place of the shell, which would say that it was interrupted.
  const command = `exec ${[process.execPath, PROGRAM, 'serve'].map((word) => `'${word}'`).join(' ')}`
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    cwd: stage.temp.path,
    env: { PATH: process.env.PATH, HOME: '/nonexistent', TERM: 'dumb', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const closed = once(child, 'close')
  const address = () => /ready at (http:\S+?)\.["\s]/.exec(output)?.[1]
  const isLookedAt = async () => {
    const url = address()
    if (url === undefined) return false
    const client = createClient({ url, token: readFileSync(stage.temp.join('data/token'), 'utf8').trim() })
    if (!(await client.getHealth({ cluster: 'main' }).catch(() => undefined))) return false
    const { configured, verdict, schedules } = await client.getSchedules({ cluster: 'main' })
    // The proposed ones are kept, and nothing that was due before is missed.
    assert.deepEqual([configured, verdict, schedules.length], [false, 'ok', proposedSchedules.length])
    return schedules.every(({ keptSince }) => keptSince !== undefined)
  }
  try {
    await waitFor(isLookedAt, { what: () => `a look: ${output}`, everyMs: 200 })
  } finally {
    child.stdin.write('\x03')
    await closed
  }
  assert.equal(child.exitCode, 0, output)
  return output
}

test('in development each cluster has a line; in production there is the log alone', async () => {
  const watched = await onTerminal({})
  assert.match(watched, LINE)
  assert.match(watched, /"level":"info"/)
  const production = await onTerminal({ NODE_ENV: 'production' })
  assert.doesNotMatch(production, LINE)
  assert.match(production, /"level":"info"/)
})
