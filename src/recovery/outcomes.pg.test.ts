import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import '../../test/support/leaks.ts'
import { compareDigests, type DatabaseDigest, digestDatabase } from '../../test/support/digest.ts'
import { type ItemLab, openItemLab, type PlanRequest } from '../../test/support/item-lab.ts'
import type { Protection } from '../../test/support/lab.ts'
import type { TestServer } from '../../test/support/postgres.ts'
import { restore, stopServer } from '../../test/support/restore.ts'
import { makeTemp } from '../../test/support/temp.ts'
import { sleep } from '../base/abort.ts'
import { openSql } from '../postgres/connection/sql.ts'
import { serverAccount } from '../postgres/server/account.ts'
import { LocalServer } from '../postgres/server/local-server.ts'
import { applyRestore } from './apply.ts'
import { type RestorePlan, sealPlan } from './plan-types.ts'
import { parseSettings } from './settings.ts'
import { LOG_NAME, MARKER, SPOOL } from './target-directory.ts'

let stage: ItemLab
let server: TestServer
let lab: Protection
let content: DatabaseDigest
let location: string

before(async () => {
  stage = await openItemLab()
  ;({ server, lab, content, location } = stage)
})

after(() => stage[Symbol.asyncDispose]())

const plan = (directory: string, request?: PlanRequest): Promise<RestorePlan> => stage.plan(directory, request)

test('tablespaces go beside the target, and the original place is not touched', async () => {
  const untouched = readdirSync(location)
  await using restored = await restore(lab, { at: 'latest' })
  assert.deepEqual(compareDigests(content, await digestDatabase(restored)), [])
  const [tablespace] = restored.plan.place.tablespaces
  assert.equal(tablespace?.originalLocation, location)
  assert.equal(tablespace?.location, `${restored.directory}.tablespaces/${tablespace?.oid}`)
  assert.equal(readlinkSync(join(restored.directory, 'pg_tblspc', String(tablespace?.oid))), tablespace?.location)
  const [place] = await restored.query<{ path: string }>(
    `select pg_tablespace_location(oid) as path from pg_tablespace where spcname = 'fast'`,
  )
  assert.equal(place?.path, tablespace?.location)
  assert.deepEqual(readdirSync(location), untouched)
})

test('a tablespace goes where it is told, by its old place', async () => {
  await using temp = makeTemp({ owner: serverAccount() })
  const elsewhere = temp.join('elsewhere')
  const made = await plan(temp.join('data'), { start: false, tablespaceMap: { [location]: elsewhere } })
  await applyRestore({ cluster: lab.cluster, plan: made })
  assert.ok(readdirSync(elsewhere).some((name) => name.startsWith('PG_')))
  writeFileSync(join(elsewhere, 'x'), '')
  const again = await plan(temp.join('other'), { start: false, tablespaceMap: { [location]: elsewhere } })
  await assert.rejects(applyRestore({ cluster: lab.cluster, plan: again }), { code: 'restore.refused' })
})

test('nothing of the recovery stays behind after a promotion', async () => {
  await using restored = await restore(lab, { at: 'latest' })
  const { directory } = restored
  for (const name of [MARKER, SPOOL, 'recovery.signal', 'tablespace_map', 'standby.signal']) {
    assert.equal(existsSync(join(directory, name)), false, name)
  }
  const auto = parseSettings(readFileSync(join(directory, 'postgresql.auto.conf'), 'utf8'))
  assert.equal(auto.has('restore_command'), false)
  assert.equal(auto.get('archive_mode'), 'off')
  assert.equal(statSync(directory).mode & 0o777, 0o700)
})

