/** Real PostgreSQL servers for tests: one call gives a running server of a major version in a directory of its own. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import type { ConnectionTarget } from '../../src/postgres/connection/config.ts'
import { serverAccount } from '../../src/postgres/server/account.ts'
import { findPostgresBinaries } from '../../src/postgres/server/binaries.ts'
import { initDatabase } from '../../src/postgres/server/init-database.ts'
import { LocalServer } from '../../src/postgres/server/local-server.ts'
import { makeTemp, type TempDirectory } from './temp.ts'

const run = promisify(execFile)

export const SUPPORTED_MAJORS: readonly number[] = [15, 16, 17, 18]

const found = await findMajors()

/**
 * The majors to test: `RETAKE_TEST_MAJORS` (such as `15,17`), else every supported one whose binaries are on this machine.
 * A major that was asked for and is not there is an error, so that a run never passes by testing nothing.
 */
export function postgresMajors(): readonly number[] {
  return found
}

/** One major for tests that need not run on all: 17 when it is there, Supabase's present default. */
export function anyMajor(): number {
  return found.includes(17) ? 17 : (found.at(-1) ?? 17)
}

export interface TestServerOptions {
  readonly major?: number | undefined
  /** Added to, and winning over, {@link defaultSettings}. */
  readonly settings?: Readonly<Record<string, string>> | undefined
  /** The whole of pg_hba.conf; default: trust on loopback and the socket, replication included. */
  readonly hba?: string | undefined
  /** Data checksums; default true. */
  readonly checksums?: boolean | undefined
  readonly walSegmentSizeMb?: number | undefined
  /** The bootstrap role; default `postgres`. */
  readonly superuser?: string | undefined
  /** A system identifier of its own; otherwise servers made with the same options share one, because they are copies. */
  readonly ownIdentity?: boolean | undefined
}

/** fsync is off because these tests kill processes, not machines: what a process wrote survives its death. */
export const defaultSettings: Readonly<Record<string, string>> = {
  wal_level: 'replica',
  max_wal_senders: '10',
  max_replication_slots: '10',
  shared_buffers: '64MB',
  fsync: 'off',
  log_min_messages: 'warning',
}

export class TestServer implements AsyncDisposable {
  readonly dataDir: string
  readonly binDir: string
  readonly major: number
  readonly superuser: string
  /** The directory around `dataDir`, for tablespaces and the like; owned by the server's account. */
  readonly directory: string
  readonly #temp: TempDirectory
  #settings: Readonly<Record<string, string>>
  #server: LocalServer
  #client: pg.Client | undefined

  private constructor(facts: {
    temp: TempDirectory
    dataDir: string
    binDir: string
    major: number
    superuser: string
    settings: Readonly<Record<string, string>>
    server: LocalServer
  }) {
    this.#temp = facts.temp
    this.directory = facts.temp.path
    this.dataDir = facts.dataDir
    this.binDir = facts.binDir
    this.major = facts.major
    this.superuser = facts.superuser
    this.#settings = facts.settings
    this.#server = facts.server
  }

