/**
 * The undo of a delta restore: the data directory as it is, copied before anything in it is changed. The copy is a data directory of
 * its own (its tablespaces lie beside it, and its links lead there), so going back is starting a server in it, or moving it
 * into place. Where the filesystem can share blocks, the copy costs neither time nor space.
 */
import { lstatSync } from 'node:fs'
import {
  chmod,
  constants,
  copyFile,
  lchown,
  mkdir,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import path from 'node:path'
import { throwIfAborted } from '../../base/abort.ts'
import type { Progress } from '../../base/progress.ts'
import { syncDirectory, syncTrees } from '../durable-files.ts'
import { MARKER, namesIn } from '../target-directory.ts'
import { writeError } from '../write-error.ts'

export interface UndoOptions {
  readonly signal?: AbortSignal | undefined
  readonly totalBytes: number
  readonly onProgress?: ((progress: Progress) => void) | undefined
}

/** Where the copies of tablespaces go. */
export function undoTablespaces(undoDirectory: string): string {
  return `${undoDirectory}.tablespaces`
}

/** Copies under other names first: whatever has the undo's own name is complete and durable. @throws RetakeError `storage.full` */
export async function makeUndo(directory: string, undoDirectory: string, options: UndoOptions): Promise<void> {
  const draft = `${undoDirectory}.retake-partial`
  const tablespaces = undoTablespaces(undoDirectory)
  await rm(draft, { recursive: true, force: true })
  await rm(`${tablespaces}.retake-partial`, { recursive: true, force: true })
  try {
    await mkdir(path.dirname(undoDirectory), { recursive: true })
    const copier = new TreeCopier(options)
    await copier.copyDirectory(directory, draft, new Set([MARKER]))
    const places = await copyTablespaces(directory, { draft, tablespaces, copier })
    await syncTrees([draft, ...(places > 0 ? [`${tablespaces}.retake-partial`] : [])])
    if (places > 0) await rename(`${tablespaces}.retake-partial`, tablespaces)
    await rename(draft, undoDirectory)
    await syncDirectory(path.dirname(undoDirectory))
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    await rm(`${tablespaces}.retake-partial`, { recursive: true, force: true })
    throw writeError(error)
  }
}

async function copyTablespaces(
  directory: string,
  options: { readonly draft: string; readonly tablespaces: string; readonly copier: TreeCopier },
): Promise<number> {
  const { draft, tablespaces, copier } = options
  let count = 0
  for (const oid of (await namesIn(path.join(directory, 'pg_tblspc'))) ?? []) {
    const link = path.join(directory, 'pg_tblspc', oid)
    if (!lstatSync(link).isSymbolicLink()) continue
    await mkdir(`${tablespaces}.retake-partial`, { recursive: true })
    await copier.copyDirectory(
      path.resolve(path.dirname(link), await readlink(link)),
      path.join(`${tablespaces}.retake-partial`, oid),
    )
    await rm(path.join(draft, 'pg_tblspc', oid))
    await symlink(path.join(tablespaces, oid), path.join(draft, 'pg_tblspc', oid))
    count += 1
  }
  return count
}

/** Copies directories, files and links with their modes and owners; links are not followed, sockets and the like are left out. */
class TreeCopier {
  readonly #options: UndoOptions
  #doneBytes = 0

  constructor(options: UndoOptions) {
    this.#options = options
  }

  async copyDirectory(from: string, to: string, without: ReadonlySet<string> = new Set()): Promise<void> {
    throwIfAborted(this.#options.signal)
    const info = await stat(from)
    await mkdir(to)
    for (const entry of await readdir(from, { withFileTypes: true })) {
      if (without.has(entry.name)) continue
      const source = path.join(from, entry.name)
      const target = path.join(to, entry.name)
      if (entry.isDirectory()) await this.copyDirectory(source, target)
      else if (entry.isSymbolicLink()) {
        await symlink(await readlink(source), target)
        await this.#own(source, target)
      } else if (entry.isFile()) await this.#copyFile(source, target)
    }
    await chmod(to, info.mode & 0o7777)
    await this.#own(from, to)
  }

  async #copyFile(from: string, to: string): Promise<void> {
    throwIfAborted(this.#options.signal)
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
    const info = lstatSync(from)
    await chmod(to, info.mode & 0o7777)
    await this.#own(from, to)
    this.#doneBytes += info.size
    const { onProgress, totalBytes } = this.#options
    onProgress?.({ phase: 'undo', done: this.#doneBytes, total: Math.max(totalBytes, this.#doneBytes), unit: 'bytes' })
  }

  /** Only root can give files away; anyone else owns what it copies. */
  async #own(from: string, to: string): Promise<void> {
    if (process.getuid?.() !== 0) return
    const { uid, gid } = lstatSync(from)
    await lchown(to, uid, gid)
  }
}
