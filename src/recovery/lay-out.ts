/** Lays the files of a backup out in the target directory: everything but the control file, which alone makes it startable. */
import { closeSync, fchmodSync, fchownSync, mkdirSync, openSync } from 'node:fs'
import { chmod, chown, lchown, mkdir, symlink } from 'node:fs/promises'
import path from 'node:path'
import { throwIfAborted } from '../base/abort.ts'
import { RetakeError } from '../base/errors.ts'
import type { ServerAccount } from '../postgres/server/account.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import type { DirectoryEntry, FileEntry, LinkEntry, PackEntry } from '../repository/manifest.ts'
import { readEntries } from '../repository/manifest-store.ts'
import { CONTROL_FILE } from './backup-survey.ts'
import { FrameSource } from './frame-source.ts'
import { makeFile } from './open-files.ts'
import type { PlanPlace, RestorePlan } from './plan-types.ts'
import { BatchBuilder, type FileShape } from './restore-batches.ts'
import type { RestorePool } from './restore-pool.ts'
import { LOG_NAME, MARKER, SPOOL } from './target-directory.ts'
import { writeError } from './write-error.ts'

export interface LayOutOptions {
  readonly cluster: ClusterRepository
  readonly plan: RestorePlan
  /** Owns what is written; undefined: this process. */
  readonly account: ServerAccount | undefined
  /** Empty; whoever made it disposes it. */
  readonly pool: RestorePool
  readonly signal?: AbortSignal | undefined
}

export interface LaidOut {
  readonly fileCount: number
  readonly writtenBytes: number
  readonly fetchedBytes: number
  /** The content of the control file, which is not yet there. */
  readonly controlFile: Buffer
  /** Links that were not made, because they lead out of the target. */
  readonly skippedLinks: readonly string[]
}

/**
 * Not restored: the control file (comes last), PostgreSQL's own list of tablespaces (it would lead to their original places;
 * the links are made here), what makes a server a standby, and what a running server left.
 */
const LEFT_OUT: ReadonlySet<string> = new Set([
  CONTROL_FILE,
  'tablespace_map',
  'standby.signal',
  'recovery.signal',
  'postmaster.pid',
  'postmaster.opts',
  MARKER,
  LOG_NAME,
])

function isLeftOut(entryPath: string): boolean {
  // The lock of a socket that was in the data directory would keep the server from starting.
  return LEFT_OUT.has(entryPath) || entryPath.startsWith('.s.PGSQL.') || entryPath.split('/')[0] === SPOOL
}

export async function layOut(options: LayOutOptions): Promise<LaidOut> {
  const { cluster, plan, account, pool, signal } = options
  const { place, backup } = plan
  const writer = new TreeWriter(place, account)
  await writer.makeTablespaces()
  const batches = new BatchBuilder()
  const packs: PackEntry[] = []
  let control: FileEntry | undefined
  let fileCount = 0
  for await (const entry of readEntries(cluster, backup.backupId)) {
    throwIfAborted(signal)
    if (entry.type === 'pack') {
      packs.push(entry)
      batches.addPack(entry)
    } else if (entry.path === CONTROL_FILE && entry.type === 'file') control = entry
    else if (isLeftOut(entry.path)) continue
    else if (entry.type === 'directory') writer.makeDirectory(entry)
    else if (entry.type === 'link') await writer.makeLink(entry)
    else {
      const shape = writer.shapeFile(entry)
      fileCount += 1
      for (const batch of batches.addFile(entry, shape)) await pool.submit(batch)
    }
  }
  for (const batch of batches.flush()) await pool.submit(batch)
  await pool.settle()
  if (!control)
    throw new RetakeError('repo.damaged', `Backup ${backup.backupId} has no control file, so it cannot be restored.`)
  const controlFile = await new FrameSource(cluster, packs).readFile(control)
  const { plainBytes: writtenBytes, storedBytes: fetchedBytes } = pool.done
  return { fileCount, writtenBytes, fetchedBytes, controlFile, skippedLinks: writer.skippedLinks }
}

