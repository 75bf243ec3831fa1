/** The whole way of a cluster through the real command line: set up, back up, receive, look, plan, restore. */
import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { localTarget, startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { makeTemp, type TempDirectory } from '../../test/support/temp.ts'
import { openSql } from '../postgres/connection/sql.ts'
import { serverAccount } from '../postgres/server/account.ts'
import { findFreePort } from '../postgres/server/free-port.ts'
import type { RestorePlan } from '../recovery/plan-types.ts'
import type { RestoreReport } from '../recovery/report.ts'
import { type CliResult, runCli, startCli } from './testing/run-cli.ts'

describe('retake, end to end', () => {
  let server: TestServer
  let temp: TempDirectory
  let env: Record<string, string>

  before(async () => {
    server = await startTestServer({ settings: { wal_level: 'logical' } })
    temp = makeTemp({ label: 'cli', owner: serverAccount() })
    env = {
      RETAKE_REPO: temp.join('repo'),
      RETAKE_KEY_FILE: temp.join('key'),
      RETAKE_DATABASE_URL: server.url,
      RETAKE_POSTGRES_BIN_DIR: server.binDir,
    }
    await server.query('create table moments (name text primary key)')
  })

  after(async () => {
    await server?.[Symbol.asyncDispose]()
    await temp?.[Symbol.asyncDispose]()
  })

  const retake = (...args: string[]): Promise<CliResult> => runCli(args, env, temp.path)

  /** Runs with `--json`, expects the status, and gives the object. */
  async function json<T>(code: number, ...args: string[]): Promise<T & { schemaVersion: number }> {
    const result = await retake(...args, '--json')
    assert.equal(result.code, code, `${args.join(' ')}: ${result.stdout}${result.stderr}`)
    const object = result.json<T & { schemaVersion: number }>()
    assert.equal(object.schemaVersion, 1)
    return object
  }

  interface Init {
    repository: { outcome: string }
    slot: { name: string; outcome: string; restartLsn?: string }
    cluster: { outcome: string; systemIdentifier: string }
  }

  test('init --dry-run says what would be made and makes nothing', async () => {
    const plan = await json<Init>(0, 'init', '--new-key', 'key', '--dry-run')
    assert.deepEqual(
      [plan.repository.outcome, plan.cluster.outcome, plan.slot.outcome],
      ['planned', 'planned', 'planned'],
    )
    assert.deepEqual(await server.query('select slot_name from pg_replication_slots'), [])
    await assert.rejects(readFile(temp.join('key')), { code: 'ENOENT' })
  })

  test('init makes repository, key, kit, cluster and slot; again it changes nothing', async () => {
    const args = ['init', '--new-key', 'key', '--recovery-kit', 'kit.txt']
    const first = await json<Init>(0, ...args)
    assert.deepEqual(
      [first.repository.outcome, first.cluster.outcome, first.slot.outcome],
      ['created', 'created', 'created'],
    )
    assert.match(first.slot.restartLsn ?? '', /^[0-9A-F]+\/[0-9A-F]+$/)
    const key = await readFile(temp.join('key'), 'utf8')
    const second = await json<Init>(0, ...args)
    assert.deepEqual(
      [second.repository.outcome, second.cluster.outcome, second.slot.outcome],
      ['exists', 'exists', 'exists'],
    )
    assert.equal(await readFile(temp.join('key'), 'utf8'), key)
  })

  test('without a backup, status says what is wrong and window is empty', async () => {
    const status = await json<{ verdict: string; reasons: { code: string; fix: string }[] }>(40, 'status')
    assert.equal(status.verdict, 'endangered')
    assert.ok(status.reasons.some(({ code, fix }) => code === 'backup.none' && fix === 'retake backup'))
    assert.deepEqual((await json<{ windows: unknown[] }>(0, 'window')).windows, [])
    await json(10, 'restore', 'plan', '--at', 'latest', '--to', 'x')
  })

  test('backup receives the WAL it needs when nobody else does, and says so', async () => {
    const text = await retake('backup', '--label', 'first')
    assert.equal(text.code, 0, text.stderr)
    assert.match(text.stdout, /No receiver is running/)
    assert.match(text.stderr, /^copy/m)
    const { backups } = await json<{ backups: { label: string; stopLsn: string }[] }>(0, 'backups')
    assert.deepEqual(
      backups.map(({ label }) => label),
      ['first'],
    )
    const { windows } = await json<{ windows: { from: { lsn: string; at: string } }[] }>(0, 'window')
    assert.equal(windows[0]?.from.lsn, backups[0]?.stopLsn)
    assert.match(windows[0]?.from.at ?? '', /^\d{4}-\d\d-\d\dT.*Z$/)
  })

  test('a running receiver holds the lease, shows in status, and ends in order when it is stopped', async () => {
    const receiver = startCli(['wal', 'receive', '--json'], env, temp.path)
    await receiver.said('Receiving WAL')
    const refused = await json<{ error: { code: string; message: string } }>(11, 'wal', 'receive', '--until-caught-up')
    assert.equal(refused.error.code, 'repo.locked')
    const backup = await json<{ wal: { by: string } }>(0, 'backup')
    assert.equal(backup.wal.by, 'other-receiver')
    const status = await json<{ receiver?: { pid: number }; slot: { active: boolean } }>(0, 'status')
    assert.equal(status.receiver?.pid, receiver.child.pid)
    assert.equal(status.slot.active, true)
    receiver.child.kill('SIGTERM')
    const ended = await receiver.ended
    assert.equal(ended.code, 0, ended.stderr)
    assert.equal(ended.json<{ stopped: boolean }>().stopped, true)
  })

  let xid = ''
  test('receive until caught up, then plan a restore to just before a transaction', async () => {
    await server.query("insert into moments values ('kept')")
    const [row] = await server.query<{ xid: string }>(
      'with gone as (delete from moments returning 1) select pg_current_xact_id()::text as xid from (select count(*) from gone) as n',
    )
    xid = row?.xid ?? ''
    await server.query("insert into moments values ('later')")
    const lsn = await server.currentLsn()
    const received = await json<{ flushLsn: string; timeline: number }>(0, 'wal', 'receive', '--until-lsn', lsn)
    assert.equal(received.timeline, 1)
    const planned = await json<{ plan: RestorePlan; file: string }>(
      0,
      'restore',
      'plan',
      '--at',
      `before-xid:${xid}`,
      '--to',
      'restored',
      '--port',
      String(await findFreePort()),
      '--out',
      'plan.json',
    )
    assert.equal(planned.plan.place.targetDirectory, temp.join('restored'))
    assert.deepEqual(JSON.parse(await readFile(temp.join('plan.json'), 'utf8')), planned.plan)
    const shown = await retake('restore', 'plan', '--at', `before-xid:${xid}`, '--to', 'restored')
    assert.match(shown.stdout, /target +before-xid/)
    assert.match(shown.stdout, new RegExp(`backup +${planned.plan.backup.backupId}: `))
  })

  test('apply refuses a changed plan, options beside a plan, and a directory that is not empty', async () => {
    const plan = JSON.parse(await readFile(temp.join('plan.json'), 'utf8')) as RestorePlan
    await writeFile(temp.join('changed.json'), JSON.stringify({ ...plan, warnings: ['x'] }))
    assert.equal(
      (await json<{ error: { code: string } }>(22, 'restore', 'apply', 'changed.json')).error.code,
      'plan.stale',
    )
    await json(2, 'restore', 'apply', 'plan.json', '--port', '5433')
    await mkdir(temp.join('occupied'))
    await writeFile(temp.join('occupied', 'file'), 'mine')
    await json(22, 'restore', 'plan', '--at', 'latest', '--to', 'occupied')
    const refused = await json<{ error: { code: string } }>(
      22,
      'restore',
      'apply',
      '--at',
      'latest',
      '--to',
      'occupied',
    )
    assert.equal(refused.error.code, 'restore.refused')
    assert.equal(await readFile(temp.join('occupied', 'file'), 'utf8'), 'mine')
  })

  test('apply carries the plan out: the server holds what was there just before', async () => {
    await json<{ dryRun: boolean }>(0, 'restore', 'apply', 'plan.json', '--dry-run')
    const { report } = await json<{ report: RestoreReport }>(0, 'restore', 'apply', 'plan.json')
    assert.equal(report.outcome, 'promoted')
    assert.ok(report.server)
    try {
      await using sql = await openSql(localTarget({ port: report.server.port }))
      assert.deepEqual(await sql.query('select name from moments'), [{ name: 'kept' }])
    } finally {
      await stopServer(report)
    }
  })

  test('what cannot be restored has its own status', async () => {
    const cases: readonly (readonly [at: string, code: number, error: string])[] = [
      ['2026-11-22 09:00:00', 2, 'target.invalid'],
      ['2000-01-01T00:00:00Z', 20, 'target.outside'],
      ['2100-01-01T00:00:00Z', 20, 'target.outside'],
      ['xid:4000000000', 20, 'target.missing'],
      ['name:never', 20, 'target.missing'],
    ]
    for (const [at, code, error] of cases) {
      const refused = await json<{ error: { code: string; hint?: string } }>(
        code,
        'restore',
        'plan',
        '--at',
        at,
        '--to',
        'x',
      )
      assert.equal(refused.error.code, error, at)
      assert.ok(refused.error.hint, at)
    }
  })

  test('wal get delivers, and says absent only beyond what is held', async () => {
    const { windows } = await json<{ windows: { to: { lsn: string } }[] }>(0, 'window')
    const segment = (lsn: string) => `0000000100000000000000${lsn.split('/')[1]?.padStart(8, '0').slice(0, 2)}`
    const last = segment(windows.at(-1)?.to.lsn ?? '')
    assert.equal((await retake('wal', 'get', last, 'segment')).code, 0)
    assert.equal((await readFile(temp.join('segment'))).length, 16 * 1024 * 1024)
    assert.equal((await retake('wal', 'get', '0000000100000000000000FE', 'absent')).code, 1)
    assert.equal((await retake('wal', 'get', '00000002.history', 'absent')).code, 1)
    assert.equal((await runCli(['wal', 'get', last, 'segment'], { ...env, RETAKE_KEY_FILE: '/nonexistent' })).code, 126)
  })

  test('verify finds nothing wrong, and names what is damaged with what it costs', async () => {
    assert.equal((await json<{ ok: boolean }>(0, 'verify', '--deep')).ok, true)
    const { backups } = await json<{ backups: { backupId: string }[] }>(0, 'backups')
    const backupId = backups.at(-1)?.backupId ?? ''
    const manifest = temp.join('repo', 'clusters', 'main', 'backups', backupId)
    const bytes = await readFile(manifest)
    const at = bytes.length >> 1
    bytes[at] = (bytes[at] ?? 0) ^ 1
    await chmod(manifest, 0o600)
    await writeFile(manifest, bytes)
    const found = await json<{ ok: boolean; findings: { object: string }[]; lostBackups: string[] }>(30, 'verify')
    assert.ok(found.findings.some(({ object }) => object.endsWith(backupId)))
    assert.deepEqual(found.lostBackups, [backupId])

    // It stays known until a verification that reads as much finds it gone.
    const verification = async () => {
      const { stdout } = await retake('health', '--json')
      const { checks } = JSON.parse(stdout) as { checks: { name: string; severity?: string; finding: string }[] }
      return checks.find(({ name }) => name === 'verification')
    }
    const bad = await verification()
    assert.equal(bad?.severity, 'danger')
    assert.ok(bad.finding.includes(`${backupId} cannot be restored completely`), bad.finding)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    await writeFile(manifest, bytes)
    assert.equal((await verification())?.severity, 'danger')
    assert.equal((await json<{ ok: boolean }>(0, 'verify')).ok, true)
    assert.notEqual((await verification())?.severity, 'danger')
  })

  test('another server under the same name is refused', async () => {
    await using other = await startTestServer({ ownIdentity: true })
    const refused = await runCli(['init', '--json'], { ...env, RETAKE_DATABASE_URL: other.url }, temp.path)
    assert.equal(refused.code, 22, refused.stdout)
    assert.equal(refused.json<{ error: { code: string } }>().error.code, 'cluster.foreign')
    const backup = await runCli(['backup', '--json'], { ...env, RETAKE_DATABASE_URL: other.url }, temp.path)
    assert.equal(backup.code, 22, backup.stdout)
  })

  test('an interrupted backup ends with 130 and leaves nothing that is listed', async () => {
    const before = await json<{ backups: unknown[] }>(0, 'backups')
    const run = startCli(['backup'], env, temp.path)
    await run.said('copy')
    run.child.kill('SIGINT')
    const ended = await run.ended
    assert.equal(ended.code, 130, ended.stderr)
    assert.match(ended.stderr, /code: aborted/)
    assert.equal((await json<{ backups: unknown[] }>(0, 'backups')).backups.length, before.backups.length)
  })

  async function stopServer(report: RestoreReport): Promise<void> {
    const pid = Number((await readFile(join(report.targetDirectory, 'postmaster.pid'), 'utf8')).split('\n')[0])
    process.kill(pid, 'SIGINT')
    for (;;) {
      try {
        process.kill(pid, 0)
      } catch {
        return
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
})
