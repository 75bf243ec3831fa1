/** Lists a data directory as a base backup would send it: tablespaces first, then PGDATA; the control file is for the caller, at the end. */
import { lstatSync, type Stats } from 'node:fs'
import { readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { systemErrorCode } from '../../../base/errors.ts'
import { type Treatment, treatmentOf } from './left-out.ts'

export interface FoundEntry {
  readonly type: 'directory' | 'file' | 'link' | 'special'
  /** As manifests have it: relative to PGDATA, tablespaces under `pg_tblspc/<oid>/`. */
  readonly path: string
  /** Where it is on this machine. */
  readonly location: string
  /** Permission bits. */
  readonly mode: number
  /** Of a file, when it was listed. */
  readonly sizeBytes: number
  /** Of a link. */
  readonly linkTarget?: string | undefined
}

export interface WalkOptions {
  /** Tablespaces outside of PGDATA. */
  readonly tablespaceOids: readonly number[]
  /** What this version of the server calls its directory in a tablespace, such as `PG_17_202406281`. */
  readonly tablespaceDirectory: string
  /** The mode of a directory that stands for a link. */
  readonly directoryMode: number
}

/** Entries that vanish while they are listed are passed over: the log says what became of them. */
export async function* walkDataDirectory(dataDirectory: string, options: WalkOptions): AsyncGenerator<FoundEntry> {
  for (const oid of options.tablespaceOids) {
    const path = `pg_tblspc/${oid}/${options.tablespaceDirectory}`
    const top = inspect(path, join(dataDirectory, path))
    if (top?.type !== 'directory') continue
    yield top
    yield* walk(top, { dataDirectory, ...options })
  }
  yield* walk({ path: '', location: dataDirectory }, { dataDirectory, ...options })
}

async function* walk(
  directory: Pick<FoundEntry, 'path' | 'location'>,
  options: { readonly dataDirectory: string; readonly directoryMode: number },
): AsyncGenerator<FoundEntry> {
  const names = await listNames(directory.location)
  const siblings = { names: new Set(names) }
  for (const name of names) {
    const treatment = treatmentOf(directory.path, name, siblings)
    if (treatment === 'leave-out' || treatment === 'last') continue
    const path = directory.path === '' ? name : `${directory.path}/${name}`
    const found = inspect(path, join(options.dataDirectory, path))
    if (!found) continue
    if (treatment !== 'take') yield* emptied(found, { treatment, directoryMode: options.directoryMode })
    else if (found.type === 'link') yield* link(found, directory.path)
    else yield found
    if (treatment === 'take' && found.type === 'directory') yield* walk(found, options)
  }
}

/** A directory whose content stays behind. What is a link becomes a directory: where it leads is a matter of this machine. */
function* emptied(
  found: FoundEntry,
  options: { readonly treatment: Treatment; readonly directoryMode: number },
): Generator<FoundEntry> {
  const mode = found.type === 'link' ? options.directoryMode : found.mode
  const directory = { ...found, type: 'directory' as const, mode, sizeBytes: 0 }
  yield directory
  if (options.treatment !== 'wal') return
  for (const name of ['archive_status', 'summaries']) {
    const location = join(found.location, name)
    if (inspect('', location)) yield { ...directory, path: `${found.path}/${name}`, location }
  }
}

/** Links are allowed in `pg_tblspc` only, as in the server's own backups. */
async function* link(found: FoundEntry, directory: string): AsyncGenerator<FoundEntry> {
  if (directory !== 'pg_tblspc') yield { ...found, type: 'special' }
  else yield { ...found, linkTarget: await readlink(found.location) }
}

async function listNames(location: string): Promise<string[]> {
  try {
    return await readdir(location)
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
}

function inspect(path: string, location: string): FoundEntry | undefined {
  const stats = statusOf(location)
  if (!stats) return undefined
  const { mode, size } = stats
  const type = typeOf(stats)
  return { type, path, location, mode: mode & 0o7777, sizeBytes: type === 'file' ? size : 0 }
}

function statusOf(location: string): Stats | undefined {
  try {
    return lstatSync(location)
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

function typeOf(stats: Stats): FoundEntry['type'] {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  return stats.isSymbolicLink() ? 'link' : 'special'
}

/** ENOTDIR: something that was a directory has been replaced meanwhile. */
export function isGone(error: unknown): boolean {
  const code = systemErrorCode(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}
