import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import '../../test/support/leaks.ts'
import { type Protection, protect } from '../../test/support/lab.ts'
import { startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { makeTemp } from '../../test/support/temp.ts'
import { openRetake, type Retake } from '../engine/open.ts'
import { type DrillRecord, listDrills } from '../repository/drills.ts'
import { runDrill } from './run.ts'
import { serverProcesses } from './sandbox-server.ts'
import { sweepDrills } from './sweep.ts'

let server: TestServer
let lab: Protection

before(async () => {
  server = await startTestServer()
  lab = await protect(server)
  await server.query(
    `create table item as select n as id, repeat(md5(n::text), 20) as body from generate_series(1, 3000) n`,
  )
  await server.query('create index on item (id)')
  await lab.backUp()
  await server.query(`update item set body = 'changed' where id % 10 = 0`)
  await lab.catchUp()
})

after(async () => {
  await lab[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

function openLab(): Promise<Retake> {
  return openRetake({ repo: lab.url, key: lab.key })
}

const drills = (): Promise<DrillRecord[]> => Array.fromAsync(listDrills(lab.cluster))

function startDrill(directory: string, request: string): ChildProcess {
  assert.ok(lab.key.kind === 'key')
  const env = {
    ...process.env,
    RETAKE_TEST_KEY: Buffer.from(lab.key.bytes).toString('hex'),
    RETAKE_TEST_REQUEST: request,
  }
  const script = fileURLToPath(new URL('./testing/run-drill.ts', import.meta.url))
  return spawn(process.execPath, [script, lab.url, directory], { env, stdio: ['ignore', 'pipe', 'inherit'] })
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) =>
    child.exitCode === null && child.signalCode === null ? child.once('exit', () => resolve()) : resolve(),
  )
}

/** Resolves when the process has said so, or has ended. */
function hears(child: ChildProcess, word: string): Promise<void> {
  return new Promise((resolve) => {
    let said = ''
    child.stdout?.on('data', (piece) => {
      said += piece
      if (said.split('\n').includes(word)) resolve()
    })
    child.once('exit', () => resolve())
  })
}

for (const phase of ['choose', 'plan', 'files', 'replay', 'prove', 'read', 'stop', 'pages', 'remove']) {
  test(`killed in the phase "${phase}": the next one ends its server, removes it and puts it on record`, async () => {
    await using temp = makeTemp({ label: 'd' })
    const request = `killed in ${phase}`
    const child = startDrill(temp.path, request)
    await hears(child, phase)
    child.kill('SIGKILL')
    await ended(child)
    assert.equal(child.signalCode, 'SIGKILL', 'it was over before it was killed')
    const [name = ''] = readdirSync(temp.path)
    await using retake = await openLab()
    const swept = await sweepDrills(retake, temp.path)
    assert.deepEqual(readdirSync(temp.path), [])
    assert.deepEqual(await serverProcesses(join(temp.path, name, 'data')), [])
    const [last] = await drills()
    assert.equal(last?.request, request)
    assert.deepEqual(swept, [last?.id])
    assert.ok(['interrupted', 'passed'].includes(last?.outcome ?? ''), JSON.stringify(last))
    // Killed after its end it has a result, which the draft has kept.
    if (last?.outcome === 'passed') assert.equal(phase, 'remove')
  })
}

test('one that lives is not swept, and asked again after a kill it is made once more', async () => {
  await using temp = makeTemp({ label: 'd' })
  await using retake = await openLab()
  const child = startDrill(temp.path, 'asked twice')
  await hears(child, 'prove')
  child.kill('SIGSTOP')
  assert.deepEqual(await sweepDrills(retake, temp.path), [])
  assert.equal(readdirSync(temp.path).length, 1)
  child.kill('SIGKILL')
  await ended(child)
  const { drill } = await runDrill(retake, { at: 'latest', directory: temp.path, request: 'asked twice' }).result
  assert.equal(drill.outcome, 'passed')
  const outcomes = (await drills()).filter(({ request }) => request === 'asked twice').map(({ outcome }) => outcome)
  assert.deepEqual(outcomes, ['passed', 'interrupted'])
  assert.equal((await runDrill(retake, { request: 'asked twice' }).result).drill.id, drill.id)
})

test('stopped on request, it leaves nothing but its record', async () => {
  await using temp = makeTemp({ label: 'd' })
  await using retake = await openLab()
  for (const phase of ['files', 'prove', 'read']) {
    const controller = new AbortController()
    const onProgress = (step: { readonly phase: string }) => step.phase === phase && controller.abort()
    const run = runDrill(retake, { deep: true, directory: temp.path, signal: controller.signal, onProgress })
    await assert.rejects(run.result, { code: 'aborted' })
    assert.deepEqual(readdirSync(temp.path), [])
    const [last] = await drills()
    assert.deepEqual([last?.outcome, last?.error?.code], ['interrupted', 'aborted'])
  }
})

test('limits: no room, no programs, no time are told with their reason, and end the drill', async () => {
  await using temp = makeTemp({ label: 'd' })
  await using retake = await openLab()
  const small = await runDrill(retake, { directory: temp.path, maxBytes: 1000 }).result
  assert.deepEqual([small.drill.outcome, small.drill.error?.code], ['inconclusive', 'restore.refused'])
  assert.match(small.drill.error?.message ?? '', /needs \d+ MB of disk, and 1 MB are allowed/)
  const late = await runDrill(retake, { directory: temp.path, timeLimitMs: 1 }).result
  assert.deepEqual([late.drill.outcome, late.drill.error?.code], ['failed', 'timeout'])
  await using without = await openRetake({ repo: lab.url, key: lab.key, postgresBinDirectory: temp.path })
  const bare = await runDrill(without, { directory: temp.path }).result
  assert.deepEqual([bare.drill.outcome, bare.drill.error?.code], ['inconclusive', 'dependency.missing'])
  assert.deepEqual(readdirSync(temp.path), [])
  await assert.rejects(runDrill(retake, { directory: temp.join('nowhere') }).result, { code: 'config.invalid' })
  await assert.rejects(runDrill(retake, { at: 'yesterday', directory: temp.path }).result, { code: 'target.invalid' })
  const before = (await drills()).length
  const early = runDrill(retake, { at: '2001-01-01T00:00:00Z', directory: temp.path })
  await assert.rejects(early.result, { code: 'target.outside' })
  assert.equal((await drills()).length, before)
  assert.deepEqual(readdirSync(temp.path), [])
})

test('what is no sandbox of ours is left alone', async () => {
  await using temp = makeTemp({ label: 'd' })
  await using retake = await openLab()
  await mkdir(temp.join('retake-drill-other'))
  await writeFile(temp.join('retake-drill-other', 'drill.json'), JSON.stringify({ tool: 'another' }))
  await mkdir(temp.join('retake-drill-empty'))
  await writeFile(temp.join('retake-drill-file'), '')
  assert.deepEqual(await sweepDrills(retake, temp.path), [])
  assert.equal(readdirSync(temp.path).length, 3)
})
