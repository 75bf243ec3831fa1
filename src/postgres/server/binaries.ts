import type { Stats } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { firstUnreachable, type ServerAccount, serverAccount } from './account.ts'
import { findEmbeddedPackage, prepareEmbedded } from './embedded.ts'
import { serverEnvironment } from './environment.ts'
import { runProgram } from './run-program.ts'

export interface PostgresBinaries {
  readonly binDir: string
  readonly major: number
  /** Such as 150018; absent for a development version. */
  readonly versionNum?: number | undefined
  readonly origin: 'configured' | 'system' | 'embedded'
}

export interface FindPostgresOptions {
  readonly major: number
  /** Look here and nowhere else; the directory that holds `postgres`, or the one above it. */
  readonly directory?: string | undefined
  /** Default `process.env`; only PATH is read. */
  readonly env?: NodeJS.ProcessEnv | undefined
  /** The account that will run the server; default {@link serverAccount}. */
  readonly account?: ServerAccount | undefined
  /** Default both, the system's first. */
  readonly origins?: readonly ('system' | 'embedded')[] | undefined
}

/**
 * The server programs of one major version: from the configured directory; else the system's (Debian, Red Hat and Homebrew
 * layouts, `pg_config`, PATH), because those get security updates; else the embedded ones. What a program is, is decided by what
 * `postgres -V` says and by an `initdb` beside it, never by its path.
 * @throws RetakeError `dependency.missing`
 */
export async function findPostgresBinaries(options: FindPostgresOptions): Promise<PostgresBinaries> {
  const account = options.account ?? serverAccount()
  if (options.directory !== undefined) return configured(options.directory, options.major, account)
  const origins = options.origins ?? ['system', 'embedded']
  if (origins.includes('system')) {
    for await (const directory of systemDirectories(options.major, options.env ?? process.env)) {
      const version = await usableVersion(directory, account)
      if (version?.major === options.major) return { binDir: directory, ...version, origin: 'system' }
    }
  }
  const found = origins.includes('embedded') ? await findEmbeddedPackage(options.major) : undefined
  if (found !== undefined) {
    const binDir = await prepareEmbedded(found, account)
    const version = await readPostgresVersion(binDir)
    if (version?.major === options.major) return { binDir, ...version, origin: 'embedded' }
  }
  throw new RetakeError(
    'dependency.missing',
    `No programs of PostgreSQL ${options.major} were found on this machine.`,
    {
      hint: `Install PostgreSQL ${options.major} (Debian: apt install postgresql-${options.major}), or name its bin directory.`,
    },
  )
}

async function configured(
  directory: string,
  major: number,
  account: ServerAccount | undefined,
): Promise<PostgresBinaries> {
  for (const candidate of [directory, path.join(directory, 'bin')]) {
    const version = await readPostgresVersion(candidate)
    if (version === undefined) continue
    const binDir = await realpath(candidate)
    if (version.major !== major) {
      throw new RetakeError(
        'dependency.missing',
        `${candidate} holds PostgreSQL ${version.major}; ${major} is needed.`,
        {
          hint: `Name the bin directory of PostgreSQL ${major}.`,
        },
      )
    }
    const closed = await firstUnreachable(path.join(binDir, 'postgres'), account)
    if (closed === undefined) return { binDir, ...version, origin: 'configured' }
    throw new RetakeError('dependency.missing', `${closed} is closed to the account that runs the server.`, {
      hint: `Run: chmod o+x ${closed}`,
      details: { uid: account?.uid },
    })
  }
  throw new RetakeError('dependency.missing', `${directory} does not hold postgres and initdb.`, {
    hint: `Name the bin directory of PostgreSQL ${major}, such as /usr/lib/postgresql/${major}/bin.`,
  })
}

async function* systemDirectories(major: number, env: NodeJS.ProcessEnv): AsyncGenerator<string> {
  yield `/usr/lib/postgresql/${major}/bin`
  yield `/usr/pgsql-${major}/bin`
  yield `/opt/homebrew/opt/postgresql@${major}/bin`
  yield `/usr/local/opt/postgresql@${major}/bin`
  const named = await configDirectory(env)
  if (named !== undefined) yield named
  for (const directory of (env.PATH ?? '').split(path.delimiter)) {
    if (!path.isAbsolute(directory)) continue
    // A link such as /usr/local/bin/postgres leads to the real directory, where initdb and the libraries are.
    const program = await realpath(path.join(directory, 'postgres')).catch(() => undefined)
    if (program !== undefined) yield path.dirname(program)
  }
}

async function configDirectory(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  try {
    const { code, stdout } = await runProgram('pg_config', ['--bindir'], {
      env: serverEnvironment(env),
      timeoutMs: 10_000,
    })
    return code === 0 && stdout.trim() !== '' ? stdout.trim() : undefined
  } catch (error) {
    if (isRetakeError(error)) return undefined
    throw error
  }
}

async function usableVersion(binDir: string, account: ServerAccount | undefined) {
  const version = await readPostgresVersion(binDir)
  if (version === undefined) return undefined
  return (await firstUnreachable(path.join(binDir, 'postgres'), account)) === undefined ? version : undefined
}

interface PostgresVersion {
  readonly major: number
  readonly versionNum?: number
}

/** By the program's path and what changes with it: a restore asks three times, and each costs the start of a process. */
const knownVersions = new Map<string, PostgresVersion>()

/** What `postgres -V` in this directory says; undefined when there is no working `postgres`, or no `initdb` beside it. */
export async function readPostgresVersion(binDir: string): Promise<PostgresVersion | undefined> {
  const program = path.join(binDir, 'postgres')
  const [postgres, initdb] = await Promise.all([program, path.join(binDir, 'initdb')].map(fileInfo))
  if (!postgres || !initdb) return undefined
  const { dev, ino, size, mtimeMs, ctimeMs } = postgres
  const identity = [program, dev, ino, size, mtimeMs, ctimeMs].join()
  const known = knownVersions.get(identity)
  if (known) return known
  const version = await askVersion(program)
  if (version) knownVersions.set(identity, version)
  return version
}

async function askVersion(program: string): Promise<PostgresVersion | undefined> {
  try {
    const { code, stdout } = await runProgram(program, ['-V'], {
      env: serverEnvironment(),
      timeoutMs: 10_000,
    })
    return code === 0 ? parsePostgresVersion(stdout) : undefined
  } catch (error) {
    if (isRetakeError(error)) return undefined
    throw error
  }
}

/** `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `postgres (PostgreSQL) 19devel` */
export function parsePostgresVersion(text: string): PostgresVersion | undefined {
  const match = /^postgres \(PostgreSQL\) (\d+)(?:\.(\d+))?/.exec(text)
  if (!match) return undefined
  const major = Number(match[1])
  return match[2] === undefined ? { major } : { major, versionNum: major * 10_000 + Number(match[2]) }
}

async function fileInfo(file: string): Promise<Stats | undefined> {
  return stat(file).then(
    (info) => (info.isFile() ? info : undefined),
    () => undefined,
  )
}