test('paused at the target: readable, writable after resuming, and on an unused timeline', async () => {
  // biome-ignore lint/suspicious/noThenProperty: it is what --then is called
  await using restored = await restore(lab, { at: 'latest', then: 'pause' })
  assert.equal(restored.report.outcome, 'paused')
  assert.deepEqual(compareDigests(content, await digestDatabase(restored)), [])
  await assert.rejects(restored.query('create table x ()'), /read-only|recovery/)
  await restored.query('select pg_wal_replay_resume()')
  for (;;) {
    const [row] = await restored.query<{ recovery: boolean }>('select pg_is_in_recovery() as recovery')
    if (!row?.recovery) break
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await restored.query('create table x ()')
  assert.match(readFileSync(join(restored.directory, LOG_NAME), 'utf8'), /selected new timeline ID: 2/)
})

test('shut down at the target: started later, it promotes at exactly that point', async () => {
  await using temp = makeTemp({ owner: serverAccount() })
  const directory = temp.join('data')
  const made = await plan(directory, { action: 'shutdown' })
  const report = await applyRestore({ cluster: lab.cluster, plan: made })
  assert.equal(report.outcome, 'shut-down')
  assert.equal(report.server, undefined)
  await using started = await LocalServer.start({ binDir: server.binDir, dataDir: directory, waitFor: 'none' })
  const sql = await connect(started)
  assert.deepEqual(compareDigests(content, await digestDatabase(sql)), [])
  await sql[Symbol.asyncDispose]()
  const again = await plan(directory, { action: 'shutdown' })
  assert.ok(again.preflight.some((one) => one.status === 'failed' && one.name === 'target directory'))
})

async function connect(started: LocalServer) {
  for (;;) {
    try {
      const sql = await openSql(started.target())
      const [row] = await sql.query<{ recovery: boolean }>('select pg_is_in_recovery() as recovery')
      if (row?.recovery === false) return sql
      await sql[Symbol.asyncDispose]()
    } catch {
      // Still on its way.
    }
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
}

test('laid out only: the recovery settings are in the files, between marks', async () => {
  await using temp = makeTemp({ owner: serverAccount() })
  const restoreCommand = `cp /nowhere/%f "%p"`
  const made = await plan(temp.join('data'), { start: false, restoreCommand, at: 'latest' })
  const report = await applyRestore({ cluster: lab.cluster, plan: made })
  assert.equal(report.outcome, 'laid-out')
  const auto = parseSettings(readFileSync(temp.join('data', 'postgresql.auto.conf'), 'utf8'))
  assert.equal(auto.get('restore_command'), restoreCommand)
  assert.equal(auto.get('recovery_target_lsn'), made.stop.recordLsn)
  assert.ok(existsSync(temp.join('data', 'recovery.signal')))
  assert.ok(existsSync(temp.join('data', 'global', 'pg_control')))
})

test('without --port, a port that is taken is not planned, and the plan says so', async () => {
  await using temp = makeTemp({ owner: serverAccount() })
  const free = await plan(temp.join('free'))
  assert.equal(free.server.anyPort, true)
  const own = 5432
  // Another test may have the port for a moment, and give it back while this one plans.
  const occupier = await occupy(own)
  try {
    const [one, two] = [await plan(temp.join('one')), await plan(temp.join('two'))]
    for (const { server: planned, warnings, preflight } of [one, two]) {
      assert.notEqual(planned.port, own)
      assert.ok(warnings.some((text) => text.includes(`${own}, the cluster's own, is in use`)))
      assert.ok(preflight.every(({ status }) => status !== 'failed'))
    }
    // The port of the first plan is taken by now as well: another one is used.
    const second = {
      ...two,
      server: { ...two.server, port: own, settings: { ...two.server.settings, port: String(own) } },
    }
    const { hash: _old, ...unhashed } = second
    const report = await applyRestore({ cluster: lab.cluster, plan: sealPlan(unhashed) })
    assert.notEqual(report.server?.port, own)
    assert.ok(report.server)
    await stopServer(report.server.pid)
  } finally {
    occupier.close()
  }
})

async function occupy(port: number): Promise<Server> {
  for (;;) {
    const server = createServer()
    const isListening = await new Promise<boolean>((resolve) =>
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)),
    )
    if (isListening) return server
    await sleep(200)
  }
}
