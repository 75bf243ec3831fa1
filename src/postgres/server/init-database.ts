import { chmod, chown, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { RetakeError } from '../../base/errors.ts'
import { requireReachable, type ServerAccount, serverAccount } from './account.ts'
import { readPostgresVersion } from './binaries.ts'
import { serverEnvironment } from './environment.ts'
import { runProgram } from './run-program.ts'

export interface InitDatabaseOptions {
  readonly binDir: string
  /** Created when absent; must be empty. */
  readonly dataDir: string
  /** Default `postgres`. */
  readonly superuser?: string | undefined
  /** With a password the cluster asks for it (SCRAM); without one every local connection is trusted. */
  readonly password?: string | undefined
  /** Default 16. */
  readonly walSegmentSizeMb?: number | undefined
  /** Default true. */
  readonly dataChecksums?: boolean | undefined
  /** Default `C`: the same order on every machine. */
  readonly locale?: string | undefined
  /** Default true. False saves the final fsync, for clusters that are thrown away. */
  readonly sync?: boolean | undefined
  readonly account?: ServerAccount | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Makes a new cluster with `initdb`, under the account that will run it.
 * @throws RetakeError `postgres.server` with what initdb said
 */
export async function initDatabase(options: InitDatabaseOptions): Promise<void> {
  const account = options.account ?? serverAccount(options.dataDir)
  await prepareDirectory(options.dataDir, account)
  await using passwordFile = options.password === undefined ? undefined : await writePassword(options.password, account)
  const args = [
    ...['-D', options.dataDir, '-U', options.superuser ?? 'postgres'],
    `--auth=${options.password === undefined ? 'trust' : 'scram-sha-256'}`,
    ...['--encoding=UTF8', `--locale=${options.locale ?? 'C'}`, `--wal-segsize=${options.walSegmentSizeMb ?? 16}`],
    ...(await checksumArguments(options.binDir, options.dataChecksums ?? true)),
    ...(options.sync === false ? ['--no-sync'] : []),
    ...(passwordFile === undefined ? [] : [`--pwfile=${passwordFile.path}`]),
  ]
  const initdb = path.join(options.binDir, 'initdb')
  const result = await runProgram(initdb, args, {
    account,
    env: serverEnvironment(),
    signal: options.signal,
    timeoutMs: 300_000,
  })
  if (result.code === 0) return
  const said = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-8).join('\n')
  throw new RetakeError('postgres.server', `initdb could not make a cluster in ${options.dataDir}:\n${said}`)
}

async function prepareDirectory(dataDir: string, account: ServerAccount | undefined): Promise<void> {
  await mkdir(dataDir, { recursive: true })
  if ((await readdir(dataDir)).length > 0) {
    throw new RetakeError('postgres.server', `${dataDir} is not empty, so no cluster is made there.`, {
      hint: 'Name a new or empty directory.',
    })
  }
  if (account !== undefined) await chown(dataDir, account.uid, account.gid)
  await chmod(dataDir, 0o700)
  await requireReachable(dataDir, account)
}

/** PostgreSQL 18 turned checksums on by default and is the first to know the option that turns them off. */
async function checksumArguments(binDir: string, wanted: boolean): Promise<string[]> {
  if (wanted) return ['--data-checksums']
  const version = await readPostgresVersion(binDir)
  return version !== undefined && version.major >= 18 ? ['--no-data-checksums'] : []
}

/** In a file, because arguments are seen by everybody on the machine (R11). */
async function writePassword(password: string, account: ServerAccount | undefined) {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'retake-initdb-'))
  const file = path.join(directory, 'password')
  await writeFile(file, `${password}\n`, { mode: 0o600 })
  if (account !== undefined) {
    await chown(file, account.uid, account.gid)
    await chown(directory, account.uid, account.gid)
  }
  return {
    path: file,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}
