/** Makes the directories, links and empty files of a data directory, wherever a path of the manifest belongs. */
import { closeSync, fchmodSync, fchownSync, mkdirSync, openSync } from 'node:fs'
import { chmod, chown, lchown, mkdir, symlink } from 'node:fs/promises'
import path from 'node:path'
import { systemErrorCode } from '../base/errors.ts'
import type { ServerAccount } from '../postgres/server/account.ts'
import type { DirectoryEntry, FileEntry, LinkEntry } from '../repository/manifest.ts'
import { EntryPaths } from './entry-paths.ts'
import { makeFile } from './open-files.ts'
import type { PlanPlace } from './plan-types.ts'
import type { FileShape } from './restore-batches.ts'
import { writeError } from './write-error.ts'

/** Makes directories and links, and the files that hold nothing; the others are made by the thread that first writes to them. */
export class TreeWriter {
  readonly skippedLinks: string[] = []
  readonly #place: PlanPlace
  readonly #account: ServerAccount | undefined
  readonly #paths: EntryPaths
  readonly #made = new Set<string>()

  /** In a plan with `delta`, what is already there is kept when it is of the right kind. */
  constructor(place: PlanPlace, account: ServerAccount | undefined) {
    this.#place = place
    this.#account = account
    this.#paths = new EntryPaths(place)
    this.#made.add(place.targetDirectory)
  }

  async makeTablespaces(): Promise<void> {
    if (this.#place.tablespaces.length === 0) return
    this.makeDirectory({ type: 'directory', path: 'pg_tblspc', mode: 0o700 })
    for (const { oid, location } of this.#place.tablespaces) {
      await makeOwnedDirectory(location, this.#account)
      this.#made.add(location)
      await this.#link(location, path.join(this.#place.targetDirectory, 'pg_tblspc', String(oid)))
    }
  }

  makeDirectory(entry: DirectoryEntry): void {
    const directory = this.#paths.locate(entry.path)
    this.#ensureDirectory(directory, entry.mode)
  }

  /**
   * Where the file goes, in a directory that is there. A file that no thread will write to is made at once; where there may be
   * one already, threads also look for what must become zeros.
   */
  shapeFile(entry: FileEntry): FileShape {
    const shape = { file: this.#paths.locate(entry.path), sizeBytes: entry.sizeBytes, mode: entry.mode }
    this.#ensureDirectory(path.dirname(shape.file), 0o700)
    if (entry.runs.some((run) => run.frame || this.#place.delta)) return shape
    try {
      makeFile(shape, this.#account)
    } catch (error) {
      throw writeError(error)
    }
    return shape
  }

  /** Only links that stay inside: another server may be using what a link to the outside leads to. */
  async makeLink(entry: LinkEntry): Promise<void> {
    const link = this.#paths.locate(entry.path)
    if (!this.#paths.staysInside(link, entry.target)) {
      this.skippedLinks.push(`${entry.path} → ${entry.target}`)
      return
    }
    this.#ensureDirectory(path.dirname(link), 0o700)
    await this.#link(entry.target, link)
  }

  /** A link that is there already has the right target: others were removed. */
  async #link(target: string, link: string): Promise<void> {
    try {
      await symlink(target, link)
    } catch (error) {
      if (!this.#isKept(error)) throw error
    }
    if (this.#account) await lchown(link, this.#account.uid, this.#account.gid)
  }

  #isKept(error: unknown): boolean {
    return this.#place.delta !== undefined && systemErrorCode(error) === 'EEXIST'
  }

  #ensureDirectory(directory: string, mode: number): void {
    if (this.#made.has(directory)) return
    this.#made.add(directory)
    // Ends at the latest at the target or a tablespace's place, which are there.
    this.#ensureDirectory(path.dirname(directory), 0o700)
    try {
      this.#makeDirectory(directory, mode & 0o777)
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

  #makeDirectory(directory: string, mode: number): void {
    try {
      mkdirSync(directory, { mode })
    } catch (error) {
      if (!this.#isKept(error)) throw error
    }
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
