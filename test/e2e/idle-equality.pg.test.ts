/**
 * Done-when 3: what is restored from a full backup is, file by file, what `pg_basebackup` writes at the same moment of an idle
 * server; where this machine has no pg_basebackup of the major, what PGDATA holds. The differences that may be are named here.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chownSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { installCineTrack } from '../../src/demo/cinetrack/install.ts'
import { serverAccount } from '../../src/postgres/server/account.ts'
import { compareTrees } from '../support/file-tree.ts'
import { protect } from '../support/lab.ts'
import '../support/leaks.ts'
import { findClientTool, postgresMajors, startTestServer, type TestServer } from '../support/postgres.ts'
import { layOut } from '../support/restore.ts'
import { makeTemp } from '../support/temp.ts'

const run = promisify(execFile)

/** Each backup begins with a checkpoint of its own, which these carry. */
const ofTheCheckpoint = ['global/pg_control', 'backup_label', 'backup_manifest']
/** WAL is archived apart from the files, and served to the recovery. */
const wal = /^pg_wal\//
/** How a restored directory is told where to recover to. */
const ofTheRestore = ['postgresql.auto.conf', 'recovery.signal', '.retake-restore.json']
/** Where the server keeps what only a running server needs; the server leaves it out of every base backup. */
const ofTheRunningServer =
  /^(postmaster\.(pid|opts)|pg_stat_tmp\/.+|pg_replslot\/.+|pg_notify\/.+|pg_dynshmem\/.+|pg_serial\/.+|pg_snapshots\/.+|pg_subtrans\/.+|(.*\/)?pgsql_tmp.*|(.*\/)?pg_internal\.init.*)$/

for (const major of postgresMajors()) {
  test(`PostgreSQL ${major}: a restored directory equals a base backup of the same idle server`, async (t) => {
    await using server = await startTestServer({ major, settings: { autovacuum: 'off' } })
    await using place = makeTemp({ label: 'idle', owner: serverAccount() })
    await installCineTrack({ target: server.target, scale: 0.05 })
    const tablespace = await addOddities(server, place.path)
    await server.query('checkpoint')
    // An unlogged table comes back empty: its first fork is left out, the one it begins with is there.
    const [unlogged] = await server.query<{ path: string }>(`select pg_relation_filepath('forgotten') as path`)
    await using protection = await protect(server)
    await protection.backUp({ via: 'replication' })
    await protection.catchUp()

    const expected = await pgBaseBackup(server, { major, to: place.join('expected'), tablespace })
    t.diagnostic(expected ? 'compared with pg_basebackup' : 'compared with PGDATA: no pg_basebackup of this major here')
    if (!expected) await server.stop()
    await using restored = await layOut(protection, {
      at: 'latest',
      tablespaceMap: { [tablespace]: place.join('restored-tablespace') },
    })

    const ignored = (path: string) =>
      ofTheCheckpoint.includes(path) ||
      ofTheRestore.includes(path) ||
      wal.test(path) ||
      path.startsWith('pg_tblspc/') ||
      (!expected && (ofTheRunningServer.test(path) || path.startsWith('pg_stat/') || path === unlogged?.path))
    assert.deepEqual(compareTrees(expected ?? server.dataDir, restored.directory, ignored), [])
    const inTablespace = expected ? place.join('expected-tablespace') : tablespace
    assert.deepEqual(
      compareTrees(inTablespace, place.join('restored-tablespace'), () => false),
      [],
    )
    // Where the label differs it does so in the lines that tell the checkpoints apart.
    const label = readFileSync(join(restored.directory, 'backup_label'), 'utf8')
    assert.match(
      label,
      /^START WAL LOCATION: .*\nCHECKPOINT LOCATION: .*\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n/,
    )
  })
}

/** What a plain table does not have: a tablespace, an unlogged table, a large object, an empty file, files of our own in PGDATA. */
async function addOddities(server: TestServer, place: string): Promise<string> {
  const tablespace = join(place, 'tablespace')
  mkdirSync(tablespace)
  const account = serverAccount()
  if (account) chownSync(tablespace, account.uid, account.gid)
  await server.query(`create tablespace elsewhere location '${tablespace}'`)
  await server.query(`
    create table far_away tablespace elsewhere as select g as id, md5(g::text) as word from generate_series(1, 20000) g;
    create table empty_one (x int);
    create unlogged table forgotten as select 1 as x;
    select lo_from_bytea(0, '\\x000102')`)
  await server.query(`alter system set work_mem = '5MB'`)
  return tablespace
}

/** False when there is no pg_basebackup of this major. */
async function pgBaseBackup(
  server: TestServer,
  options: { readonly major: number; readonly to: string; readonly tablespace: string },
): Promise<string | undefined> {
  const program = await findClientTool('pg_basebackup', options.major)
  if (program === undefined) return undefined
  const mapping = `${options.tablespace}=${options.to}-tablespace`
  await run(
    program,
    ['-d', server.url, '-D', options.to, '-X', 'none', '-c', 'fast', '-T', mapping, '--no-manifest'],
    serverAccount(),
  )
  return options.to
}
