/** restic, which knows nothing of PostgreSQL: `pg_basebackup` writes one stream into it, and `tar` unpacks it again. */
import { rm } from 'node:fs/promises'
import { type Command, measure } from '../test/support/measure.ts'
import type { Lab } from './lab.ts'
import { pgBaseBackup } from './peers.ts'

export interface Restic {
  readonly repo: string
  backup(): Command
  /** Into an existing directory, and durable. */
  restore(to: string): Command
  /** Reads and authenticates everything that is stored. */
  check(): Command
  reset(): Promise<void>
}

/** Encrypted as always; its own compression, which is zstd, at its default. */
export function setUpRestic(lab: Lab, options: { readonly program: string }): Restic {
  const { program } = options
  const repo = lab.directory.join('restic')
  const env = {
    RESTIC_REPOSITORY: repo,
    RESTIC_PASSWORD: 'only for this benchmark',
    RESTIC_CACHE_DIR: lab.directory.join('restic-cache'),
  }
  const shell = (script: string, ...args: readonly string[]): Command => ({
    program: 'bash',
    args: ['-o', 'pipefail', '-c', script, 'bash', program, ...args],
    env,
  })
  return {
    repo,
    backup() {
      const source = pgBaseBackup(lab, { to: '-', format: ['-Ft'] })
      return shell(
        'to=$1; shift; "$@" | "$to" backup --quiet --stdin --stdin-filename base.tar',
        source.program,
        ...source.args,
      )
    },
    restore: (to) => shell('"$1" dump --quiet latest base.tar | tar -x -C "$2" && sync --file-system "$2"', to),
    check: () => ({ program, args: ['check', '--quiet', '--read-data'], env }),
    async reset() {
      await rm(repo, { recursive: true, force: true })
      await rm(env.RESTIC_CACHE_DIR, { recursive: true, force: true })
      await measure({ program, args: ['init', '--quiet'], env })
    },
  }
}
