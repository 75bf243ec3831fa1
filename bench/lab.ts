/** The server under test with its data, and the places where backups and restores go; all of it removed at the end. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chown, mkdir, rm, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { installCineTrack } from '../src/demo/cinetrack/install.ts'
import { serverAccount } from '../src/postgres/server/account.ts'
import type { Command } from '../test/support/measure.ts'
import { startTestServer, type TestServer } from '../test/support/postgres.ts'
import { makeTemp, type TempDirectory } from '../test/support/temp.ts'

const run = promisify(execFile)

/** CineTrack at scale 1 is about this large on disk. */
const BYTES_PER_SCALE = 46e6

export interface Lab extends AsyncDisposable {
  readonly server: TestServer
  readonly directory: TempDirectory
  readonly cores: number
  /** Whether `pg_basebackup` came with the server: it does not with an embedded one. */
  readonly hasBaseBackup: boolean
  /** Of the files of PGDATA without pg_wal. */
  readonly dataBytes: number
  readonly rows: number
  readonly scale: number
  /** A directory that the tools may write, empty. */
  fresh(name: string): Promise<string>
  /** Runs an untimed command under the account of the server. */
  prepare(command: Command): Promise<void>
}

export async function openLab(options: { readonly sizeBytes: number; readonly major: number }): Promise<Lab> {
  const scale = options.sizeBytes / BYTES_PER_SCALE
  const server = await startTestServer({
    major: options.major,
    ownIdentity: true,
    settings: {
      fsync: 'on',
      shared_buffers: '512MB',
      max_wal_size: '4GB',
      checkpoint_timeout: '30min',
      autovacuum: 'off',
      archive_mode: 'on',
      // What Retake recommends for increments.
      ...(options.major >= 17 ? { summarize_wal: 'on' } : {}),
    },
  })
  const directory = makeTemp({ label: 'bench', owner: serverAccount() })
  await server.query(`alter system set archive_command = 'true'`)
  await server.query('select pg_reload_conf()')
  const counts = await installCineTrack({ target: server.target, scale })
  await server.query('vacuum (freeze, analyze)')
  await server.query('checkpoint')
  const lab: Lab = {
    server,
    directory,
    cores: availableParallelism(),
    hasBaseBackup: existsSync(join(server.binDir, 'pg_basebackup')),
    dataBytes: await bytesBelow(server.dataDir, ['--exclude=pg_wal']),
    rows: [...counts.values()].reduce((sum, count) => sum + count, 0),
    scale,
    async fresh(name) {
      const path = directory.join(name)
      await rm(path, { recursive: true, force: true })
      await mkdir(path, { recursive: true, mode: 0o700 })
      const account = serverAccount()
      if (account) await chown(path, account.uid, account.gid)
      return path
    },
    async prepare({ program, args, env }) {
      await run(program, [...args], { env: { ...process.env, ...env }, ...serverAccount() })
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await directory[Symbol.asyncDispose]()
    },
  }
  return lab
}

/** Allocated or not: the sum of the sizes of all files. */
export async function bytesBelow(path: string, flags: readonly string[] = []): Promise<number> {
  const { stdout } = await run('du', ['-s', '-B1', '--apparent-size', ...flags, path])
  return Number(stdout.split('\t')[0])
}

/**
 * Writes what others have written to the disk, so that no tool pays for the one before it; then takes the memory that copying the data
 * will need and frees it again. Where a virtual machine gives free memory back to its host, whoever is first to need it pays for it.
 */
export async function settle(lab: Lab): Promise<void> {
  await run('sync')
  const ballast = lab.directory.join('ballast')
  const mebibytes = Math.ceil((lab.dataBytes * 1.4) / 2 ** 20)
  await run('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=1M', `count=${mebibytes}`])
  await rm(ballast)
}

export async function writeOwned(path: string, content: string): Promise<void> {
  await writeFile(path, content, { mode: 0o600 })
  const account = serverAccount()
  if (account) await chown(path, account.uid, account.gid)
}

export function inside(directory: string, ...names: string[]): string {
  return join(directory, ...names)
}
