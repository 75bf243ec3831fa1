/** Retake through its command line, compiled as it is published: process start, key and lease included. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Command, measure } from '../test/support/measure.ts'
import type { Lab } from './lab.ts'

const ROOT = resolve(import.meta.dirname, '..')

/** What users install: the compiled files without the sources. Returns the path of its command. */
export function buildProgram(lab: Lab): string {
  execFileSync(process.execPath, [join(ROOT, 'scripts/build.ts')], { stdio: 'pipe' })
  const place = lab.directory.join('package')
  mkdirSync(place)
  for (const part of ['bin', 'dist', 'package.json']) cpSync(join(ROOT, part), join(place, part), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(place, 'node_modules'))
  return join(place, 'bin/retake.js')
}

export interface RetakeSetup {
  readonly repo: string
  command(args: readonly string[]): Command
  /** A new repository and a new slot: nothing from an earlier run makes this one cheaper. */
  reset(): Promise<void>
}

export function setUpRetake(
  lab: Lab,
  options: { readonly name: string; readonly program: string; readonly level?: number | undefined },
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
    args: [options.program, ...args],
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

/** `retake wal receive`, as it runs beside a server; disposing it ends it in order. */
export function startReceiver(retake: RetakeSetup): AsyncDisposable {
  const { program, args, env } = retake.command(['wal', 'receive', '--quiet'])
  const child = spawn(program, [...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] })
  child.on('error', (error) => {
    throw error
  })
  return {
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}
