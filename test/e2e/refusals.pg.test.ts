/** Done-when 6: what cannot or must not be done, its error code and its exit status, through the command line. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { type ErrorCode, errorCodes } from '../../src/base/error-codes.ts'
import { findFreePort } from '../../src/postgres/server/free-port.ts'
import { generateKey } from '../../src/repository/keys/key-material.ts'
import { formatKeyText } from '../../src/repository/keys/key-text.ts'
import { runCli } from '../support/cli.ts'
import { type Protection, protect, waitArchived } from '../support/lab.ts'
import '../support/leaks.ts'
import { anyMajor, startTestServer, type TestServer } from '../support/postgres.ts'
import { restore } from '../support/restore.ts'
import { makeTemp } from '../support/temp.ts'

/** Of util-linux: a mount that nobody else sees. */
const SEPARATE = 'unshare'

interface Outcome {
  readonly code: number | null
  readonly error?: { readonly code: ErrorCode; readonly message: string; readonly hint?: string }
}

const undo = new AsyncDisposableStack()
const temp = makeTemp({ label: 'refusals' })
let server: TestServer
let protection: Protection
let beginning = ''
let end = ''

before(async () => {
  server = undo.use(await startTestServer({ major: anyMajor(), walSegmentSizeMb: 1 }))
  protection = undo.use(await protect(server))
  beginning = new Date(Date.now() - 3_600_000).toISOString()
  const receiver = protection.receive()
  await protection.backUp()
  // For the cluster that is registered on a disk that is too small: its slot holds the WAL from here on.
  await server.query(`select pg_create_physical_replication_slot('retake_small', true)`)
  await server.query(`create table t as select g, repeat('x', 500) as filler from generate_series(1, 12000) g`)
  await waitArchived(server)
  await receiver.stop()
  // A second timeline: a recovered server, protected again under its own history.
  await using promoted = await restore(protection, { at: 'latest' })
  await promoted.query('create table on_second_timeline as select 1 as x')
  const onSecond = protection.receive({ target: promoted.target })
  const [row] = await promoted.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn')
  for (let done: boolean | undefined; !done; ) {
    const [state] = await promoted.query<{ done: boolean }>(
      'select coalesce(bool_and(flush_lsn >= $1::pg_lsn), false) as done from pg_stat_replication',
      [row?.lsn],
    )
    done = state?.done
  }
  await onSecond.stop()
  end = row?.lsn ?? ''
  writeFileSync(temp.join('key'), formatKeyText((protection.key as { bytes: Uint8Array }).bytes), { mode: 0o600 })
})

after(async () => {
  await undo.disposeAsync()
  await temp[Symbol.asyncDispose]()
})

function environment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { RETAKE_REPO: protection.url, RETAKE_KEY_FILE: temp.join('key'), RETAKE_DATABASE_URL: server.url, ...more }
}

async function run(args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const { code, stdout, stderr } = await runCli([...args, '--json', '--no-input'], {
    env: environment(more),
    cwd: temp.path,
  })
  try {
    return { code, ...(JSON.parse(stdout) as object) }
  } catch {
    throw new Error(`retake ${args.join(' ')} ended with ${code} and printed no JSON:\n${stdout}\n${stderr}`)
  }
}

function assertRefused(outcome: Outcome, code: ErrorCode, message: RegExp): void {
  assert.equal(outcome.error?.code, code, JSON.stringify(outcome))
  assert.match(outcome.error?.message ?? '', message)
  assert.ok((outcome.error?.hint ?? '').length > 0, `${code} says no next step`)
  assert.equal(outcome.code, errorCodes[code].exit)
}

const planTo = (at: string) => ['restore', 'plan', '--at', at, '--to', temp.join('nowhere')]

test('the wrong key: key.wrong, 12', async () => {
  writeFileSync(temp.join('wrong.key'), formatKeyText(generateKey().bytes), { mode: 0o600 })
  assertRefused(await run(['backups'], { RETAKE_KEY_FILE: temp.join('wrong.key') }), 'key.wrong', /key/i)
})

test('a damaged key: key.malformed, 12', async () => {
  const text = readFileSync(temp.join('key'), 'utf8').trim()
  const last = text.at(-1) === 'A' ? 'B' : 'A'
  writeFileSync(temp.join('torn.key'), text.slice(0, -1) + last, { mode: 0o600 })
  assertRefused(await run(['backups'], { RETAKE_KEY_FILE: temp.join('torn.key') }), 'key.malformed', /key/i)
})

test('no repository: repo.missing, 10', async () => {
  assertRefused(await run(['backups'], { RETAKE_REPO: temp.join('none') }), 'repo.missing', /repository|directory/i)
})

test('a cluster that is not registered: cluster.missing, 10', async () => {
  assertRefused(await run(['backups', '--cluster', 'other']), 'cluster.missing', /other/)
})

test('a server that cannot be reached: postgres.unreachable, 1', async () => {
  const url = `postgres://postgres@127.0.0.1:${await findFreePort()}/postgres`
  assertRefused(await run(['backup'], { RETAKE_DATABASE_URL: url }), 'postgres.unreachable', /127\.0\.0\.1/)
})

test('another cluster under the same name: cluster.foreign, 22, for backup and receiver', async () => {
  await using foreign = await startTestServer({ major: anyMajor(), walSegmentSizeMb: 1, ownIdentity: true })
  for (const args of [['backup'], ['wal', 'receive', '--until-caught-up']]) {
    assertRefused(await run(args, { RETAKE_DATABASE_URL: foreign.url }), 'cluster.foreign', /system identifier/i)
  }
})

