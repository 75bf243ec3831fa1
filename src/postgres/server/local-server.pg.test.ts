import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import pg from 'pg'
import { sleep } from '../../base/abort.ts'
import { isRetakeError } from '../../base/errors.ts'
import { findPostgresBinaries, type PostgresBinaries } from './binaries.ts'
import { initDatabase } from './init-database.ts'
import { LocalServer } from './local-server.ts'
import { readServerLogTail } from './log-tail.ts'
import { readPostmasterFile } from './postmaster-file.ts'
import { listProcesses, type ProcessEntry } from './process-tree.ts'

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'retake-test-'))
  await chmod(directory, 0o755)
  return directory
}

async function withClient<T>(server: LocalServer, run: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(server.target().config)
  await client.connect()
  try {
    return await run(client)
  } finally {
    await client.end()
  }
}

interface FamilyMember {
  readonly pid: number
  /** 1 for a child of the postmaster. */
  readonly depth: number
}

function familyOf(processes: readonly ProcessEntry[], pid: number, depth = 1): FamilyMember[] {
  return processes
    .filter((entry) => entry.parentPid === pid)
    .flatMap((entry) => [{ pid: entry.pid, depth }, ...familyOf(processes, entry.pid, depth + 1)])
}

for (const major of [15, 16, 17, 18]) {
  describe(`a local server of PostgreSQL ${major}`, () => {
    let root: string
    let dataDir: string
    let binaries: PostgresBinaries

    before(async () => {
      root = await temporaryDirectory()
      dataDir = path.join(root, 'data')
      binaries = await findPostgresBinaries({ major })
      await initDatabase({ binDir: binaries.binDir, dataDir, walSegmentSizeMb: 1, sync: false })
    })
    after(() => rm(root, { recursive: true, force: true }))

    test('is made as asked, answers queries and stops cleanly', async () => {
      await using server = await LocalServer.start({
        binDir: binaries.binDir,
        dataDir,
        logFile: path.join(root, 'server.log'),
        settings: { fsync: 'off', work_mem: '5MB' },
      })
      const [row] = await withClient(server, async (client) => {
        const query = `select current_setting('server_version_num')::int as version, current_setting('data_checksums') as checksums,
          current_setting('wal_segment_size') as segment, current_setting('work_mem') as memory, current_setting('server_encoding') as encoding`
        return (await client.query(query)).rows
      })
      assert.equal(Math.floor(row.version / 10_000), major)
      assert.equal(row.version, binaries.versionNum)
      assert.deepEqual([row.checksums, row.segment, row.memory, row.encoding], ['on', '1MB', '5MB', 'UTF8'])
      await server.stop()
      assert.deepEqual(await server.exited, { code: 0, signal: null })
      await server.stop()
      assert.equal(await readPostmasterFile(dataDir), undefined)
      await assert.rejects(stat(server.socketDir))
      assert.match((await readServerLogTail(server.logFile)).join('\n'), /database system is shut down/)
    })

    test('kill leaves no process and no shared memory, and the cluster recovers', async () => {
      const settings = { archive_mode: 'on', archive_command: 'sleep 1000' }
      await using server = await LocalServer.start({ binDir: binaries.binDir, dataDir, settings })
      const client = new pg.Client(server.target().config)
      client.on('error', () => {})
      await client.connect()
      await client.query('create table kept as select generate_series(1, 1000) as id')
      await client.query('select pg_switch_wal()')
      const segment = (await readFile(path.join(dataDir, 'postmaster.pid'), 'utf8'))
        .split('\n')[6]
        ?.trim()
        .split(/\s+/)[1]
      // The archiver's shell and what it runs: grandchildren of the server.
      let family: FamilyMember[] = []
      while (family.filter((entry) => entry.depth > 1).length < 1) {
        family = familyOf(await listProcesses(), server.pid)
        await sleep(5)
      }
      assert.ok(family.length > 4)
      await server.kill()
      assert.equal((await server.exited).signal, 'SIGKILL')
      const alive = (await listProcesses()).filter(
        (entry) => entry.state !== 'Z' && family.some((member) => member.pid === entry.pid),
      )
      assert.deepEqual(alive, [])
      if (process.platform === 'linux') {
        const segments = (await readFile('/proc/sysvipc/shm', 'utf8'))
          .split('\n')
          .map((line) => line.trim().split(/\s+/)[1])
        assert.ok(segment && !segments.includes(segment))
      }
      await client.end().catch(() => {})

      await using again = await LocalServer.start({ binDir: binaries.binDir, dataDir })
      const { rows } = await withClient(again, (fresh) => fresh.query('select count(*)::int as n from kept'))
      assert.equal(rows[0].n, 1000)
      await again.stop('immediate')
    })

    test('disposal ends the server and removes its private directory', async () => {
      let pid: number
      let socketDir: string
      {
        await using server = await LocalServer.start({ binDir: binaries.binDir, dataDir })
        pid = server.pid
        socketDir = server.socketDir
        assert.equal((await stat(socketDir)).mode & 0o777, 0o700)
      }
      assert.throws(() => process.kill(pid, 0))
      await assert.rejects(stat(socketDir))
    })
  })
}

