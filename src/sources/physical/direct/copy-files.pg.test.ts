/** Files that change while they are read, sessions that break, and servers that end, in a backup by files. */
import assert from 'node:assert/strict'
import { chownSync, mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import '../../../../test/support/leaks.ts'
import { protect } from '../../../../test/support/lab.ts'
import { startTestServer, type TestServer } from '../../../../test/support/postgres.ts'
import { sleep } from '../../../base/abort.ts'
import { systemClock } from '../../../base/clock.ts'
import { isRetakeError } from '../../../base/errors.ts'
import { serverAccount } from '../../../postgres/server/account.ts'
import { PACKS_PREFIX } from '../../../repository/layout.ts'
import { listBackups } from '../../../repository/manifest-store.ts'
import { backUp } from '../backup.ts'
import { ServerLine } from '../server-line.ts'
import { copyFiles, type FileIntake } from './copy-files.ts'
import { findLocalCluster } from './local-cluster.ts'
import { readPieces } from './read-pieces.ts'

const MIB = 1024 * 1024

/** Keeps what is given, and reads open files only when they were given whole, as a slow worker would. */
class Recorder implements FileIntake {
  readonly files = new Map<string, Buffer>()
  /** The last file that was given before the question whether all was read. */
  readUntil: string | undefined
  readonly #onEntry: (path: string) => void
  #path = ''
  #parts: Buffer[] = []
  #reads: { descriptor: number; lengthBytes: number }[] = []

  constructor(onEntry: (path: string) => void) {
    this.#onEntry = onEntry
  }

  begin(): void {}
  entry({ path }: { readonly path: string }): void {
    this.#path = path
    this.#onEntry(path)
  }
  data(bytes: Uint8Array): void {
    this.#parts.push(Buffer.from(bytes))
  }
  adopt(): void {}
  dataFrom(descriptor: number, lengthBytes: number): void {
    this.#reads.push({ descriptor, lengthBytes })
  }
  endFile(): void {
    let fileOffsetBytes = 0
    for (const { descriptor, lengthBytes } of this.#reads) {
      const frame = Buffer.alloc(lengthBytes, 'not read')
      readPieces(frame, [{ file: 0, descriptor, lengthBytes, fileOffsetBytes, frameOffsetBytes: 0 }])
      this.#parts.push(frame)
      fileOffsetBytes += lengthBytes
    }
    this.files.set(this.#path, Buffer.concat(this.#parts))
    this.#parts = []
    this.#reads = []
  }
  async allRead(): Promise<void> {
    this.readUntil = [...this.files.keys()].at(-1)
  }
}

test('files that vanish, shrink, grow or are replaced while they are read', async () => {
  await using server = await startTestServer()
  const place = (name: string) => join(server.dataDir, 'ours', name)
  mkdirSync(place('gone'), { recursive: true })
  const whole = Buffer.alloc(3 * MIB + 17, 'whole')
  for (const name of ['shrinks', 'grows', 'replaced', 'removed', 'gone/inside']) writeFileSync(place(name), whole)
  writeFileSync(place('replaced.new'), 'new')
  const account = serverAccount(server.dataDir)
  if (account) chownSync(place('gone'), account.uid, account.gid)
  let appended: Promise<void> | undefined
  const recorder = new Recorder((path) => {
    if (path === 'ours/gone') rmSync(place('gone'), { recursive: true })
    if (path === 'ours/shrinks') truncateSync(place('shrinks'), MIB + 3)
    if (path === 'ours/grows') appended = appendFile(place('grows'), 'more')
    if (path === 'ours/replaced') renameSync(place('replaced.new'), place('replaced'))
    if (path === 'ours/removed') rmSync(place('removed'))
  })
  await using line = new ServerLine(server.target, {})
  const finding = await findLocalCluster(line)
  assert.ok(finding.kind === 'found')
  await copyFiles(
    {
      target: server.target,
      line,
      local: finding.cluster,
      label: 'test',
      fastCheckpoint: true,
      signal: new AbortController().signal,
      lost: (error) => assert.fail(String(error)),
      clock: systemClock,
    },
    recorder,
  )
  await appended
  const found = (name: string) => recorder.files.get(`ours/${name}`)
  assert.ok(found('shrinks')?.equals(Buffer.concat([whole.subarray(0, MIB + 3), Buffer.alloc(2 * MIB + 14)])))
  for (const name of ['grows', 'replaced', 'removed']) assert.ok(found(name)?.equals(whole), name)
  assert.equal(found('gone/inside'), undefined)
  assert.deepEqual([...recorder.files.keys()].slice(-3), [recorder.readUntil, 'global/pg_control', 'backup_label'])
})

async function assertNothingLeft(server: TestServer, lab: Awaited<ReturnType<typeof protect>>): Promise<void> {
  assert.deepEqual(await listBackups(lab.cluster), [])
  for await (const { key } of lab.cluster.store.list(PACKS_PREFIX)) assert.fail(key)
  // The server leaves backup mode with the session.
  const sessions = `select count(*)::int as n from pg_stat_activity where application_name = 'retake backup'`
  while ((await server.query<{ n: number }>(sessions))[0]?.n !== 0) await sleep(20)
}

test('a backup that is aborted, loses its session or its server leaves nothing, and says what happened', async () => {
  await using server = await startTestServer()
  await server.query('create table big as select g, md5(g::text) from generate_series(1, 200000) g')
  await server.query('checkpoint')
  await using lab = await protect(server)
  const attempt = async (inTheMiddle: () => unknown, signal?: AbortSignal) => {
    let begun: unknown
    await backUp({
      cluster: lab.cluster,
      target: server.target,
      via: 'files',
      workers: 1,
      maxRateKiB: 8_000,
      signal,
      onProgress: ({ phase, done }) => {
        if (phase === 'copy' && done > MIB) begun ??= inTheMiddle()
      },
    }).finally(() => begun)
  }
  const controller = new AbortController()
  await assert.rejects(
    attempt(() => controller.abort(), controller.signal),
    (error) => isRetakeError(error, 'aborted'),
  )
  await assertNothingLeft(server, lab)
  await assert.rejects(
    attempt(() =>
      server.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'retake backup'`),
    ),
    (error) => isRetakeError(error, 'postgres.connection-lost') && /Run the backup again/.test(error.hint ?? ''),
  )
  await assertNothingLeft(server, lab)
  await assert.rejects(
    attempt(() => server.kill()),
    (error) => isRetakeError(error) && error.code.startsWith('postgres.'),
  )
  await server.restart()
  await assertNothingLeft(server, lab)
  assert.equal((await lab.backUp()).via, 'files')
})

test('only files that are proven to be the server’s are read', async () => {
  await using server = await startTestServer()
  await using other = await startTestServer()
  await server.query('create role plain login replication')
  await using lab = await protect(server)
  const reasonFor = async (user: string) => {
    await using line = new ServerLine(server.targetOf({ user }), {})
    const finding = await findLocalCluster(line)
    return finding.kind === 'found' ? undefined : finding.reason
  }
  assert.equal(await reasonFor('postgres'), undefined)
  assert.match((await reasonFor('plain')) ?? '', /pg_read_all_settings/)
  await server.query('grant pg_read_all_settings to plain')
  assert.match((await reasonFor('plain')) ?? '', /pg_backup_start/)
  await server.query('grant execute on function pg_backup_start(text, boolean), pg_backup_stop(boolean) to plain')
  assert.equal(await reasonFor('plain'), undefined)
  // A server that names another one's directory, as a path that leads elsewhere on this machine does.
  await using line = new ServerLine(server.target, {})
  const astray = {
    query: async <R extends object>(text: string, values?: readonly unknown[]) => {
      const rows = await line.query<R>(text, values)
      return text.includes('data_directory') ? rows.map((row) => ({ ...row, dataDirectory: other.dataDir })) : rows
    },
  }
  const reasons: string[] = []
  const look = async () => {
    const finding = await findLocalCluster(astray)
    assert.ok(finding.kind === 'not-usable')
    reasons.push(finding.reason)
  }
  await server.query('checkpoint')
  await look()
  await other.stop()
  await look()
  await other.restart()
  assert.match(reasons[0] ?? '', /belongs to another server|started at another time/)
  assert.match(reasons[1] ?? '', /No server runs in/)
  await server.query('revoke execute on function pg_backup_stop(boolean) from plain')
  const asked = { cluster: lab.cluster, target: server.targetOf({ user: 'plain' }), workers: 0 }
  await assert.rejects(
    backUp({ ...asked, via: 'files' }),
    (error) => isRetakeError(error, 'backup.refused') && /--via replication/.test(error.hint ?? ''),
  )
  assert.equal((await backUp(asked)).via, 'replication')
})
