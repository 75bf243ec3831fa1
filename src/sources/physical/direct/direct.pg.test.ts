import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import '../../../../test/support/leaks.ts'
import { protect } from '../../../../test/support/lab.ts'
import { postgresMajors, startTestServer, type TestServer } from '../../../../test/support/postgres.ts'
import { silentLogger } from '../../../base/progress.ts'
import { serverAccount } from '../../../postgres/server/account.ts'
import type { BackupSummary } from '../../../repository/manifest.ts'
import { backUp } from '../backup.ts'
import { type BackupContent, readBackup } from '../testing/read-backup.ts'

/** Everything that a data directory can hold and a plain one does not. */
async function addOddities(server: TestServer): Promise<void> {
  const location = join(server.directory, 'space')
  const account = serverAccount(server.dataDir)
  const own = (path: string) => account && chownSync(path, account.uid, account.gid)
  mkdirSync(location)
  own(location)
  await server.query(`create tablespace space location '${location}'`)
  await server.query(`
    create table large as select g, md5(g::text) as m from generate_series(1, 60000) g;
    create table elsewhere tablespace space as select g, md5(g::text) from generate_series(1, 20000) g;
    create table empty_one (x int);
    create unlogged table unlogged as select g from generate_series(1, 1000) g`)
  await server.query('vacuum freeze')
  await server.query('checkpoint')
  mkdirSync(join(server.dataDir, 'ours', 'pg_notify'), { recursive: true, mode: 0o750 })
  const files: [string, string | Buffer][] = [
    ['ours/note.txt', 'a note'],
    ['ours/pg_notify/left-out', 'x'],
    ['ours/empty', ''],
    ['ours/exact', Buffer.alloc(1024 * 1024, 'exact')],
    ['ours/sparse', Buffer.alloc(3 * 1024 * 1024 + 5)],
    ['ours/pgsql_tmp1.2', 'x'],
    ['backup_label.old', 'x'],
    ['base/1/pgsql_tmp7.1', 'x'],
    ['postgresql.auto.conf.tmp', 'x'],
    ['base/1/t3_16400', 'a temporary relation'],
    ['base/1/t3_16400_fsm.1', 'a temporary relation'],
    ['base/1/pg_internal.init.77', 'x'],
  ]
  for (const [path, content] of files) {
    writeFileSync(join(server.dataDir, path), content)
    own(join(server.dataDir, path))
  }
  for (const path of ['ours', 'ours/pg_notify']) own(join(server.dataDir, path))
  chmodSync(join(server.dataDir, 'ours/note.txt'), 0o640)
  symlinkSync('/nowhere', join(server.dataDir, 'ours', 'link'))
}

async function facts(content: BackupContent): Promise<Map<string, unknown>> {
  const described = new Map<string, unknown>()
  for (const [path, entry] of content.entries) {
    if (entry.type !== 'file') described.set(path, entry)
    else {
      const { runs: _, modifiedMs, ...rest } = entry
      const when = WRITTEN_BY_CHECKPOINTS.test(path) ? undefined : modifiedMs
      described.set(path, { ...rest, when, bytes: (await content.readFile(path)).toString('latin1') })
    }
  }
  return described
}

/** Written with the same content by the checkpoint that each backup begins with. */
const WRITTEN_BY_CHECKPOINTS = /^(pg_logical|pg_xact|pg_multixact)\//

/** They say which checkpoint that was. */
const OF_THE_MOMENT = new Set(['global/pg_control', 'backup_label'])

for (const major of postgresMajors()) {
  test(`PostgreSQL ${major}: a backup by files is, entry by entry, the one that the server sends`, async () => {
    await using server = await startTestServer({ major, settings: { autovacuum: 'off' } })
    await addOddities(server)
    await using lab = await protect(server)
    const warnings: string[][] = []
    const take = async (via: 'replication' | 'files'): Promise<BackupSummary> => {
      const said: string[] = []
      warnings.push(said)
      const logger = { ...silentLogger, warn: (message: string) => void said.push(message) }
      return await backUp({
        cluster: lab.cluster,
        target: server.target,
        workers: via === 'files' ? 2 : 0,
        via,
        type: 'full',
        logger,
      })
    }
    const sent = await take('replication')
    const read = await take('files')
    assert.equal(sent.via, 'replication')
    assert.equal(read.via, 'files')
    assert.deepEqual(read.tablespaces, sent.tablespaces)
    assert.equal(read.fileCount, sent.fileCount - 1)
    // The server says it twice: when it measures and when it sends.
    assert.deepEqual(warnings[1], [...new Set(warnings[0])])
    assert.equal(warnings[1]?.length, 1)
    const expected = await facts(await readBackup(lab.cluster, sent.backupId))
    const found = await facts(await readBackup(lab.cluster, read.backupId))
    // The server makes this list of its own files only for what it sends.
    assert.ok(expected.delete('backup_manifest'))
    assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort())
    for (const [path, entry] of expected) {
      if (!OF_THE_MOMENT.has(path)) assert.deepEqual(found.get(path), entry, path)
    }
  })
}
