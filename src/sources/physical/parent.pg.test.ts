import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { protect } from '../../../test/support/lab.ts'
import { anyMajor, postgresMajors, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { serverAccount } from '../../postgres/server/account.ts'
import { putCondemned } from '../../repository/condemned.ts'
import { readEntries } from '../../repository/manifest-store.ts'
import { backUp } from './backup.ts'
import { assertSameFiles } from './testing/compare-files.ts'

const ROWS =
  'create table rows as select g, md5(g::text) as m, repeat(md5(g::text), 3) as r from generate_series(1, 30000) g'

/** The server comes back as a restored copy of itself, on the next timeline. */
async function promote(server: TestServer): Promise<void> {
  await server.stop()
  writeFileSync(join(server.dataDir, 'recovery.signal'), '')
  execFileSync('chown', ['--reference', join(server.dataDir, 'PG_VERSION'), join(server.dataDir, 'recovery.signal')])
  await server.restart()
  for (;;) {
    const [row] = await server.query<{ recovering: boolean }>('select pg_is_in_recovery() as recovering')
    if (row?.recovering === false) return
  }
}

test('content that is held is never stored again: in a second full backup, and of a copied database', async () => {
  await using server = await startTestServer()
  await server.query('create database source')
  const client = await server.connect({ database: 'source' })
  await client.query(ROWS)
  await client.query('vacuum freeze rows')
  await client.end()
  await server.query('checkpoint')
  await using lab = await protect(server)
  const first = await lab.backUp()
  const second = await lab.backUp({ type: 'full' })
  assert.deepEqual([second.type, second.parent, second.reason], ['full', undefined, undefined])
  assert.ok(second.storedBytes * 20 < first.storedBytes, `${second.storedBytes} of ${first.storedBytes} bytes`)
  await server.query('create database copied template source strategy file_copy')
  const third = await lab.backUp()
  assert.equal(third.type, 'incremental')
  assert.ok(third.totalBytes > second.totalBytes + 5_000_000, 'the copy is in the backup')
  assert.ok(third.storedBytes * 20 < first.storedBytes, `${third.storedBytes} of ${first.storedBytes} bytes`)
})

test('an increment follows the server onto its next timeline, and compares contents when checksums were switched', async (t) => {
  const major = postgresMajors().find((one) => one === 15) ?? anyMajor()
  await using server = await startTestServer({ major, settings: { autovacuum: 'off', restore_command: 'false' } })
  await server.query(ROWS)
  await using lab = await protect(server)
  const first = await lab.backUp()
  await promote(server)
  await server.query('update rows set m = md5(m) where g % 100 = 0')
  await server.query('checkpoint')
  const second = await lab.backUp()
  assert.deepEqual(
    [second.type, second.parent, second.changeSource, second.timeline],
    ['incremental', first.backupId, 'page-lsn', 2],
  )
  await assertSameFiles(lab, second)

  const pgChecksums = join(server.binDir, 'pg_checksums')
  if (!existsSync(pgChecksums)) return t.diagnostic('pg_checksums is not there')
  await server.stop()
  const account = serverAccount(server.dataDir)
  execFileSync(pgChecksums, ['--disable', '-D', server.dataDir], { ...account, stdio: 'ignore' })
  await server.restart()
  await server.query('update rows set m = md5(m) where g % 5000 = 0')
  await server.query('checkpoint')
  const third = await lab.backUp()
  assert.deepEqual([third.type, third.changeSource], ['incremental', 'content'])
  assert.match(third.reason ?? '', /checksums were switched off/)
  assert.ok(third.storedBytes * 2 < first.storedBytes)
  await assertSameFiles(lab, third)
})

test('where the summaries cannot be used, pages are judged by LSN, and the reason is kept', async (t) => {
  const major = postgresMajors().find((one) => one >= 17)
  if (major === undefined) return t.skip('no PostgreSQL 17 or later')
  await using server = await startTestServer({ major, settings: { autovacuum: 'off' } })
  await server.query(ROWS)
  await server.query('create role plain login replication')
  await using lab = await protect(server)
  await lab.backUp({ via: 'replication' })
  const change = () => server.query('update rows set m = md5(m) where g % 1000 = 0')
  await change()
  // Too late for the parent: what was logged before is not summarized.
  await server.query(`alter system set summarize_wal = on`)
  await server.query('select pg_switch_wal()')
  await server.query('checkpoint')
  await server.query('checkpoint')
  await server.query('select pg_reload_conf()')
  const plain = {
    cluster: lab.cluster,
    target: server.targetOf({ user: 'plain' }),
    workers: 1,
    via: 'replication',
  } as const
  const unprivileged = await backUp(plain)
  assert.deepEqual([unprivileged.type, unprivileged.changeSource], ['incremental', 'page-lsn'])
  assert.match(unprivileged.reason ?? '', /pg_read_binary_file/)
  await change()
  const byFiles = await lab.backUp({ via: 'files' })
  assert.deepEqual([byFiles.changeSource, byFiles.reason], ['page-lsn', undefined])
  const afterFiles = await lab.backUp({ via: 'replication' })
  // The server made no manifest of what was read from its files; one is composed for it.
  assert.deepEqual([afterFiles.changeSource, afterFiles.reason], ['wal-summaries', undefined])
  assert.equal(afterFiles.parent, byFiles.backupId)
  await change()
  await server.query('checkpoint')
  const summarized = await lab.backUp({ via: 'replication' })
  assert.deepEqual([summarized.changeSource, summarized.reason], ['wal-summaries', undefined])
  assert.ok((summarized.readBytes ?? 0) * 2 < summarized.totalBytes, 'unchanged pages were not sent')
  await assertSameFiles(lab, summarized)
})

test('nothing refers to a pack that is condemned', async () => {
  await using server = await startTestServer()
  await server.query(ROWS)
  await using lab = await protect(server)
  const first = await lab.backUp()
  const packs: string[] = []
  for await (const entry of readEntries(lab.cluster, first.backupId))
    if (entry.type === 'pack') packs.push(entry.packId)
  const nothing = { backups: [], revisions: [], segments: [], walKeys: [] }
  await putCondemned(lab.cluster, { why: 'a test', bytes: 0, packs, ...nothing }, new Date())
  const second = await lab.backUp()
  assert.ok(second.storedBytes * 2 > first.storedBytes, 'everything is stored anew')
  for await (const entry of readEntries(lab.cluster, second.backupId)) {
    if (entry.type === 'pack') assert.ok(!packs.includes(entry.packId))
  }
  await assertSameFiles(lab, second)
})
