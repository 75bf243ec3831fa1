/**
 * `promtool` for a test run: taken out of Debian's package when a file of the run needs it. The package is not installed, because
 * it would start a Prometheus. Where it cannot be had, the tests that need it are skipped and say why.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { findPromtool, PROMTOOL_CACHE, PROMTOOL_PACKAGE, PROMTOOL_VARIABLE } from '../../test/support/promtool.ts'
import type { TestFile } from './test-files.ts'

/** @param directory of this run, does not exist yet */
export function providePromtool(files: readonly TestFile[], directory: string): void {
  if (!files.some(({ kind }) => kind === 'prom') || findPromtool() !== undefined) return
  const reason = take(directory)
  if (reason === undefined) return
  console.log(`Tests of alert rules are skipped: ${reason}`)
  process.env[PROMTOOL_VARIABLE] = `none: ${reason}`
}

/** Why there is none; undefined when there is. */
function take(directory: string): string | undefined {
  console.log(
    `Taking promtool out of the package ${PROMTOOL_PACKAGE} for the tests of alert rules (about 20 MB, once) …`,
  )
  mkdirSync(directory)
  const download = ['-q', 'download', PROMTOOL_PACKAGE]
  // The package lists of a fresh container are empty; those of a machine in use are good enough.
  const done =
    run('apt-get', download, directory) ||
    (run('apt-get', ['-q', 'update'], directory) && run('apt-get', download, directory))
  const file = readdirSync(directory).find((name) => name.endsWith('.deb'))
  if (!done || file === undefined) return `promtool not installed (Debian: the package ${PROMTOOL_PACKAGE})`
  const unpack = 'dpkg-deb --fsys-tarfile "$1" | tar -xf - ./usr/bin/promtool'
  if (!run('sh', ['-c', unpack, 'sh', join(directory, file)], directory)) return `${file} has no promtool`
  mkdirSync(PROMTOOL_CACHE, { recursive: true })
  // Another run may take it at the same time: whoever finds it finds all of it.
  const draft = join(PROMTOOL_CACHE, `draft-${process.pid}`)
  copyFileSync(join(directory, 'usr/bin/promtool'), draft)
  renameSync(draft, join(PROMTOOL_CACHE, 'promtool'))
  return undefined
}

function run(program: string, args: readonly string[], directory: string): boolean {
  return spawnSync(program, args, { cwd: directory, stdio: 'ignore', timeout: 120_000 }).status === 0
}