  /** @throws RetakeError `dependency.missing` when the major is not on this machine */
  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    const major = options.major ?? anyMajor()
    const binaries = await findPostgresBinaries({ major })
    const temp = makeTemp({ label: `pg${major}`, owner: serverAccount() })
    try {
      const dataDir = temp.join('data')
      const superuser = options.superuser ?? 'postgres'
      await makeDataDirectory(binaries.binDir, dataDir, { ...options, major, superuser })
      if (options.hba !== undefined) await writeFile(join(dataDir, 'pg_hba.conf'), options.hba)
      const settings = { ...defaultSettings, ...options.settings }
      const server = await LocalServer.start({ binDir: binaries.binDir, dataDir, settings, user: superuser })
      return new TestServer({ temp, dataDir, binDir: binaries.binDir, major, superuser, settings, server })
    } catch (error) {
      await temp[Symbol.asyncDispose]()
      throw error
    }
  }

  get server(): LocalServer {
    return this.#server
  }

  /** The superuser's way in. */
  get target(): ConnectionTarget {
    return this.targetOf()
  }

  targetOf(options: { user?: string; database?: string; password?: string } = {}): ConnectionTarget {
    const { user = this.superuser, database = 'postgres', password } = options
    return localTarget({ port: this.#server.port, user, database, password })
  }

  get url(): string {
    return `postgres://${this.superuser}@127.0.0.1:${this.#server.port}/postgres`
  }

  /** One statement (or several without values) on a connection that is kept; rows of the last result. */
  async query<R extends object = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<R[]> {
    this.#client ??= await this.connect()
    const result: unknown = await this.#client.query(sql, values ? [...values] : undefined)
    const last = (Array.isArray(result) ? result.at(-1) : result) as pg.QueryResult<R>
    return last.rows
  }

  /** A connection of its own; the caller ends it (at the latest the server's stop does). */
  async connect(options: { user?: string; database?: string } = {}): Promise<pg.Client> {
    const client = new pg.Client(this.targetOf(options).config)
    // A server that is stopped or killed on purpose breaks its connections; whoever still uses one sees it in its query.
    client.on('error', () => {})
    await client.connect()
    return client
  }

  async currentLsn(): Promise<string> {
    const [row] = await this.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn')
    if (!row) throw new Error('no row')
    return row.lsn
  }

  async stop(mode: 'smart' | 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.#closeClient()
    await this.#server.stop(mode)
  }

  /** SIGKILL of the whole server, as a crash. */
  async kill(): Promise<void> {
    await this.#server.kill()
    await this.#closeClient()
  }

  /** Starts again after {@link stop} or {@link kill} (or stops first), with settings added; the port stays. */
  async restart(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const { port } = this.#server
    await this.stop()
    this.#settings = { ...this.#settings, ...settings }
    this.#server = await LocalServer.start({
      binDir: this.binDir,
      dataDir: this.dataDir,
      port,
      settings: this.#settings,
      user: this.superuser,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closeClient()
    await this.#server[Symbol.asyncDispose]()
    await this.#temp[Symbol.asyncDispose]()
  }

  async #closeClient(): Promise<void> {
    const client = this.#client
    this.#client = undefined
    await client?.end().catch(() => {})
  }
}

export function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  return TestServer.start(options)
}

export function localTarget(at: {
  port: number
  user?: string
  database?: string
  password?: string | undefined
}): ConnectionTarget {
  const { port, user = 'postgres', database = 'postgres', password } = at
  return {
    config: { host: '127.0.0.1', port, user, database, ...(password === undefined ? {} : { password }) },
    display: `postgres://${user}@127.0.0.1:${port}/${database}`,
  }
}

/** A client program of this major (`pg_basebackup`, `pgbench`, …), or undefined: the embedded packages carry only the server. */
export async function findClientTool(name: string, major: number): Promise<string | undefined> {
  const { binDir } = await findPostgresBinaries({ major })
  const path = join(binDir, name)
  return existsSync(path) ? path : undefined
}

const templates = new Map<string, Promise<string>>()
let templateRoot: TempDirectory | undefined

async function makeDataDirectory(
  binDir: string,
  dataDir: string,
  options: TestServerOptions & { major: number; superuser: string },
): Promise<void> {
  const { checksums = true, walSegmentSizeMb = 16, superuser, major } = options
  const init = (directory: string) =>
    initDatabase({ binDir, dataDir: directory, superuser, walSegmentSizeMb, dataChecksums: checksums, sync: false })
  if (options.ownIdentity) return init(dataDir)
  const key = [major, checksums ? 'sums' : 'plain', walSegmentSizeMb, superuser].join('-')
  let template = templates.get(key)
  if (!template) {
    template = makeTemplate(key, init)
    templates.set(key, template)
  }
  await run('cp', ['-Rp', await template, dataDir])
}

/** A whole test run keeps its templates in one place, because initdb is what takes longest of starting a server. */
async function makeTemplate(key: string, init: (directory: string) => Promise<unknown>): Promise<string> {
  const shared = process.env.RETAKE_TEST_TEMPLATES
  if (shared === undefined) {
    templateRoot ??= makeTemp({ label: 'initdb', owner: serverAccount() })
    await init(templateRoot.join(key))
    return templateRoot.join(key)
  }
  const path = join(shared, key)
  if (existsSync(path)) return path
  const draft = join(shared, `${key}.${process.pid}`)
  await init(draft)
  try {
    // In one step, so that nobody copies half of it. Of several files that make the same one the first wins.
    await rename(draft, path)
  } catch (error) {
    if (!existsSync(path)) throw error
    await rm(draft, { recursive: true, force: true })
  }
  return path
}

async function findMajors(): Promise<number[]> {
  const asked = process.env.RETAKE_TEST_MAJORS
  const majors = asked ? asked.split(',').map(Number) : [...SUPPORTED_MAJORS]
  const results = await Promise.all(
    majors.map(async (major) => {
      try {
        await findPostgresBinaries({ major })
        return [major]
      } catch (error) {
        if (asked) throw error
        return []
      }
    }),
  )
  const present = results.flat()
  if (present.length === 0) throw new Error('No PostgreSQL of a supported major is on this machine; run npm install.')
  return present
}
