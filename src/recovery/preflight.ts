/** The checks before a restore. Each says what it found and, when it fails, the exact fix; none changes anything. */
import { access, constants, stat, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import path from 'node:path'
import { isRetakeError, systemErrorCode, toRetakeError } from '../base/errors.ts'
import { firstUnreachable, serverAccount } from '../postgres/server/account.ts'
import { findPostgresBinaries, type PostgresBinaries } from '../postgres/server/binaries.ts'
import type { PlanTablespace, PreflightResult } from './plan-types.ts'
import { inspectTarget, namesIn } from './target-directory.ts'

/** Kept free beyond what the restore itself needs: checkpoints, logs, the first WAL of the new timeline. */
const SPARE_BYTES = 64 * 1024 * 1024

/** Only `passed` and `warning` let a plan be applied. */
export function failedChecks(results: readonly PreflightResult[]): PreflightResult[] {
  return results.filter((result) => result.status === 'failed')
}

export async function checkTarget(
  directory: string,
  cluster: { readonly systemIdentifier: string },
): Promise<PreflightResult> {
  const name = 'target directory'
  const unreachable = await closedParent(directory)
  if (unreachable) return unreachable
  const found = await inspectTarget(directory, cluster)
  switch (found.state) {
    case 'absent':
      return passed(name, `${directory} does not exist yet`)
    case 'empty':
      return passed(name, `${directory} is empty`)
    case 'leftover':
      return {
        name,
        status: 'warning',
        detail: `${directory} holds what an interrupted restore of this cluster has left; it will be removed and the restore done anew`,
      }
    case 'occupied':
      return {
        name,
        status: 'failed',
        detail: `${directory} cannot be used: ${found.why}`,
        fix: 'Name a directory that does not exist yet with --to, or empty this one yourself.',
      }
  }
}

/** Where the directory, or its nearest parent that exists, cannot be written or entered. */
export async function closedParent(directory: string): Promise<PreflightResult | undefined> {
  const name = 'target directory'
  const existing = await nearestExisting(directory)
  const info = await stat(existing)
  if (!info.isDirectory()) {
    return {
      name,
      status: 'failed',
      detail: `${existing} is not a directory`,
      fix: 'Name another directory with --to.',
    }
  }
  try {
    await access(existing, constants.W_OK | constants.X_OK)
  } catch {
    return {
      name,
      status: 'failed',
      detail: `${existing} cannot be written`,
      fix: `Name another directory with --to, or give write access to ${existing}.`,
    }
  }
  const closed = await firstUnreachable(existing, serverAccount(directory))
  if (closed === undefined) return undefined
  return {
    name,
    status: 'failed',
    detail: `${closed} is closed to the account that will run the server`,
    fix: `Run: chmod o+x ${closed}; or name a directory elsewhere with --to.`,
  }
}

export async function checkTablespaces(tablespaces: readonly PlanTablespace[]): Promise<PreflightResult> {
  const name = 'tablespaces'
  if (tablespaces.length === 0) return passed(name, 'the cluster has none')
  const places = new Set(tablespaces.map((one) => one.location))
  if (places.size < tablespaces.length) {
    return failed(
      name,
      'two tablespaces are mapped to one directory',
      'Give each its own with --tablespace-map OID=DIR.',
    )
  }
  for (const { oid, location } of tablespaces) {
    const names = await namesIn(location)
    if (names && names.length > 0) {
      return failed(
        name,
        `${location}, for tablespace ${oid}, is not empty`,
        `Give it another place with --tablespace-map ${oid}=DIR, or empty that directory yourself.`,
      )
    }
  }
  const list = tablespaces.map((one) => `${one.originalLocation} → ${one.location}`).join(', ')
  return passed(name, list)
}

/** Compares what each filesystem must take with what it has free. */
export async function checkSpace(
  parts: readonly { readonly directory: string; readonly bytes: number }[],
): Promise<PreflightResult[]> {
  const needs = new Map<number, { directory: string; neededBytes: number; freeBytes: number }>()
  for (const { directory, bytes } of parts) {
    const existing = await nearestExisting(directory)
    const device = (await stat(existing)).dev
    const { bavail, bsize } = await statfs(existing)
    const need = needs.get(device) ?? { directory, neededBytes: SPARE_BYTES, freeBytes: bavail * bsize }
    need.neededBytes += bytes
    needs.set(device, need)
  }
  return [...needs.values()].map(({ directory, neededBytes, freeBytes }) => {
    const detail = `${gigabytes(neededBytes)} needed, ${gigabytes(freeBytes)} free on the filesystem of ${directory}`
    return neededBytes <= freeBytes
      ? passed('space', detail)
      : failed(
          'space',
          detail,
          `Free ${gigabytes(neededBytes - freeBytes)} there, or restore to a larger filesystem with --to.`,
        )
  })
}

export async function checkBinaries(options: {
  readonly major: number
  readonly binDir: string | undefined
  readonly start: boolean
}): Promise<{ readonly result: PreflightResult; readonly binaries: PostgresBinaries | undefined }> {
  const name = 'server programs'
  try {
    const binaries = await findPostgresBinaries({ major: options.major, directory: options.binDir })
    return { result: passed(name, `PostgreSQL ${binaries.major} in ${binaries.binDir}`), binaries }
  } catch (error) {
    if (!isRetakeError(error)) throw error
    const fix = error.hint === undefined ? {} : { fix: error.hint }
    const status = options.start ? 'failed' : 'warning'
    return { result: { name, status, detail: error.message, ...fix }, binaries: undefined }
  }
}

/** Libraries that the server loads at its start; one that is missing keeps it from starting at all. */
export async function checkLibraries(options: {
  readonly libraries: string
  readonly binDir: string | undefined
  readonly libraryDirectories: readonly string[]
}): Promise<PreflightResult> {
  const name = 'preloaded libraries'
  const libraries = options.libraries
    .split(',')
    .map((one) => one.trim().replace(/^"(.*)"$/, '$1'))
    .filter((one) => one !== '')
  if (libraries.length === 0) return passed(name, 'none')
  const missing: string[] = []
  for (const library of libraries) {
    const places = path.isAbsolute(library)
      ? [library]
      : options.libraryDirectories.map((directory) => path.join(directory, library.replace(/^\$libdir\//, '')))
    if (!(await anyExists(places.flatMap((one) => [one, `${one}.so`, `${one}.dylib`])))) missing.push(library)
  }
  if (missing.length === 0) return passed(name, libraries.join(', '))
  const kept = libraries.filter((one) => !missing.includes(one)).join(',')
  return {
    name,
    status: 'warning',
    detail: `not found on this machine: ${missing.join(', ')}; the server may not start`,
    fix: `Install them, or start without: --set shared_preload_libraries=${kept}`,
  }
}

export async function checkPort(server: {
  readonly port: number
  readonly anyPort: boolean
}): Promise<PreflightResult> {
  const { port, anyPort } = server
  if (anyPort) return passed('port', `${port}, or another one if it is taken by then`)
  return (await isPortFree(port))
    ? passed('port', `${port} is free`)
    : failed('port', `${port} is in use on this machine`, 'Choose another with --port.')
}

export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (error) => {
      const code = systemErrorCode(error)
      if (code === 'EADDRINUSE' || code === 'EACCES') resolve(false)
      else reject(toRetakeError(error))
    })
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)))
  })
}

export async function nearestExisting(target: string): Promise<string> {
  for (let step = path.resolve(target); ; step = path.dirname(step)) {
    try {
      await stat(step)
      return step
    } catch (error) {
      const code = systemErrorCode(error)
      if ((code !== 'ENOENT' && code !== 'ENOTDIR') || step === path.dirname(step)) throw error
    }
  }
}

async function anyExists(files: readonly string[]): Promise<boolean> {
  for (const file of files) {
    try {
      await access(file)
      return true
    } catch {
      // Looked for elsewhere next.
    }
  }
  return false
}

export function passed(name: string, detail: string): PreflightResult {
  return { name, status: 'passed', detail }
}

export function failed(name: string, detail: string, fix: string): PreflightResult {
  return { name, status: 'failed', detail, fix }
}

function gigabytes(bytes: number): string {
  if (bytes < 1e9) return `${Math.ceil(bytes / 1e6)} MB`
  return `${(bytes / 1e9).toFixed(1)} GB`
}
