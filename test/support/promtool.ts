/** `promtool` of Prometheus, which checks metrics, alert rules and expressions. Where there is none, `promtoolMissing` says why. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'

/** Set by the test command for the files of a run when there is none: `none: reason`. */
export const PROMTOOL_VARIABLE = 'RETAKE_TEST_PROMTOOL'

/** The Debian package that has it. */
export const PROMTOOL_PACKAGE = 'prometheus'

/** Where the test command puts it, so that the next run has it too. */
export const PROMTOOL_CACHE = resolve(import.meta.dirname, '../../node_modules/.cache/promtool')

export function findPromtool(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin', PROMTOOL_CACHE]
  return folders.map((folder) => join(folder, 'promtool')).find((path) => existsSync(path))
}

export const promtoolMissing: string | false =
  findPromtool() === undefined
    ? (process.env[PROMTOOL_VARIABLE]?.replace(/^none: /, '') ??
      `promtool not installed (Debian: the package ${PROMTOOL_PACKAGE})`)
    : false

export interface PromtoolResult {
  readonly status: number | null
  /** stdout and stderr. */
  readonly output: string
}

export function promtool(args: readonly string[], input?: string): PromtoolResult {
  const { status, stdout, stderr, error } = spawnSync(findPromtool() ?? 'promtool', args, {
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
  })
  if (error) throw error
  return { status, output: `${stdout}${stderr}` }
}