describe('a local server that cannot start', () => {
  let root: string
  let dataDir: string
  let binDir: string

  before(async () => {
    root = await temporaryDirectory()
    dataDir = path.join(root, 'data')
    binDir = (await findPostgresBinaries({ major: 17 })).binDir
    await initDatabase({ binDir, dataDir, sync: false })
  })
  after(() => rm(root, { recursive: true, force: true }))

  test('says why, with the end of the log', async () => {
    const start = LocalServer.start({ binDir, dataDir, settings: { shared_buffers: 'plenty' } })
    await assert.rejects(
      start,
      (error) => isRetakeError(error, 'postgres.server') && /shared_buffers/.test(error.message),
    )
  })

  test('is refused while another server runs on the directory, which is left alone', async () => {
    await using server = await LocalServer.start({ binDir, dataDir })
    await assert.rejects(LocalServer.start({ binDir, dataDir }), /already running/)
    assert.equal((await readPostmasterFile(dataDir))?.pid, server.pid)
  })

  test('reports a given port that is taken', async () => {
    const holder = createServer()
    const port = await new Promise<number>((resolve) => {
      holder.listen(0, '127.0.0.1', () => resolve((holder.address() as { port: number }).port))
    })
    try {
      await assert.rejects(LocalServer.start({ binDir, dataDir, port }), /could not bind/)
    } finally {
      await new Promise((resolve) => holder.close(resolve))
    }
  })

  test('stops waiting when asked to', async () => {
    const controller = new AbortController()
    controller.abort()
    const start = LocalServer.start({ binDir, dataDir, signal: controller.signal })
    await assert.rejects(start, (error) => isRetakeError(error, 'aborted'))
    assert.equal(await readPostmasterFile(dataDir), undefined)
  })

  test('says when there is no such directory', async () => {
    await assert.rejects(LocalServer.start({ binDir, dataDir: path.join(root, 'absent') }), /absent does not exist/)
  })

  test('initdb refuses a directory that has something in it', async () => {
    const used = path.join(root, 'new', 'used')
    await initDatabase({ binDir, dataDir: used, sync: false })
    await rm(used, { recursive: true })
    await mkdir(used)
    await writeFile(path.join(used, 'note'), 'mine')
    await assert.rejects(initDatabase({ binDir, dataDir: used }), /is not empty/)
  })
})

describe('a local server whose parent process ends', () => {
  let root: string
  let dataDir: string
  let binDir: string

  before(async () => {
    root = await temporaryDirectory()
    dataDir = path.join(root, 'data')
    binDir = (await findPostgresBinaries({ major: 17 })).binDir
    await initDatabase({ binDir, dataDir, sync: false })
  })
  after(() => rm(root, { recursive: true, force: true }))

  /** Starts a server in a process of its own that ends at once, and returns the server's pid and directory. */
  async function startElsewhere(ending: string): Promise<{ pid: number; socketDir: string }> {
    const options = JSON.stringify({ binDir, dataDir, logFile: path.join(root, 'server.log') })
    const script = `import { LocalServer } from ${JSON.stringify(new URL('./local-server.ts', import.meta.url).href)}
      const server = await LocalServer.start(${options})
      console.log(JSON.stringify({ pid: server.pid, socketDir: server.socketDir }))
      ${ending}`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
    return JSON.parse(stdout)
  }

  test('ends with it, when it was not handed over', async () => {
    const { pid, socketDir } = await startElsewhere('process.exit(0)')
    while ((await listProcesses()).some((entry) => entry.pid === pid && entry.state !== 'Z')) await sleep(10)
    await assert.rejects(stat(socketDir))
  })

  test('goes on when it was handed over, and lets the process end', async () => {
    const { pid, socketDir } = await startElsewhere('server.release()')
    try {
      assert.equal((await readPostmasterFile(dataDir))?.pid, pid)
      assert.ok((await listProcesses()).some((entry) => entry.pid === pid && entry.state !== 'Z'))
    } finally {
      process.kill(pid, 'SIGQUIT')
      while ((await listProcesses()).some((entry) => entry.pid === pid && entry.state !== 'Z')) await sleep(10)
      await rm(socketDir, { recursive: true, force: true })
    }
  })
})
