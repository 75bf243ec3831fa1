import assert from 'node:assert/strict'
import { chownSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { protect } from '../../../test/support/lab.ts'
import { anyMajor, postgresMajors, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { isRetakeError } from '../../base/errors.ts'
import { type Progress, silentLogger } from '../../base/progress.ts'
import { parseLsn } from '../../postgres/lsn.ts'
import { serverAccount } from '../../postgres/server/account.ts'
import { readFailure } from '../../repository/failures.ts'
import { PACKS_PREFIX } from '../../repository/layout.ts'
import { listBackups } from '../../repository/manifest-store.ts'
import { listRuns } from '../../repository/runs.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { backUp } from './backup.ts'
import { readBackup } from './testing/read-backup.ts'

async function listKeys(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of store.list(prefix)) keys.push(key)
  return keys
}

/** Writes until it is stopped; the work is done when the promise it returns has resolved. */
function startLoad(server: TestServer): () => Promise<void> {
  let running = true
  const work = (async () => {
    const client = await server.connect()
    await client.query('create table if not exists load (id bigserial primary key, body text)')
    while (running) {
      await client.query(`insert into load (body) select repeat(md5(g::text), 20) from generate_series(1, 2000) g`)
      await client.query(`update load set body = body || 'x' where id % 7 = 0`)
    }
    await client.end()
  })()
  return async () => {
    running = false
    await work
  }
}

function makeServerDirectory(server: TestServer, path: string): void {
  mkdirSync(path, { mode: 0o700 })
  const account = serverAccount(server.dataDir)
  if (account) chownSync(path, account.uid, account.gid)
}

async function makeStaticData(
  server: TestServer,
): Promise<{ readonly paths: string[]; readonly tablespaceOid: string }> {
  const location = join(server.directory, 'space')
  makeServerDirectory(server, location)
  await server.query(`create tablespace space location '${location}'`)
  await server.query(
    `create table fixed as select g, md5(g::text) as m, repeat('retake ', g % 50) as r from generate_series(1, 60000) g`,
  )
  await server.query(
    'create table elsewhere tablespace space as select g, md5(g::text) from generate_series(1, 20000) g',
  )
  await server.query('create unlogged table unlogged as select g from generate_series(1, 1000) g')
  await server.query('vacuum freeze fixed, elsewhere')
  await server.query('checkpoint')
  const rows = await server.query<{ path: string }>(
    `select pg_relation_filepath(c) as path from unnest(array['fixed', 'elsewhere']::regclass[]) c`,
  )
  const [space] = await server.query<{ oid: string }>(`select oid::text from pg_tablespace where spcname = 'space'`)
  return { paths: rows.map((row) => row.path), tablespaceOid: space?.oid ?? '' }
}

for (const major of postgresMajors()) {
  test(`PostgreSQL ${major}: a backup under load holds every static file byte for byte`, async () => {
    await using server = await startTestServer({ major })
    const { paths, tablespaceOid } = await makeStaticData(server)
    makeServerDirectory(server, join(server.dataDir, 'empty'))
    symlinkSync('/nowhere', join(server.dataDir, 'link'))
    await using lab = await protect(server)
    const stopLoad = startLoad(server)
    const phases = new Map<string, Progress>()
    const warnings: string[] = []
    const summary = await backUp({
      cluster: lab.cluster,
      target: server.target,
      label: 'first',
      via: 'replication',
      workers: 2,
      logger: { ...silentLogger, warn: (message) => void warnings.push(message) },
      onProgress: (progress) => phases.set(progress.phase, progress),
    }).finally(stopLoad)

    assert.deepEqual([...phases.keys()], ['checkpoint', 'copy', 'commit'])
    const copied = phases.get('copy')
    assert.ok(copied && copied.done > 20_000_000 && copied.done <= (copied.total ?? 0))
    assert.deepEqual(await listBackups(lab.cluster), [summary])
    assert.equal(summary.label, 'first')
    assert.equal((summary.serverVersionNum / 10_000) | 0, major)
    assert.ok(parseLsn(summary.startLsn) < parseLsn(summary.stopLsn))
    assert.ok(summary.startedAt < summary.stoppedAt)
    assert.equal(summary.corruptBlockCount, 0)
    assert.deepEqual(
      summary.tablespaces.map((space) => String(space.oid)),
      [tablespaceOid],
    )

    const backup = await readBackup(lab.cluster, summary.backupId)
    for (const path of paths) {
      assert.ok((await backup.readFile(path)).equals(readFileSync(join(server.dataDir, path))), `${path} is the same`)
      const entry = backup.entries.get(path)
      assert.equal(entry?.type === 'file' && entry.mode, statSync(join(server.dataDir, path)).mode & 0o7777)
    }
    for (const path of ['PG_VERSION', 'postgresql.conf', 'pg_hba.conf']) {
      assert.ok((await backup.readFile(path)).equals(readFileSync(join(server.dataDir, path))), `${path} is the same`)
    }
    assert.match((await backup.readFile('backup_label')).toString(), /START WAL LOCATION: .*\n/)
    assert.equal(
      JSON.parse((await backup.readFile('backup_manifest')).toString())['PostgreSQL-Backup-Manifest-Version'] > 0,
      true,
    )
    assert.equal(backup.files.length, summary.fileCount)
    assert.equal(
      backup.files.reduce((sum, file) => sum + file.sizeBytes, 0),
      summary.totalBytes,
    )
    assert.deepEqual(backup.entries.get('empty'), { type: 'directory', path: 'empty', mode: 0o700 })
    assert.equal(backup.entries.get('pg_wal')?.type, 'directory')
    assert.ok([...backup.entries.keys()].every((path) => !/^pg_wal\/[0-9A-F]{24}$/.test(path)))
    assert.ok(!backup.entries.has(`pg_tblspc/${tablespaceOid}`), 'the link of a tablespace is in the summary alone')
    // The server leaves out other links; that must not pass in silence.
    assert.ok(warnings.some((message) => message.includes('"./link"')))
  })
}

test('unlogged tables keep their init fork only, and a second backup stands beside the first', async () => {
  await using server = await startTestServer()
  await server.query('create unlogged table unlogged as select g from generate_series(1, 1000) g')
  const [row] = await server.query<{ path: string }>(`select pg_relation_filepath('unlogged') as path`)
  await using lab = await protect(server)
  const first = await lab.backUp({ via: 'replication' })
  const second = await backUp({ cluster: lab.cluster, target: server.target, via: 'replication', workers: 0 })
  assert.deepEqual(
    (await listBackups(lab.cluster)).map((summary) => summary.backupId).sort(),
    [first.backupId, second.backupId].sort(),
  )
  for (const { backupId } of [first, second]) {
    const backup = await readBackup(lab.cluster, backupId)
    assert.ok(backup.entries.has(`${row?.path}_init`))
    assert.ok(!backup.entries.has(row?.path ?? ''))
  }
})

test('a corrupt page is named and does not fail the backup; with and without the right to read files, and by the files themselves', async () => {
  await using server = await startTestServer()
  await server.query('create table broken as select g, repeat(md5(g::text), 8) from generate_series(1, 20000) g')
  await server.query('create role plain login replication')
  const [row] = await server.query<{ path: string }>(`select pg_relation_filepath('broken') as path`)
  const path = row?.path ?? ''
  await using lab = await protect(server)
  await server.stop()
  await using file = await open(join(server.dataDir, path), 'r+')
  await file.write(Buffer.from('garbage'), 0, 7, 8192 * 5 + 4000)
  await file.write(Buffer.alloc(8192, 0xff), 0, 8192, 8192 * 9)
  await server.restart()
  const errors: string[] = []
  const logger = { ...silentLogger, error: (message: string) => void errors.push(message) }
  for (const [user, via] of [
    ['postgres', 'replication'],
    ['plain', 'replication'],
    ['postgres', 'files'],
  ] as const) {
    errors.length = 0
    const summary = await backUp({
      cluster: lab.cluster,
      target: server.targetOf({ user }),
      via,
      workers: 1,
      logger,
    })
    assert.equal(summary.via, via)
    assert.equal(summary.corruptBlockCount, 2)
    const entry = (await readBackup(lab.cluster, summary.backupId)).entries.get(path)
    assert.deepEqual(entry?.type === 'file' && entry.corruptBlocks, [5, 9])
    assert.ok(errors.some((message) => message.includes(path)))
  }
})

test('an aborted backup leaves nothing: no manifest, no pack, no staged file, no lease', async () => {
  await using server = await startTestServer()
  await server.query('create table big as select g, md5(g::text) from generate_series(1, 400000) g')
  await using lab = await protect(server)
  const controller = new AbortController()
  const attempt = backUp({
    cluster: lab.cluster,
    target: server.target,
    via: 'replication',
    workers: 1,
    signal: controller.signal,
    onProgress: ({ phase, done }) => {
      if (phase === 'copy' && done > 5_000_000) controller.abort()
    },
  })
  await assert.rejects(attempt, (error) => isRetakeError(error, 'aborted'))
  assert.deepEqual(await listBackups(lab.cluster), [])
  assert.deepEqual(await listKeys(lab.cluster.store, PACKS_PREFIX), [])
  assert.deepEqual(readdirSync(join(lab.url, '.staging')), [])
  assert.equal((await lab.backUp()).corruptBlockCount, 0)
})

test('what endangers a backup is refused before anything is stored', async () => {
  await using server = await startTestServer({ settings: { full_page_writes: 'off' } })
  await using lab = await protect(server)
  await assert.rejects(
    lab.backUp(),
    (error) => isRetakeError(error, 'backup.refused') && /full_page_writes/.test(error.message),
  )
  await using other = await startTestServer({ major: anyMajor(), ownIdentity: true })
  await assert.rejects(backUp({ cluster: lab.cluster, target: other.target, workers: 0 }), (error) =>
    isRetakeError(error, 'cluster.foreign'),
  )
  const { begun, failed } = await listRuns(lab.cluster)
  assert.deepEqual([begun.size, failed.size], [0, 2], 'nothing but that they were refused')
})

test('a connection that breaks is said plainly, and the next backup succeeds', async () => {
  await using server = await startTestServer()
  await server.query('create table big as select g, md5(g::text) from generate_series(1, 400000) g')
  await using lab = await protect(server)
  let killed: Promise<unknown> | undefined
  const attempt = backUp({
    cluster: lab.cluster,
    target: server.target,
    via: 'replication',
    workers: 1,
    maxRateKiB: 20_000,
    onProgress: ({ phase, done }) => {
      if (phase !== 'copy' || done < 2_000_000) return
      killed ??= server.query(`select pg_terminate_backend(pid) from pg_stat_replication`)
    },
  })
  await assert.rejects(
    attempt,
    (error) => isRetakeError(error, 'postgres.connection-lost') && /Run the backup again/.test(error.hint ?? ''),
  )
  await killed
  assert.deepEqual(await listKeys(lab.cluster.store, PACKS_PREFIX), [])
  const { begun, failed } = await listRuns(lab.cluster)
  assert.deepEqual([begun.size, failed.size], [0, 1], 'that it failed is remembered')
  const failure = await readFailure(lab.cluster, [...failed][0] ?? '')
  assert.match(failure?.message ?? '', /The server ended the connection.*earlier backups are untouched/)
  assert.equal((await lab.backUp()).type, 'full')
})

test('a server that does not answer is a backup that failed, and one that was cancelled is not', async () => {
  await using server = await startTestServer()
  await using lab = await protect(server)
  await server.stop()
  await assert.rejects(backUp({ cluster: lab.cluster, target: server.target }), { code: 'postgres.unreachable' })
  const [failed = ''] = (await listRuns(lab.cluster)).failed
  assert.equal((await readFailure(lab.cluster, failed))?.code, 'postgres.unreachable')
  await server.restart()
  const stop = new AbortController()
  const onProgress = () => stop.abort()
  const attempt = backUp({ cluster: lab.cluster, target: server.target, signal: stop.signal, onProgress })
  await assert.rejects(attempt, { code: 'aborted' })
  assert.deepEqual([...(await listRuns(lab.cluster)).failed], [failed])
})
