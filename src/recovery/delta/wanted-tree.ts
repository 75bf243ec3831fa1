/** The names that a restored data directory has, to tell what else is in it. */
import { lstatSync } from 'node:fs'
import { readdir, readlink } from 'node:fs/promises'
import path from 'node:path'
import { systemErrorCode } from '../../base/errors.ts'
import type { ManifestEntry } from '../../repository/manifest.ts'
import { CONTROL_FILE } from '../backup-survey.ts'
import { EntryPaths } from '../entry-paths.ts'
import { isLeftOut } from '../left-out.ts'
import type { PlanPlace } from '../plan-types.ts'
import { MARKER } from '../target-directory.ts'

type Wanted = { readonly kind: 'directory' | 'file' } | { readonly kind: 'link'; readonly target: string }

const DIRECTORY: Wanted = { kind: 'directory' }
const FILE: Wanted = { kind: 'file' }

/** A file or a link, or a directory with all that is in it. */
export interface Extra {
  readonly file: string
  readonly isDirectory: boolean
}

/** By directory, then name: a path is held once however many files are in it. Some 50 bytes a file. */
export class WantedTree {
  readonly #place: PlanPlace
  readonly #paths: EntryPaths
  readonly #byDirectory = new Map<string, Map<string, Wanted>>()

  constructor(place: PlanPlace) {
    this.#place = place
    this.#paths = new EntryPaths(place)
    this.#byDirectory.set(place.targetDirectory, new Map([[MARKER, FILE]]))
    for (const { oid, location } of place.tablespaces) {
      this.#byDirectory.set(location, new Map())
      this.#add(path.join(place.targetDirectory, 'pg_tblspc', String(oid)), { kind: 'link', target: location })
    }
  }

  /** Where a file of the backup belongs; undefined for other entries and for what a restore does not make in this pass. */
  add(entry: ManifestEntry): string | undefined {
    if (entry.type === 'pack' || (isLeftOut(entry.path) && entry.path !== CONTROL_FILE)) return undefined
    const located = this.#paths.locate(entry.path)
    if (entry.type === 'link') {
      if (this.#paths.staysInside(located, entry.target)) this.#add(located, { kind: 'link', target: entry.target })
      return undefined
    }
    // The control file's folder is wanted, the file itself is put there last.
    if (entry.path === CONTROL_FILE) this.#addDirectory(path.dirname(located))
    else this.#add(located, entry.type === 'directory' ? DIRECTORY : FILE)
    return entry.type === 'file' && entry.path !== CONTROL_FILE ? located : undefined
  }

  /**
   * Everything in the directory and in its tablespaces that is not wanted: other names, names of another kind, links that lead
   * elsewhere, and files with a second name, which must not change with this one. Links are never followed.
   */
  async *extras(): AsyncGenerator<Extra> {
    yield* this.#extrasIn(this.#place.targetDirectory)
    for (const { location } of this.#place.tablespaces) yield* this.#extrasIn(location)
  }

  async *#extrasIn(directory: string): AsyncGenerator<Extra> {
    const wanted = this.#byDirectory.get(directory)
    for (const entry of await listing(directory)) {
      const file = path.join(directory, entry.name)
      const expected = wanted?.get(entry.name)
      if (entry.isDirectory()) {
        if (expected?.kind === 'directory') yield* this.#extrasIn(file)
        else yield { file, isDirectory: true }
      } else if (entry.isSymbolicLink()) {
        if (expected?.kind !== 'link' || (await readlink(file)) !== expected.target) yield { file, isDirectory: false }
      } else if (!entry.isFile() || expected?.kind !== 'file' || lstatSync(file).nlink > 1) {
        yield { file, isDirectory: false }
      }
    }
  }

  #add(located: string, wanted: Wanted): void {
    const directory = path.dirname(located)
    this.#addDirectory(directory)
    this.#byDirectory.get(directory)?.set(path.basename(located), wanted)
    if (wanted.kind === 'directory') this.#addDirectory(located)
  }

  /** With the directories above it; the target and the tablespaces' places are there from the beginning. */
  #addDirectory(directory: string): void {
    if (this.#byDirectory.has(directory)) return
    this.#byDirectory.set(directory, new Map())
    this.#add(directory, DIRECTORY)
  }
}

/** A tablespace's place may not exist yet. */
async function listing(directory: string) {
  try {
    return await readdir(directory, { withFileTypes: true })
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw error
  }
}

/** Files and bytes of an extra. */
export async function sizeOfExtra({ file, isDirectory }: Extra): Promise<{ files: number; bytes: number }> {
  if (!isDirectory) {
    const info = lstatSync(file, { throwIfNoEntry: false })
    return { files: 1, bytes: info?.isFile() ? info.size : 0 }
  }
  const sum = { files: 0, bytes: 0 }
  for (const entry of await listing(file)) {
    const inner = await sizeOfExtra({ file: path.join(file, entry.name), isDirectory: entry.isDirectory() })
    sum.files += inner.files
    sum.bytes += inner.bytes
  }
  return sum
}