test('a target in the future: target.outside, 20', async () => {
  assertRefused(
    await run(planTo(new Date(Date.now() + 3_600_000).toISOString())),
    'target.outside',
    /after|future|beyond|until/i,
  )
})

test('a target before the first backup: target.outside, 20', async () => {
  assertRefused(await run(planTo(beginning)), 'target.outside', /backup|before/i)
})

test('a time without an offset: target.invalid, 2', async () => {
  assertRefused(await run(planTo('2026-11-22T09:04:11')), 'target.invalid', /target|offset/i)
})

test('a transaction and a name that never were: target.missing, 20', async () => {
  assertRefused(await run(planTo('name:never_made')), 'target.missing', /never_made/)
  assertRefused(await run(planTo('xid:999999')), 'target.missing', /999999/)
})

test('a missing segment in the middle: wal.gap, 21, with the stretch that is missing', async () => {
  const copy = copyRepository('gap')
  const segments = globSync('clusters/main/wal/00000001/????????????????', { cwd: copy }).sort()
  const missing = segments[Math.floor(segments.length / 2)] ?? ''
  rmSync(join(copy, missing))
  assertRefused(await run(planTo('latest'), { RETAKE_REPO: copy }), 'wal.gap', /WAL [0-9A-F/]+ to [0-9A-F/]+/)
})

test('a missing history file: wal.history-missing, 21', async () => {
  const copy = copyRepository('history')
  rmSync(join(copy, 'clusters/main/wal/history/00000002'))
  assertRefused(await run(planTo(`lsn:${end}`), { RETAKE_REPO: copy }), 'wal.history-missing', /timeline|00000002/i)
})

test('a directory that is not empty: restore.refused, 22, and it stays as it is', async () => {
  const occupied = temp.join('occupied')
  mkdirSync(occupied)
  writeFileSync(join(occupied, 'precious'), 'data')
  const outcome = await run(['restore', 'apply', '--at', 'latest', '--to', occupied])
  assertRefused(outcome, 'restore.refused', /not empty/)
  assert.equal(readFileSync(join(occupied, 'precious'), 'utf8'), 'data')
})

test('a repository that cannot be written: storage.read-only, 1', async () => {
  const copy = copyRepository('read-only')
  const outcome = asStranger(copy, ['backup'])
  assertRefused(outcome, 'storage.read-only', /writ|permission|read-only/i)
  assert.equal((await run(['backups'], { RETAKE_REPO: copy })).code, 0)
})

for (const args of [['backup'], ['wal', 'receive', '--until-caught-up']]) {
  test(`a full disk: storage.full, 1: retake ${args.join(' ')}`, (t) => {
    const outcome = onSmallDisk(args)
    if (outcome === undefined) return t.skip('this account may not mount a small file system')
    assertRefused(outcome, 'storage.full', /no space/i)
  })
}

function copyRepository(name: string): string {
  const copy = temp.join(name)
  cpSync(protection.url, copy, { recursive: true })
  return copy
}

/** Root may write everywhere, so as root the command runs under another account, which may read. */
function asStranger(repo: string, args: readonly string[]): Outcome {
  const stranger = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined
  const key = join(dirname(repo), 'stranger.key')
  cpSync(temp.join('key'), key)
  if (stranger) chownSync(key, stranger.uid, stranger.gid)
  for (const name of globSync('**/', { cwd: repo })) chmodSync(join(repo, name), 0o555)
  chmodSync(repo, 0o555)
  try {
    const program = resolve(import.meta.dirname, '../../bin/retake.js')
    const env = { ...process.env, ...environment({ RETAKE_REPO: repo, RETAKE_KEY_FILE: key }) }
    return outcomeOf(() =>
      execFileSync(process.execPath, [program, ...args, '--json', '--no-input'], {
        env,
        ...stranger,
        cwd: '/',
        stdio: 'pipe',
      }),
    )
  } finally {
    chmodSync(repo, 0o755)
    for (const name of globSync('**/', { cwd: repo })) chmodSync(join(repo, name), 0o755)
  }
}

/** A file system of 1 MiB that only this command sees; undefined where that is not allowed. */
function onSmallDisk(args: readonly string[]): Outcome | undefined {
  const place = temp.join(`small-${args.length}`)
  mkdirSync(place)
  const asUser = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']
  const unshare = (script: string) => [
    ...asUser,
    '--mount',
    'sh',
    '-c',
    `mount -t tmpfs -o size=1m tmpfs ${place} && ${script}`,
  ]
  try {
    execFileSync(SEPARATE, unshare('true'), { stdio: 'pipe' })
  } catch {
    return undefined
  }
  const retake = `'${process.execPath}' '${resolve(import.meta.dirname, '../../bin/retake.js')}'`
  const env = { ...process.env, ...environment({ RETAKE_REPO: join(place, 'repository') }) }
  const script = `${retake} init --cluster small --json >/dev/null && ${retake} ${args.join(' ')} --cluster small --json --no-input`
  return outcomeOf(() => execFileSync(SEPARATE, unshare(script), { env, stdio: 'pipe' }))
}

function outcomeOf(command: () => Buffer): Outcome {
  try {
    return { code: 0, ...(JSON.parse(command().toString()) as object) }
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: Buffer; stderr: Buffer }
    if (!stdout.length) throw new Error(`no JSON, status ${status}: ${stderr}`)
    return { code: status, ...(JSON.parse(stdout.toString()) as object) }
  }
}
