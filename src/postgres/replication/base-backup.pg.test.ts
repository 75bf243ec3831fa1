import assert from 'node:assert/strict'
import { chownSync, mkdirSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import { anyMajor, postgresMajors, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { isRetakeError } from '../../base/errors.ts'
import { type TarEntry, TarReader } from '../tar.ts'
import { type BackupStart, type BaseBackupOptions, type BaseBackupSink, runBaseBackup } from './base-backup.ts'
import { openReplication, type ReplicationConnection } from './connection.ts'

const options: BaseBackupOptions = { label: "it's a test", fastCheckpoint: true, verifyChecksums: true }

interface Archive {
  readonly location: string
  readonly entries: TarEntry[]
  readonly contents: Map<string, Buffer>
}

/** Reads everything, keeping small files; checks the order of calls. */
class CollectingSink implements BaseBackupSink {
  readonly archives = new Map<string, Archive>()
  started: BackupStart | undefined
  manifestText = ''
  #tar: TarReader | undefined
  #archive: Archive | undefined
  #path = ''

  begin(start: BackupStart): void {
    assert.equal(this.started, undefined)
    this.started = start
  }

  archive(name: string, location: string): void {
    assert.ok(this.started)
    this.#tar?.finish()
    this.#tar = new TarReader()
    this.#archive = { location, entries: [], contents: new Map() }
    this.archives.set(name, this.#archive)
  }

  async data(bytes: Buffer): Promise<void> {
    assert.equal(this.manifestText, '')
    await turn()
    for (const event of this.#tar?.push(bytes) ?? []) {
      if (event.type === 'entry') {
        this.#archive?.entries.push(event.entry)
        this.#path = event.entry.path
        this.#archive?.contents.set(this.#path, Buffer.alloc(0))
      } else if (event.type === 'content') {
        const before = this.#archive?.contents.get(this.#path) ?? Buffer.alloc(0)
        if (before.length < 100_000) this.#archive?.contents.set(this.#path, Buffer.concat([before, event.bytes]))
      }
    }
  }

  manifest(bytes: Buffer): void {
    this.#tar?.finish()
    this.manifestText += bytes.toString('utf8')
  }
}

const sinkOf = (data: (bytes: Buffer) => void | Promise<void>): BaseBackupSink => ({
  begin() {},
  archive() {},
  data,
  manifest() {},
})

for (const major of postgresMajors()) {
  describe(`base backup, PostgreSQL ${major}`, () => {
    let server: TestServer
    let connection: ReplicationConnection
    before(async () => {
      server = await startTestServer({ major })
      connection = await openReplication(server.target)
      await server.query('create table rows as select i, md5(i::text) from generate_series(1, 20000) i; checkpoint')
    })
    after(async () => {
      await connection[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    })

    test('brings PGDATA, a tablespace and the manifest, between start and stop', async () => {
      const directory = join(server.directory, 'a space')
      mkdirSync(directory)
      const owner = statSync(server.dataDir)
      chownSync(directory, owner.uid, owner.gid)
      await server.query(`create tablespace fast location '${directory}'`)
      await server.query('create table elsewhere tablespace fast as select generate_series(1, 5000) as i')
      const [space] = await server.query<{ oid: number }>("select oid from pg_tablespace where spcname = 'fast'")
      const sink = new CollectingSink()
      const result = await runBaseBackup(connection, options, sink)

      assert.ok(sink.started && sink.started.lsn < result.stopLsn)
      assert.deepEqual([sink.started.timeline, result.stopTimeline, result.serverChecksumFailures], [1, 1, 0])
      assert.deepEqual(
        sink.started.tablespaces.map(({ oid, location }) => ({ oid, location })),
        [{ oid: space?.oid, location: directory }],
      )
      assert.ok(sink.started.baseSizeBytes > 10_000_000 && (sink.started.tablespaces[0]?.sizeBytes ?? 0) > 100_000)

      const archiveName = `${space?.oid}.tar`
      assert.deepEqual([...sink.archives.keys()], [archiveName, 'base.tar'], 'PGDATA comes last')
      assert.equal(sink.archives.get(archiveName)?.location, directory)
      const base = sink.archives.get('base.tar')
      assert.ok(base && base.location === '')
      assert.equal(base.contents.get('PG_VERSION')?.toString(), `${major}\n`)
      assert.match(base.contents.get('backup_label')?.toString() ?? '', /^LABEL: it's a test$/m)
      assert.equal(base.entries[0]?.path, 'backup_label')
      assert.equal(base.entries.at(-1)?.path, 'global/pg_control')
      assert.deepEqual(
        base.entries.filter((entry) => entry.type === 'symlink').map((entry) => [entry.path, entry.linkTarget]),
        [[`pg_tblspc/${space?.oid}`, directory]],
      )
      for (const [path, content] of base.contents) {
        const entry: TarEntry | undefined = base.entries.find((each) => each.path === path)
        if (entry && entry.sizeBytes < 100_000) assert.equal(content.length, entry.sizeBytes, path)
      }
      const manifest = JSON.parse(sink.manifestText) as { Files: unknown[] }
      const files = [...sink.archives.values()].flatMap((archive) =>
        archive.entries.filter((entry) => entry.type === 'file'),
      )
      assert.equal(manifest.Files.length, files.length)
    })

    test('damaged pages are a finding of the server, not a failure of the backup', async () => {
      const [file] = await server.query<{ path: string }>("select pg_relation_filepath('rows') as path")
      await server.stop()
      const handle = await open(join(server.dataDir, file?.path ?? ''), 'r+')
      for (const block of [1, 3]) await handle.write(Buffer.from('damage'), 0, 6, block * 8192 + 5000)
      await handle.close()
      await server.restart()
      await using fresh = await openReplication(server.target)
      const sink = new CollectingSink()
      const result = await runBaseBackup(fresh, options, sink)
      assert.equal(result.serverChecksumFailures, 2)
      assert.ok(result.warnings.some((warning) => warning.includes(file?.path ?? '?')))
      assert.ok(JSON.parse(sink.manifestText))
      assert.equal(
        (await runBaseBackup(fresh, { ...options, verifyChecksums: false }, new CollectingSink()))
          .serverChecksumFailures,
        0,
      )
    })

    test('an abort while the server waits for a spread checkpoint frees it at once', async () => {
      await using waiting = await openReplication(server.target)
      await server.query('create table changed as select i, md5(i::text) from generate_series(1, 50000) i')
      const controller = new AbortController()
      const backup = runBaseBackup(
        waiting,
        { ...options, fastCheckpoint: false, signal: controller.signal },
        sinkOf(() => assert.fail('the checkpoint takes minutes')),
      )
      backup.catch(() => {})
      const state = async () => {
        const [row] = await server.query<{ waits: number; all: number }>(
          `select count(*) filter (where wait_event like 'Checkpoint%')::int as waits, count(*)::int as all
             from pg_stat_activity where backend_type = 'walsender' and query like 'BASE_BACKUP%'`,
        )
        return row ?? { waits: 0, all: 0 }
      }
      while ((await state()).waits === 0) await wait(20)
      controller.abort()
      await assert.rejects(backup, (error) => isRetakeError(error, 'aborted'))
      // Half a minute is a small part of what the checkpoint takes.
      for (let tries = 0; (await state()).all > 0; tries++) {
        assert.ok(tries < 300, 'the walsender is still there')
        await wait(100)
      }
      await server.query('drop table changed')
    })
  })
}

describe('base backup under adversity', () => {
  let server: TestServer
  before(async () => {
    server = await startTestServer({ major: anyMajor() })
    await server.query('create table rows as select i, md5(i::text) from generate_series(1, 300000) i; checkpoint')
  })
  after(() => server[Symbol.asyncDispose]())

  const walsenders = async () =>
    (await server.query("select 1 from pg_stat_activity where backend_type = 'walsender'")).length

  /** The server has filled all buffers between us and waits until it can write. */
  async function untilServerIsHeldBack(): Promise<void> {
    const held = "select 1 from pg_stat_activity where backend_type = 'walsender' and wait_event = 'ClientWrite'"
    while ((await server.query(held)).length === 0) await wait(20)
  }

  async function untilNoWalsender(): Promise<void> {
    while ((await walsenders()) > 0) await wait(20)
  }

  test('a slow sink holds the server back instead of filling memory, and calls never overlap', async () => {
    await using connection = await openReplication(server.target)
    let running = 0
    let bytes = 0
    let overlapped = false
    await runBaseBackup(
      connection,
      options,
      sinkOf(async (piece) => {
        overlapped ||= running > 0
        running++
        const copy = Buffer.from(piece)
        if (bytes === 0) await untilServerIsHeldBack()
        else await turn()
        assert.deepEqual(piece, copy, 'the bytes stay while the sink works on them')
        bytes += piece.length
        running--
      }),
    )
    assert.equal(overlapped, false)
    assert.ok(bytes > 30_000_000)
  })

  test('an abort ends the backup and frees the server', async () => {
    await using connection = await openReplication(server.target)
    const controller = new AbortController()
    const backup = runBaseBackup(
      connection,
      { ...options, signal: controller.signal },
      sinkOf(() => controller.abort()),
    )
    await assert.rejects(backup, (error) => isRetakeError(error, 'aborted'))
    await untilNoWalsender()
  })

  test('a sink that fails ends the backup with its own error', async () => {
    await using connection = await openReplication(server.target)
    const failure = new Error('disk full')
    await assert.rejects(
      runBaseBackup(
        connection,
        options,
        sinkOf(() => Promise.reject(failure)),
      ),
      (error) => error === failure,
    )
    await assert.rejects(connection.show('port'), (error) => isRetakeError(error, 'postgres.connection-lost'))
    await untilNoWalsender()
  })

  test('a server that is killed in the middle is a lost connection', async () => {
    await using connection = await openReplication(server.target)
    await assert.rejects(
      runBaseBackup(
        connection,
        { ...options, maxRateKiB: 1024 },
        sinkOf(async () => {
          await server.query("select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'walsender'")
        }),
      ),
      (error) => isRetakeError(error, 'postgres.connection-lost'),
    )
  })

  test('an error of the server leaves the connection usable', async () => {
    await using connection = await openReplication(server.target)
    await assert.rejects(
      runBaseBackup(
        connection,
        { ...options, label: 'x'.repeat(2000) },
        sinkOf(() => {}),
      ),
      (error) => isRetakeError(error, 'postgres.error'),
    )
    assert.equal(await connection.show('port'), String(server.server.port))
  })
})
