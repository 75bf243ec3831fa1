import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import '../../test/support/leaks.ts'
import { compareDigests, type DatabaseDigest, digestDatabase } from '../../test/support/digest.ts'
import { type Protection, protect } from '../../test/support/lab.ts'
import { localTarget, startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { stopServer } from '../../test/support/restore.ts'
import { makeTemp } from '../../test/support/temp.ts'
import { sleep } from '../base/abort.ts'
import { openSql } from '../postgres/connection/sql.ts'
import { serverAccount } from '../postgres/server/account.ts'
import { readPostmasterFile } from '../postgres/server/postmaster-file.ts'
import { applyRestore } from './apply.ts'
import { planRestore } from './plan.ts'
import type { RestorePlan } from './plan-types.ts'
import { inspectTarget, LOG_NAME, readMarker } from './target-directory.ts'

let server: TestServer
let lab: Protection
let content: DatabaseDigest

before(async () => {
  server = await startTestServer()
  lab = await protect(server)
  await server.query(
    `create table item as select n as id, repeat(md5(n::text), 20) as body from generate_series(1, 3000) n`,
  )
  await lab.backUp()
  await server.query(`update item set body = 'changed' where id % 10 = 0`)
  content = await digestDatabase(server)
  await lab.catchUp()
})

after(async () => {
  await lab[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

function makePlan(directory: string, start: boolean): Promise<RestorePlan> {
  return planRestore({
    cluster: lab.cluster,
    target: { kind: 'latest' },
    targetDirectory: directory,
    settings: { fsync: 'off' },
    start,
  })
}

function startApply(file: string, plan: RestorePlan): ChildProcess {
  writeFileSync(file, JSON.stringify({ url: lab.url, plan }))
  assert.ok(lab.key.kind === 'key')
  const env = { ...process.env, RETAKE_TEST_KEY: Buffer.from(lab.key.bytes).toString('hex') }
  const script = fileURLToPath(new URL('./testing/apply-plan.ts', import.meta.url))
  return spawn(process.execPath, [script, file], { env, stdio: ['ignore', 'pipe', 'inherit'] })
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) =>
    child.exitCode === null && child.signalCode === null ? child.once('exit', () => resolve()) : resolve(),
  )
}

test('killed at any moment, a restore leaves what cannot start, or a complete directory', async () => {
  await using temp = makeTemp({ owner: serverAccount() })
  const seen = new Set<string>()
  // The work takes a few hundred milliseconds; the moments are spread over all of it and a little beyond. How long it takes on a
  // busy machine nobody knows, so there are more rounds until one was in the middle.
  for (let round = 0; round < 8 || (round < 60 && !seen.has('leftover')); round += 1) {
    const directory = temp.join(`data ${round}`)
    const plan = await makePlan(directory, false)
    const child = startApply(temp.join('plan.json'), plan)
    const begun = new Promise<void>((resolve) => child.stdout?.once('data', () => resolve()))
    await Promise.race([begun, ended(child)])
    await sleep(round * 40)
    child.kill('SIGKILL')
    await ended(child)
    const hasControlFile = existsSync(join(directory, 'global', 'pg_control'))
    const marker = await readMarker(directory)
    const { state } = await inspectTarget(directory, lab.cluster.facts)
    seen.add(`${state}`)
    if (hasControlFile) {
      assert.equal(marker?.phase, 'complete')
      assert.equal(state, 'occupied')
      await assert.rejects(applyRestore({ cluster: lab.cluster, plan }), { code: 'restore.refused' })
      continue
    }
    assert.ok(state === 'leftover' || state === 'absent' || state === 'empty', state)
    const again = await applyRestore({ cluster: lab.cluster, plan })
    assert.equal(again.outcome, 'laid-out')
    assert.ok(existsSync(join(directory, 'global', 'pg_control')))
  }
  assert.ok(seen.has('leftover'), 'no round was killed in the middle')
})

test('killed during recovery, the server left alone stops or is at its target; the plan can be applied again', async () => {
  await using temp = makeTemp({ owner: serverAccount() })
  const directory = temp.join('data')
  const plan = await makePlan(directory, true)
  const child = startApply(temp.join('plan.json'), plan)
  await new Promise<void>((resolve) => {
    let said = ''
    child.stdout?.on('data', (piece) => {
      said += piece
      if (said.includes('replay')) resolve()
    })
    child.once('exit', () => resolve())
  })
  child.kill('SIGKILL')
  await ended(child)
  const log = () => readFileSync(join(directory, LOG_NAME), 'utf8')
  while (!/ready to accept connections|database system is shut down|aborting startup/.test(log())) await sleep(50)
  if (/ready to accept connections/.test(log())) {
    // All the WAL lay ready: it is exactly what was planned, and it is not touched again.
    const state = await readPostmasterFile(directory)
    assert.ok(state?.port)
    await assert.rejects(applyRestore({ cluster: lab.cluster, plan }), { code: 'restore.refused' })
    const sql = await openSql(localTarget({ port: state.port }))
    assert.deepEqual(compareDigests(content, await digestDatabase(sql)), [])
    await sql[Symbol.asyncDispose]()
    await stopServer(state.pid)
    return
  }
  assert.doesNotMatch(log(), /selected new timeline/)
  while ((await inspectTarget(directory, lab.cluster.facts)).state !== 'leftover') await sleep(50)
  const report = await applyRestore({ cluster: lab.cluster, plan })
  assert.equal(report.outcome, 'promoted')
  if (report.server) await stopServer(report.server.pid)
})
