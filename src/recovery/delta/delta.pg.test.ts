import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import '../../../test/support/leaks.ts'
import { runCli } from '../../../test/support/cli.ts'
import { compareDigests, type DatabaseDigest, digestDatabase } from '../../../test/support/digest.ts'
import { compareTrees, readTree } from '../../../test/support/file-tree.ts'
import { type Protection, protect } from '../../../test/support/lab.ts'
import { localTarget, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { stopServer } from '../../../test/support/restore.ts'
import { makeTemp, type TempDirectory } from '../../../test/support/temp.ts'
import { openSql } from '../../postgres/connection/sql.ts'
import { crc32c } from '../../postgres/crc32c.ts'
import { serverAccount } from '../../postgres/server/account.ts'
import { findFreePort } from '../../postgres/server/free-port.ts'
import { LocalServer } from '../../postgres/server/local-server.ts'
import { formatKeyText } from '../../repository/keys/key-text.ts'
import { applyRestore } from '../apply.ts'
import { type PlanRestoreOptions, planRestore } from '../plan.ts'
import type { RestorePlan } from '../plan-types.ts'
import { inspectTarget, LOG_NAME, MARKER, readMarker, SPOOL } from '../target-directory.ts'

let server: TestServer
let lab: Protection
let temp: TempDirectory
let content: DatabaseDigest
/** What a fresh restore of the backup looks like. */
let fresh: string

before(async () => {
  server = await startTestServer()
  lab = await protect(server)
  temp = makeTemp({ owner: serverAccount() })
  const space = join(server.directory, 'space')
  mkdirSync(space)
  const account = serverAccount()
  if (account) chownSync(space, account.uid, account.gid)
  await server.query(`create tablespace fast location '${space}'`)
  await server.query(`
    create table item as select n as id, repeat(md5(n::text), 20) as body from generate_series(1, 20000) n;
    create table placed tablespace fast as select * from item limit 3000;
    create table gone as select * from item limit 300`)
  // Else reading alone would change every page, by the hints that it leaves.
  await server.query('vacuum (freeze)')
  await lab.backUp()
  content = await digestDatabase(server)
  await lab.catchUp()
  fresh = temp.join('fresh')
  await applyRestore({ cluster: lab.cluster, plan: await plan(fresh), workers: 0 })
})

after(async () => {
  await lab[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  await temp[Symbol.asyncDispose]()
})

function plan(directory: string, more: Partial<PlanRestoreOptions> = {}): Promise<RestorePlan> {
  return planRestore({
    cluster: lab.cluster,
    target: { kind: 'latest' },
    targetDirectory: directory,
    settings: { fsync: 'off' },
    start: false,
    ...more,
  })
}

/** A restored server on its own: about 1 % of its pages changed, tables made and dropped, then stopped. */
async function makeUsed(name: string): Promise<string> {
  const directory = temp.join(name)
  const report = await applyRestore({ cluster: lab.cluster, plan: await plan(directory, { start: true }), workers: 0 })
  assert.ok(report.server)
  const sql = await openSql(localTarget({ port: report.server.port }))
  await sql.query(`update item set body = 'changed' where id % 100 = 0 and id < 9000`)
  await sql.query(`update placed set body = 'changed' where id < 30`)
  await sql.query('drop table gone')
  await sql.query('create table added as select * from item limit 500')
  await sql.query('create table added_too tablespace fast as select * from placed limit 10')
  await sql.query('checkpoint')
  await sql[Symbol.asyncDispose]()
  await stopServer(report.server.pid)
  return directory
}

/** The link of the tablespace names the directory itself. */
const ownNames = (path: string) =>
  path === MARKER || path === LOG_NAME || path.startsWith(SPOOL) || /^pg_tblspc\/\d+$/.test(path)

function assertLikeFresh(directory: string): void {
  assert.deepEqual(compareTrees(fresh, directory, ownNames), [])
  assert.deepEqual(
    compareTrees(`${fresh}.tablespaces`, `${directory}.tablespaces`, () => false),
    [],
  )
}

test('a used directory becomes what a fresh restore is; its undo is the server that it was', async () => {
  const directory = await makeUsed('used')
  const changed = await contentOf(directory)
  assert.notDeepEqual(compareDigests(content, changed), [])
  const undoDirectory = temp.join('used.before')
  const made = await plan(directory, { delta: { undoDirectory } })
  assert.deepEqual(
    made.preflight.filter((one) => one.status === 'failed'),
    [],
  )
  const { delta } = made.place
  assert.ok(delta && delta.removedFiles > 0 && delta.removedWalFiles > 0 && delta.presentBytes > 20e6)
  await assert.rejects(applyRestore({ cluster: lab.cluster, plan: made }), { code: 'confirmation.missing' })
  await assert.rejects(applyRestore({ cluster: lab.cluster, plan: made, confirm: 'data' }), {
    code: 'confirmation.missing',
  })
  const report = await applyRestore({ cluster: lab.cluster, plan: made, confirm: 'used', workers: 1 })
  assertLikeFresh(directory)
  const { comparedBytes, writtenBytes, fetchedBytes } = report.files
  assert.equal(comparedBytes, made.files.bytes - 8192, 'all but the control file')
  assert.ok(writtenBytes < made.files.writtenBytes / 5, `wrote ${writtenBytes}`)
  assert.ok(fetchedBytes < made.files.fetchedBytes, `fetched ${fetchedBytes}`)
  assert.equal(report.undoDirectory, undoDirectory)
  assert.deepEqual(compareDigests(changed, await contentOf(undoDirectory)), [])
})

test('what only people and tools do to a directory is put right, and nothing is written through a link', async () => {
  const directory = temp.join('used.before')
  writeFileSync(join(directory, 'notes.txt'), 'mine')
  mkdirSync(join(directory, 'base', 'scratch'))
  writeFileSync(join(directory, 'base', 'scratch', 'file'), 'x')
  truncateSync(join(directory, 'PG_VERSION'), 1)
  appendFileSync(join(directory, 'pg_hba.conf'), '# more than before')
  chmodSync(join(directory, 'pg_hba.conf'), 0o644)
  chmodSync(join(directory, 'base'), 0o755)
  const second = temp.join('second name')
  linkSync(join(directory, 'pg_ident.conf'), second)
  appendFileSync(second, '# changed')
  const outside = temp.join('outside')
  writeFileSync(outside, 'untouched')
  rmSync(join(directory, 'postgresql.conf'))
  symlinkSync(outside, join(directory, 'postgresql.conf'))
  rmSync(join(directory, 'pg_multixact'), { recursive: true })
  writeFileSync(join(directory, 'pg_multixact'), 'a file where a directory belongs')
  renameSync(join(directory, 'pg_wal'), temp.join('wal elsewhere'))
  symlinkSync(temp.join('wal elsewhere'), join(directory, 'pg_wal'))
  const wal = readTree(temp.join('wal elsewhere'))
  if (serverAccount()) chownSync(join(directory, 'pg_ident.conf'), 0, 0)

  const made = await plan(directory, { delta: { keepNothing: true } })
  assert.match(made.warnings.join(), /pg_wal is a link to/)
  assert.match(made.warnings.join(), /nothing of it is kept/)
  await applyRestore({ cluster: lab.cluster, plan: made, confirm: 'used.before', workers: 0 })
  assertLikeFresh(directory)
  assert.equal(readFileSync(outside, 'utf8'), 'untouched')
  assert.match(readFileSync(second, 'utf8'), /# changed$/)
  assert.deepEqual(readTree(temp.join('wal elsewhere')), wal)
  assert.equal(lstatSync(join(directory, 'pg_ident.conf')).uid, lstatSync(directory).uid)

  const again = await plan(directory, { delta: { keepNothing: true }, start: true })
  const report = await applyRestore({ cluster: lab.cluster, plan: again, confirm: 'used.before', workers: 0 })
  assert.equal(report.files.writtenBytes < 200_000, true, 'nothing but what Retake itself had written was different')
  assert.equal(report.outcome, 'promoted')
  assert.ok(report.server)
  const sql = await openSql(localTarget({ port: report.server.port }))
  assert.deepEqual(compareDigests(content, await digestDatabase(sql)), [])
  await sql[Symbol.asyncDispose]()
  await stopServer(report.server.pid)
})

/** A copy of the fresh restore in which pages, names and lengths are wrong; its tablespace link leads to that of the original. */
function makeWrong(directory: string): void {
  cpSync(fresh, directory, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true })
  rmSync(join(directory, MARKER))
  for (const [path, what] of readTree(directory)) {
    const file = join(directory, path)
    const info = lstatSync(file)
    chownLike(file)
    if (!what.startsWith('file') || info.size < 65_536 || path.startsWith('global/')) continue
    const bytes = readFileSync(file)
    for (let at = 0; at < bytes.length; at += 3 * 65_536) bytes.fill(at % 251, at, at + 8192)
    writeFileSync(file, bytes)
    writeFileSync(`${file}.old`, 'not here')
  }
  chownLike(directory)
}

function chownLike(file: string): void {
  const account = serverAccount()
  if (account) lchownSync(file, account.uid, account.gid)
}

test('killed at any moment, it leaves what does not start and is never removed; done again, it finishes', async () => {
  const tablespace = readTree(`${fresh}.tablespaces`)
  const phases = new Set<string>()
  for (let round = 0; round < 3; round += 1) {
    const directory = temp.join(`killed ${round}`)
    const undoDirectory = temp.join(`killed ${round}.before`)
    makeWrong(directory)
    const wrong = readTree(directory)
    const made = await plan(directory, { delta: { undoDirectory } })
    assert.match(made.warnings.join(), /which is not touched; it is laid out anew/)
    await applyAndKill(made, ['undo', 'files', 'files'][round] ?? '', round)
    const hasControlFile = existsSync(join(directory, 'global', 'pg_control'))
    const marker = await readMarker(directory)
    phases.add(`${marker?.phase} ${hasControlFile}`)
    if (marker?.phase === 'files' && hasControlFile) {
      // Nothing is changed before the undo is whole.
      assert.deepEqual(
        [...readTree(directory)].filter(([path]) => path !== MARKER),
        [...wrong],
      )
      rmSync(undoDirectory, { recursive: true, force: true })
    }
    // A restore that is not told to change it in place must not take it for its own leftover.
    const plain = await inspectTarget(directory, lab.cluster.facts)
    assert.equal(plain.state, 'occupied')
    const again = await plan(directory, {
      delta: marker?.phase === 'complete' ? { keepNothing: true } : { undoDirectory },
    })
    const report = await applyRestore({ cluster: lab.cluster, plan: again, confirm: `killed ${round}`, workers: 0 })
    assertLikeFresh(directory)
    if (marker?.phase === 'files') {
      assert.equal(report.undoDirectory, undoDirectory)
      assert.deepEqual(
        [...readTree(undoDirectory)].filter(([path]) => !ownNames(path)),
        [...wrong].filter(([path]) => !ownNames(path)),
      )
    }
  }
  assert.ok(phases.has('files false'), `no round was killed while files were changed: ${[...phases]}`)
  assert.deepEqual(readTree(`${fresh}.tablespaces`), tablespace, 'a tablespace that was not named was changed')
})

/** Ends the process that applies a plan a moment after it says that a phase has begun. */
async function applyAndKill(made: RestorePlan, phase: string, round: number): Promise<void> {
  const file = temp.join('plan.json')
  writeFileSync(file, JSON.stringify({ url: lab.url, plan: made }))
  assert.ok(lab.key.kind === 'key')
  const env = { ...process.env, RETAKE_TEST_KEY: Buffer.from(lab.key.bytes).toString('hex') }
  const script = fileURLToPath(new URL('../testing/apply-plan.ts', import.meta.url))
  const child = spawn(process.execPath, [script, file], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<void>((done) => child.once('exit', () => done()))
  let steps = 0
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === phase) steps += 1
    if (steps > round) child.kill('SIGKILL')
  }
  await ended
}

test('the command asks for the name, and says what it changed', async () => {
  assert.ok(lab.key.kind === 'key')
  const env = { RETAKE_REPO: lab.url, RETAKE_KEY: formatKeyText(lab.key.bytes) }
  const directory = temp.join('used')
  const args = ['restore', 'apply', '--at', 'latest', '--delta', '--no-undo', '--no-start', '--to', directory, '--json']
  writeFileSync(join(directory, 'notes.txt'), 'mine')
  const unconfirmed = await runCli(args, { env })
  assert.equal(unconfirmed.code, 23)
  assert.equal(JSON.parse(unconfirmed.stdout).error.code, 'confirmation.missing')
  assert.ok(existsSync(join(directory, 'notes.txt')))
  const done = await runCli([...args, '--confirm', 'used'], { env })
  assert.equal(done.code, 0, done.stderr)
  const { report } = JSON.parse(done.stdout)
  assert.ok(report.files.comparedBytes > 20e6 && report.files.fetchedBytes < 1e6, JSON.stringify(report.files))
  assert.ok(!existsSync(join(directory, 'notes.txt')))
})

test('refused: no data directory, a running server, another cluster, an undo that is there or inside', async () => {
  const refusedBy = async (directory: string, more: Partial<PlanRestoreOptions> = {}) => {
    const made = await plan(directory, { delta: { keepNothing: true }, ...more })
    const reasons = made.preflight.filter((one) => one.status === 'failed').map((one) => one.detail)
    await assert.rejects(applyRestore({ cluster: lab.cluster, plan: made, confirm: basename(directory) }), {
      code: 'restore.refused',
    })
    return reasons.join()
  }
  assert.match(await refusedBy(temp.join('nowhere')), /does not exist/)
  mkdirSync(temp.join('photos'))
  writeFileSync(temp.join('photos', 'cat.jpg'), 'meow')
  assert.match(await refusedBy(temp.join('photos')), /no control file/)
  assert.equal(readFileSync(temp.join('photos', 'cat.jpg'), 'utf8'), 'meow')
  assert.match(await refusedBy(server.dataDir), /a server is running in it/)

  const foreign = temp.join('foreign')
  mkdirSync(join(foreign, 'global'), { recursive: true })
  const control = readFileSync(join(fresh, 'global', 'pg_control'))
  writeFileSync(join(foreign, 'global', 'pg_control'), control.fill(1, 100, 110))
  assert.match(await refusedBy(foreign), /control file is damaged/)
  writeFileSync(join(foreign, 'global', 'pg_control'), ofAnotherCluster(join(fresh, 'global', 'pg_control')))
  assert.match(await refusedBy(foreign), /belongs to another cluster/)
  const undo = (undoDirectory: string) => ({ delta: { undoDirectory } })
  assert.match(await refusedBy(fresh, undo(temp.join('photos'))), /photos is there already/)
  await assert.rejects(plan(fresh, undo(join(fresh, 'undo'))), { code: 'config.invalid' })
  assert.equal(existsSync(join(fresh, MARKER)), true)
  assertLikeFresh(fresh)
})

/** What a server says that is started in a directory as it is. */
async function contentOf(directory: string): Promise<DatabaseDigest> {
  await using running = await LocalServer.start({
    binDir: server.binDir,
    dataDir: directory,
    port: await findFreePort(),
  })
  await using sql = await openSql(localTarget({ port: running.port }))
  return await digestDatabase(sql)
}

/** The control file with another system identifier; its checksum lies where the version puts it. */
function ofAnotherCluster(file: string): Buffer {
  const control = readFileSync(file)
  const checksumAt = control.readUInt32LE(8) === 1800 ? 292 : 288
  control.writeUInt32LE((control.readUInt32LE(0) ^ 1) >>> 0, 0)
  control.writeUInt32LE(crc32c(control.subarray(0, checksumAt)), checksumAt)
  return control
}
