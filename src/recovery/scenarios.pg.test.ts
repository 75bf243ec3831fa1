import assert from 'node:assert/strict'
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import '../../test/support/leaks.ts'
import { compareDigests, type DatabaseDigest, digestDatabase } from '../../test/support/digest.ts'
import { type Protection, protect } from '../../test/support/lab.ts'
import { startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { layOut, restore, stopServer } from '../../test/support/restore.ts'
import { makeTemp } from '../../test/support/temp.ts'
import { isRetakeError } from '../base/errors.ts'
import type { Progress } from '../base/progress.ts'
import { openSql } from '../postgres/connection/sql.ts'
import { segmentName } from '../postgres/lsn.ts'
import { serverAccount } from '../postgres/server/account.ts'
import { LocalServer } from '../postgres/server/local-server.ts'
import { readWalInventory } from '../repository/wal-archive.ts'
import { receiveWal } from '../sources/physical/receiver.ts'
import { applyRestore } from './apply.ts'
import { type PlanRestoreOptions, planRestore } from './plan.ts'
import { type RestorePlan, sealPlan } from './plan-types.ts'
import { parseSettings } from './settings.ts'
import { LOG_NAME, MARKER, SPOOL } from './target-directory.ts'
import { parseTarget } from './targets.ts'

let server: TestServer
let lab: Protection
let content: DatabaseDigest
let location: string

before(async () => {
  server = await startTestServer()
  lab = await protect(server)
  location = join(server.directory, 'space')
  mkdirSync(location)
  const account = serverAccount()
  if (account) chownSync(location, account.uid, account.gid)
  await server.query(`create tablespace fast location '${location}'`)
  await server.query(`
    create table item (id bigint primary key, body text not null) tablespace fast;
    insert into item select n, repeat(md5(n::text), 20) from generate_series(1, 3000) n;
    create table plain as select * from item limit 100`)
  await lab.backUp()
  await server.query(`update item set body = 'changed' where id < 100`)
  content = await digestDatabase(server)
  await lab.catchUp()
})

after(async () => {
  await lab[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

const plan = (directory: string, options: Partial<PlanRestoreOptions> & { at?: string } = {}): Promise<RestorePlan> =>
  planRestore({
    cluster: lab.cluster,
    target: parseTarget(options.at ?? 'latest'),
    targetDirectory: directory,
    settings: { fsync: 'off' },
    ...options,
  })

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

test('an idle database can be restored to a moment after its last transaction', async () => {
  const [row] = await server.query<{ at: string }>(
    `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at from pg_sleep(0.05)`,
  )
  // WAL goes on, as it does by itself now and then, but no transaction ends.
  await server.query(`select pg_create_restore_point('no transaction') from pg_sleep(0.05)`)
  await lab.catchUp()
  const made = await plan('/nonexistent/retake', { at: row?.at ?? '' })
  assert.equal(made.stop.setting.name, 'recovery_target_lsn')
  await using restored = await restore(lab, { at: row?.at ?? '' })
  assert.deepEqual(compareDigests(content, await digestDatabase(restored)), [])
})

test('a moment just before now can be restored after a catch-up that had nothing to receive', async () => {
  const [now] = await server.query<{ at: string }>(
    `select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`,
  )
  await lab.catchUp()
  await using temp = makeTemp({ owner: serverAccount() })
  const made = await plan(temp.join('data'), { at: now?.at ?? '', start: false })
  assert.match(made.stop.why, /the archive had everything/)
})

test('what cannot be reached is refused, each with its own code', async () => {
  const [backup] = await server.query<{ xid: string }>('select txid_current()::text as xid')
  const future = new Date(Date.now() + 3_600_000).toISOString()
  const table: Record<string, string> = {
    [future]: 'target.outside',
    '2020-01-01T00:00:00Z': 'target.outside',
    'lsn:0/1': 'target.outside',
    'lsn:FF/0': 'target.outside',
    'xid:4000000000': 'target.missing',
    [`xid:${backup?.xid}`]: 'target.missing',
    'name:never': 'target.missing',
  }
  for (const [at, code] of Object.entries(table))
    await assert.rejects(plan('/nonexistent/retake', { at }), { code }, at)
  await assert.rejects(plan('/nonexistent/retake', { timeline: 7 }), { code: 'target.outside' })
  await assert.rejects(plan('/nonexistent/retake', { backupId: '20200101T000000Z-00000000' }), {
    code: 'backup.missing',
  })
  await assert.rejects(plan('/nonexistent/retake', { tablespaceMap: { '/not/there': '/x' } }), {
    code: 'config.invalid',
  })
})

test('a transaction that was rolled back is no target', async () => {
  const [row] = await server.query<{ xid: string }>(
    'begin; create table never (); select pg_current_xact_id()::text as xid',
  )
  await server.query('rollback')
  // The end of a transaction that was rolled back is written out with the next commit.
  await server.query('create table written_out ()')
  await server.query('drop table written_out')
  await lab.catchUp()
  await assert.rejects(plan('/nonexistent/retake', { at: `xid:${row?.xid}` }), (error) => {
    return isRetakeError(error, 'target.missing') && /rolled back/.test(error.message)
  })
})

test('a name used twice means the later one', async () => {
  await server.query(`select pg_create_restore_point('twice')`)
  await server.query(`insert into plain values (-1, 'between')`)
  const expected = await digestDatabase(server)
  await server.query(`select pg_create_restore_point('twice')`)
  await server.query(`insert into plain values (-2, 'after')`)
  await lab.catchUp()
  await using restored = await restore(lab, { at: 'name:twice' })
  assert.match(restored.plan.stop.why, /latest is taken/)
  assert.deepEqual(compareDigests(expected, await digestDatabase(restored)), [])
})

test('a target directory that is not ours is never touched', async () => {
  await using temp = makeTemp({ owner: serverAccount() })
  const directory = temp.join('data')
  const made = await plan(directory, { start: false })
  mkdirSync(directory)
  writeFileSync(join(directory, 'precious'), 'mine')
  await assert.rejects(applyRestore({ cluster: lab.cluster, plan: made }), { code: 'restore.refused' })
  assert.deepEqual(readdirSync(directory), ['precious'])
})

test('a plan that was edited, or whose backup has gone, is refused before anything is written', async () => {
  await using temp = makeTemp({ owner: serverAccount() })
  const made = await plan(temp.join('data'), { start: false })
  const edited = { ...made, place: { ...made.place, targetDirectory: temp.join('other') } }
  await assert.rejects(applyRestore({ cluster: lab.cluster, plan: edited }), { code: 'plan.stale' })
  assert.deepEqual(readdirSync(temp.path), [])
})

test('an aborted restore leaves nothing that starts, and applying the plan again succeeds', async () => {
  await using temp = makeTemp({ owner: serverAccount() })
  const directory = temp.join('data')
  const made = await plan(directory, { start: false })
  const stop = new AbortController()
  // Not while the WAL is proved, which comes before anything is laid out.
  const onProgress = ({ phase }: Progress) => {
    if (phase === 'files') stop.abort()
  }
  await assert.rejects(
    applyRestore({ cluster: lab.cluster, plan: made, signal: stop.signal, onProgress, workers: 0 }),
    {
      code: 'aborted',
    },
  )
  assert.equal(existsSync(join(directory, 'global', 'pg_control')), false)
  assert.ok(existsSync(join(directory, MARKER)))
  await applyRestore({ cluster: lab.cluster, plan: made })
  assert.ok(existsSync(join(directory, 'global', 'pg_control')))
  await assert.rejects(applyRestore({ cluster: lab.cluster, plan: made }), { code: 'restore.refused' })
})

test('a damaged end of the archive costs the last moments only', async () => {
  await server.query(`select pg_create_restore_point('safe'), pg_switch_wal()`)
  await server.query(`insert into plain values (-5, 'at the end')`)
  await lab.catchUp()
  const tails = join(lab.url, 'clusters/main/wal/00000001/tail')
  const originals = readdirSync(tails).map((name) => [join(tails, name), readFileSync(join(tails, name))] as const)
  assert.ok(originals.length > 0)
  for (const [file, bytes] of originals) {
    const flipped = Buffer.from(bytes)
    flipped[20] = (flipped[20] ?? 0) ^ 1
    writeFileSync(file, flipped)
  }
  const safe = await plan('/nonexistent/retake', { at: 'name:safe' })
  assert.equal(safe.stop.setting.value, 'safe')
  for (const at of ['latest', 'xid:4000000000', new Date().toISOString()]) {
    await assert.rejects(plan('/nonexistent/retake', { at }), { code: 'repo.damaged' }, at)
  }
  for (const [file, bytes] of originals) writeFileSync(file, bytes)
})

test('a damaged manifest costs its own backup only', async () => {
  const second = await lab.backUp()
  await lab.catchUp()
  const file = join(lab.url, 'clusters/main/backups', second.backupId)
  const bytes = readFileSync(file)
  writeFileSync(file, bytes.subarray(0, bytes.length - 1))
  const made = await plan('/nonexistent/retake')
  assert.notEqual(made.backup.backupId, second.backupId)
  assert.ok(made.warnings.some((warning) => warning.includes(second.backupId)))
  await assert.rejects(plan('/nonexistent/retake', { backupId: second.backupId }), { code: 'repo.damaged' })
  rmSync(file)
  writeFileSync(file, bytes)
  assert.equal((await plan('/nonexistent/retake')).backup.backupId, second.backupId)
  rmSync(file)
})

test('a damaged segment inside the range stops the recovery; nothing is promoted', async () => {
  await server.query('select pg_switch_wal()')
  await server.query(`insert into plain values (-3, 'x')`)
  await lab.catchUp()
  await using temp = makeTemp({ owner: serverAccount() })
  const made = await plan(temp.join('data'))
  const wal = join(lab.url, 'clusters/main/wal/00000001')
  // With segments of 16 MiB the last eight digits are the whole number.
  const segment = made.wal.firstSegment.slice(-8).padStart(16, '0')
  const file = join(wal, segment)
  const bytes = readFileSync(file)
  const flipped = Buffer.from(bytes)
  flipped[200] = (flipped[200] ?? 0) ^ 1
  rmSync(file)
  writeFileSync(file, flipped)
  await assert.rejects(applyRestore({ cluster: lab.cluster, plan: made }), (error) => {
    return isRetakeError(error, 'repo.damaged') && error.message.includes(segment)
  })
  rmSync(file)
  await assert.rejects(plan(temp.join('other')), { code: 'wal.gap' })
  await assert.rejects(applyRestore({ cluster: lab.cluster, plan: made }), { code: 'plan.stale' })
  writeFileSync(file, bytes)
  const report = await applyRestore({ cluster: lab.cluster, plan: made })
  if (report.server) await stopServer(report.server.pid)
})

test('a restored server is protected again on its new timeline, and restored across the switch', async () => {
  await using first = await restore(lab, { at: 'latest' })
  const { cluster } = lab
  await server.kill()
  await first.query(`insert into plain values (-4, 'second life')`)
  await receiveWal({ cluster, target: first.target, slot: lab.slot, until: { kind: 'caught-up' } })
  const expected = await digestDatabase(first)
  // From the backup of timeline 1, across the switch, to the end of timeline 2.
  await using second = await restore(lab, { at: 'latest' })
  assert.deepEqual(compareDigests(expected, await digestDatabase(second)), [])
  assert.deepEqual(
    second.plan.target.path.map((step) => step.timeline),
    [1, 2],
  )
  assert.equal(second.report.reached?.newTimeline, 3)
  // The old timeline can still be asked for.
  await using old = await layOut(lab, { at: 'latest', timeline: 1 })
  assert.equal(old.plan.target.timeline, 1)
  // Without its history file the newer timeline is refused, not passed over.
  const history = join(lab.url, 'clusters/main/wal/history/00000002')
  const bytes = readFileSync(history)
  rmSync(history)
  await assert.rejects(plan('/nonexistent/retake'), { code: 'wal.history-missing' })
  writeFileSync(history, bytes)
})

test('without --port, a port that is taken is not planned, and the plan says so', async () => {
  await using temp = makeTemp({ owner: serverAccount() })
  const free = await plan(temp.join('free'))
  assert.equal(free.server.anyPort, true)
  const own = 5432
  const occupier = createServer()
  // Where something else has the port already, that is as good.
  await new Promise<void>((resolve) => occupier.once('error', () => resolve()).listen(own, '127.0.0.1', resolve))
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

test('files that are not started are called ready only when their WAL has proved itself', async () => {
  await using temp = makeTemp({ owner: serverAccount() })
  const made = await plan(temp.join('data'), { start: false })
  const report = await applyRestore({ cluster: lab.cluster, plan: made })
  assert.ok(report.phases.some(({ name }) => name === 'wal'))
  const { segments } = await readWalInventory(lab.cluster)
  const size = lab.cluster.facts.walSegmentSizeBytes
  const first = segments.find((one) => !one.partial && segmentName(one, size) === made.wal.firstSegment)
  if (first === undefined) return assert.fail('no whole segment is held')
  const bytes = Buffer.from((await lab.cluster.store.get(first.key)) ?? [])
  const harmed = Buffer.from(bytes)
  harmed[200] = (harmed[200] ?? 0) ^ 1
  const other = await plan(temp.join('other'), { start: false })
  await lab.cluster.store.replace(first.key, harmed)
  try {
    await assert.rejects(applyRestore({ cluster: lab.cluster, plan: other }), { code: 'repo.damaged' })
    assert.equal(existsSync(temp.join('other')), false, 'nothing was laid out')
  } finally {
    await lab.cluster.store.replace(first.key, bytes)
  }
})
