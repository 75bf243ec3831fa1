/** Retake through its command line, as a user runs it: process start, key and lease included. */
import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type Command, measure } from '../test/support/measure.ts'
import type { Lab } from './lab.ts'

const PROGRAM = resolve(import.meta.dirname, '../bin/retake.js')

export interface RetakeSetup {
  readonly repo: string
  command(args: readonly string[]): Command
  /** A new repository and a new slot: nothing from an earlier run makes this one cheaper. */
  reset(): Promise<void>
}

export function setUpRetake(
  lab: Lab,
  options: { readonly name: string; readonly level?: number | undefined },
): RetakeSetup {
  const repo = lab.directory.join(options.name)
  const keyFile = lab.directory.join(`${options.name}.key`)
  const env: Record<string, string> = {
    RETAKE_REPO: repo,
    RETAKE_DATABASE_URL: lab.server.url,
    RETAKE_WORKERS: String(lab.cores),
    RETAKE_POSTGRES_BIN_DIR: lab.server.binDir,
    ...(options.level === undefined ? {} : { RETAKE_COMPRESSION_LEVEL: String(options.level) }),
  }
  const command = (args: readonly string[], more: Record<string, string>): Command => ({
    program: process.execPath,
    args: [PROGRAM, ...args],
    env: { ...env, ...more },
  })
  return {
    repo,
    command: (args) => command(args, { RETAKE_KEY_FILE: keyFile }),
    async reset() {
      await rm(repo, { recursive: true, force: true })
      await rm(keyFile, { force: true })
      await lab.server.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active')
      await measure(command(['init', '--new-key', keyFile], {}))
    },
  }
}
