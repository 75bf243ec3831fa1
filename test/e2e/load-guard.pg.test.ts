/** A primary under stress: what is due waits, as everybody can see; what has begun all the same is read slowly; when the stress is over it goes on. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { createClient } from '../../src/client.ts'
import { runCli } from '../support/cli.ts'
import '../support/leaks.ts'
import { startTestServer, type TestServer } from '../support/postgres.ts'
import { type ServeProcess, type ServeStage, stageServe, waitFor } from '../support/serve.ts'

let server: TestServer

before(async () => {
  server = await startTestServer({ settings: { max_connections: '30' } })
})

after(async () => {
  await server?.[Symbol.asyncDispose]()
})

const GUARD =
  '{ activePercent: 30, standbyLagSeconds: off, lockWaitSeconds: off, loadPerProcessor: off, maxDelayMinutes: 30 }'

/** Ten sessions that work until it is disposed. */
async function stress(): Promise<AsyncDisposable> {
  const clients = await Promise.all(Array.from({ length: 10 }, () => server.connect()))
  const working = clients.map((client) => client.query('select pg_sleep(3600)').catch(() => {}))
  return {
    async [Symbol.asyncDispose]() {
      await server.query("select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(3600)'")
      await Promise.all(working)
    },
  }
}

const addressOf = (process: ServeProcess) => /ready at (http:\S+?)\.["\s]/.exec(process.log())?.[1] ?? ''

const clientOf = (stage: ServeStage, process: ServeProcess) =>
  createClient({ url: addressOf(process), token: readFileSync(stage.temp.join('data/token'), 'utf8').trim() })

/** As whoever works with a server sets it. */
const serverOf = (stage: ServeStage, process: ServeProcess) => ({
  RETAKE_SERVER: addressOf(process),
  RETAKE_TOKEN_FILE: stage.temp.join('data/token'),
})

test('a run that is due is put off, said to be, and begins when its server is calm', async () => {
  await using stage = await stageServe({
    server,
    loadGuard: GUARD,
    schedules: '[{ name: nightly, task: backup, cron: "* * * * *", graceMinutes: 60 }]',
  })
  const load = await stress()
  await using _load = load
  const process = await stage.serve()
  const client = clientOf(stage, process)
  const readOne = async () => (await client.getSchedules({ cluster: 'main' })).schedules[0]
  await waitFor(async () => (await readOne())?.putOff !== undefined, { what: () => `put off: ${process.log()}` })
  const schedule = await readOne()
  assert.deepEqual(schedule?.putOff?.because, ['10 of 30 connections active'])
  // What was due in the minute of the registration is put off as well, and not judged.
  assert.ok(schedule.putOff && (schedule.last === undefined || schedule.last.at === schedule.putOff.at))
  assert.match(process.log(), /nightly of main is put off until .*: 10 of 30 connections active/)
  assert.deepEqual((await client.listRuns({ cluster: 'main' })).items, [])
  const shown = await runCli(['schedules', '--no-input'], { cwd: stage.temp.path, env: serverOf(stage, process) })
  assert.match(shown.stdout, /put off: 10 of 30 connections active; begins by /, shown.stderr)

  await load[Symbol.asyncDispose]()
  const succeeded = async () => (await client.listRuns({ state: 'succeeded' })).items[0]
  await waitFor(async () => (await succeeded()) !== undefined, { what: () => process.log() })
  const begun = await succeeded()
  assert.ok(begun && begun.id >= `main~nightly~${schedule.putOff.at}`, begun?.id)
  assert.equal((await readOne())?.putOff, undefined)
  assert.equal(await process.stop(), 0)
})

test('one that may not wait any longer begins, is held back while it is read, and ends when its server is calm', async () => {
  await using stage = await stageServe({
    server,
    loadGuard: GUARD,
    // Without grace nothing is put off.
    schedules: '[{ name: nightly, task: backup, cron: "* * * * *", graceMinutes: 0 }]',
  })
  const load = await stress()
  await using _load = load
  const process = await stage.serve()
  const client = clientOf(stage, process)
  const readRun = async () => (await client.listRuns({ cluster: 'main' })).items.at(-1)
  await waitFor(async () => /^Held back: 10 of 30/.test((await readRun())?.progress?.message ?? ''), {
    what: () => `a run that is held back: ${process.log()}`,
  })
  assert.match(process.log(), /nightly of main begins although its server is under stress: 10 of 30 connections active/)
  await load[Symbol.asyncDispose]()
  await waitFor(async () => (await readRun())?.state === 'succeeded', { what: () => process.log() })
  const heldBackMs = (await readRun())?.result?.heldBackMs
  assert.ok(typeof heldBackMs === 'number' && heldBackMs > 0)
  assert.match(process.log(), /The backup of main is held back: 10 of 30.*\n(.*\n)*.*read at full speed again/)
  assert.equal(await process.stop(), 0)
})