/** Makes directories and links, and the files that hold nothing; the others are made by the thread that first writes to them. */
class TreeWriter {
  readonly skippedLinks: string[] = []
  readonly #place: PlanPlace
  readonly #account: ServerAccount | undefined
  readonly #tablespaces: ReadonlyMap<string, string>
  readonly #made = new Set<string>()

  constructor(place: PlanPlace, account: ServerAccount | undefined) {
    this.#place = place
    this.#account = account
    this.#tablespaces = new Map(place.tablespaces.map((one) => [String(one.oid), one.location]))
    this.#made.add(place.targetDirectory)
  }

  async makeTablespaces(): Promise<void> {
    if (this.#tablespaces.size === 0) return
    this.makeDirectory({ type: 'directory', path: 'pg_tblspc', mode: 0o700 })
    for (const [oid, location] of this.#tablespaces) {
      await makeOwnedDirectory(location, this.#account)
      this.#made.add(location)
      const link = path.join(this.#place.targetDirectory, 'pg_tblspc', oid)
      await symlink(location, link)
      if (this.#account) await lchown(link, this.#account.uid, this.#account.gid)
    }
  }

  makeDirectory(entry: DirectoryEntry): void {
    const directory = this.#locate(entry.path)
    this.#ensureDirectory(directory, entry.mode)
  }

  /** Where the file goes, in a directory that is there. A file that no thread will write to is made at once. */
  shapeFile(entry: FileEntry): FileShape {
    const shape = { file: this.#locate(entry.path), sizeBytes: entry.sizeBytes, mode: entry.mode }
    this.#ensureDirectory(path.dirname(shape.file), 0o700)
    if (entry.runs.some((run) => run.frame)) return shape
    try {
      makeFile(shape, this.#account)
    } catch (error) {
      throw writeError(error)
    }
    return shape
  }

  /** Only links that stay inside: another server may be using what a link to the outside leads to. */
  async makeLink(entry: LinkEntry): Promise<void> {
    const link = this.#locate(entry.path)
    const inside = path.relative(this.#place.targetDirectory, path.resolve(path.dirname(link), entry.target))
    if (path.isAbsolute(entry.target) || inside.startsWith('..')) {
      this.skippedLinks.push(`${entry.path} → ${entry.target}`)
      return
    }
    this.#ensureDirectory(path.dirname(link), 0o700)
    await symlink(entry.target, link)
    if (this.#account) await lchown(link, this.#account.uid, this.#account.gid)
  }

  #ensureDirectory(directory: string, mode: number): void {
    if (this.#made.has(directory)) return
    this.#made.add(directory)
    // Ends at the latest at the target or a tablespace's place, which are there.
    this.#ensureDirectory(path.dirname(directory), 0o700)
    try {
      mkdirSync(directory, { mode: mode & 0o777 })
      const descriptor = openSync(directory, 'r')
      try {
        fchmodSync(descriptor, mode & 0o777)
        if (this.#account) fchownSync(descriptor, this.#account.uid, this.#account.gid)
      } finally {
        closeSync(descriptor)
      }
    } catch (error) {
      throw writeError(error)
    }
  }

  #locate(entryPath: string): string {
    const parts = entryPath.split('/')
    if (parts.some((part) => part === '' || part === '.' || part === '..')) {
      throw new RetakeError(
        'repo.damaged',
        `The manifest names the path "${entryPath}", which is not one inside a data directory.`,
      )
    }
    const [first, second = '', ...rest] = parts
    const tablespace = first === 'pg_tblspc' ? this.#tablespaces.get(second) : undefined
    return tablespace === undefined ? path.join(this.#place.targetDirectory, ...parts) : path.join(tablespace, ...rest)
  }
}

/** Makes a directory and the parents that are missing; what exists already keeps its owner and mode, but for the directory itself. */
export async function makeOwnedDirectory(directory: string, account: ServerAccount | undefined): Promise<void> {
  const made = await mkdir(directory, { recursive: true })
  // Parents that are new must be open to the server's account.
  for (
    let step = path.dirname(directory);
    made !== undefined && step.length >= made.length;
    step = path.dirname(step)
  ) {
    await chmod(step, 0o755)
  }
  await chmod(directory, 0o700)
  if (account) await chown(directory, account.uid, account.gid)
}
