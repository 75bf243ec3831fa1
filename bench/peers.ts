/** The programs that Retake is compared with, set up for the same job. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { serverAccount } from '../src/postgres/server/account.ts'
import type { Command } from '../test/support/measure.ts'
import { inside, type Lab, writeOwned } from './lab.ts'

export function findProgram(name: string): string | undefined {
  try {
    return execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim()
  } catch {
    return undefined
  }
}

export interface PgBackRest {
  readonly repo: string
  /** Block incremental is on; older versions copy changed files whole. */
  readonly hasBlocks: boolean
  backup(type?: 'full' | 'incr'): Command
  restore(to: string, more?: readonly string[]): Command
  verify(): Command
  /** For archive_command; pushes in the background, as its manual recommends. */
  readonly archiveCommand: string
  /** For restore_command of a directory restored by {@link restore}. */
  reset(): Promise<void>
}

/** Encrypted with its cipher, zstd at `level`, one process per core, small files bundled; page checksums on, as its default. */
export function setUpPgBackRest(
  lab: Lab,
  options: {
    readonly program: string
    readonly level: number
    /** Prepare for increments of blocks, where the program can. */
    readonly blocks?: boolean | undefined
  },
): PgBackRest {
  const name = options.blocks ? 'pgbackrest-blocks' : 'pgbackrest'
  const base = lab.directory.join(name)
  const hasBlocks = options.blocks === true && versionOf(options.program) >= FIRST_WITH_BLOCKS
  const config = inside(base, 'pgbackrest.conf')
  const repo = inside(base, 'repo')
  const account = serverAccount()
  const command = (args: readonly string[]): Command => ({
    program: options.program,
    args: [`--config=${config}`, '--stanza=main', ...args],
    account,
  })
  return {
    repo,
    hasBlocks,
    backup: (type = 'full') => command([`--type=${type}`, 'backup']),
    restore: (to, more = []) => command([`--pg1-path=${to}`, '--type=default', ...more, 'restore']),
    verify: () => command(['verify']),
    archiveCommand: `${options.program} --config=${config} --stanza=main archive-push %p`,
    async reset() {
      for (const part of ['', '/repo', '/log', '/lock', '/spool']) await lab.fresh(`${name}${part}`)
      await writeOwned(
        config,
        [
          '[global]',
          `repo1-path=${repo}`,
          `log-path=${inside(base, 'log')}`,
          `lock-path=${inside(base, 'lock')}`,
          `spool-path=${inside(base, 'spool')}`,
          'log-level-console=warn',
          'log-level-file=off',
          'start-fast=y',
          'archive-check=n',
          'archive-async=y',
          'archive-push-queue-max=16GiB',
          'archive-get-queue-max=1GiB',
          'compress-type=zst',
          `compress-level=${options.level}`,
          `process-max=${lab.cores}`,
          'repo1-bundle=y',
          ...(hasBlocks ? ['repo1-block=y'] : []),
          'repo1-cipher-type=aes-256-cbc',
          `repo1-cipher-pass=${randomBytes(24).toString('hex')}`,
          '[main]',
          `pg1-path=${lab.server.dataDir}`,
          `pg1-port=${lab.server.server.port}`,
          `pg1-socket-path=${lab.server.server.socketDir}`,
          '',
        ].join('\n'),
      )
      await lab.prepare(command(['stanza-create']))
    },
  }
}

/** `repo-block` is no experiment any more from 2.52 on. */
const FIRST_WITH_BLOCKS = 2.52

function versionOf(program: string): number {
  return Number(/[0-9]+\.[0-9]+/.exec(execFileSync(program, ['version'], { encoding: 'utf8' }))?.[0] ?? 0)
}

/** @param options `format`: flags; plain files unless given */
export function pgBaseBackup(lab: Lab, options: { readonly to: string; readonly format?: readonly string[] }): Command {
  const { format = ['-Fp'] } = options
  return {
    program: inside(lab.server.binDir, 'pg_basebackup'),
    args: ['-d', lab.server.url, '-D', options.to, '-X', 'none', '-c', 'fast', '--no-manifest', ...format],
    account: serverAccount(),
  }
}
