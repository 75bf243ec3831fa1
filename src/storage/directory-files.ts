/** The few file operations whose order makes a directory durable. Errors are plain system errors; the store gives them meaning. */
import { constants, type Dirent } from 'node:fs'
import { type FileHandle, mkdir, open, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemErrorCode } from '../base/errors.ts'

export const FILE_MODE = 0o600
export const DIRECTORY_MODE = 0o700
/** `writev` takes at most IOV_MAX pieces at once. */
const MAX_PIECES = 512

/** Writes all pieces at the file's position, without joining them first; goes on after a short write. */
export async function writeFully(file: FileHandle, pieces: readonly Uint8Array[]): Promise<void> {
  let rest = pieces.filter((piece) => piece.length > 0)
  while (rest.length > 0) {
    const batch = rest.slice(0, MAX_PIECES)
    const { bytesWritten } = await file.writev(batch)
    rest = dropBytes(rest, bytesWritten)
  }
}

function dropBytes(pieces: readonly Uint8Array[], count: number): Uint8Array[] {
  let left = count
  let index = 0
  for (; index < pieces.length; index++) {
    const length = pieces[index]?.length ?? 0
    if (left < length) break
    left -= length
  }
  const [first, ...others] = pieces.slice(index)
  return first === undefined ? [] : [first.subarray(left), ...others]
}

/** Reads up to `lengthBytes` from an offset; fewer only at the end of the file. */
export async function readFully(file: FileHandle, offsetBytes: number, lengthBytes: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafe(lengthBytes)
  let length = 0
  while (length < lengthBytes) {
    const { bytesRead } = await file.read(buffer, length, lengthBytes - length, offsetBytes + length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return buffer.subarray(0, length)
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, constants.O_RDONLY)
  try {
    await directory.sync()
  } catch (error) {
    // Some network file systems cannot sync a directory and are synchronous about names anyway.
    if (systemErrorCode(error) !== 'EINVAL') throw error
  }
}

/**
 * Creates a directory and its parents below `root` (which exists), and makes each name durable: also one that another
 * process has just made and may not have synced yet.
 */
export async function ensureDirectory(
  path: string,
  options: { readonly root: string; readonly known: Set<string> },
): Promise<void> {
  if (path === options.root || options.known.has(path)) return
  await ensureDirectory(dirname(path), options)
  await mkdir(path, { mode: DIRECTORY_MODE }).catch((error: unknown) => {
    if (systemErrorCode(error) !== 'EEXIST') throw error
  })
  await syncDirectory(dirname(path))
  options.known.add(path)
}

/** The entries of a directory in the byte order of the keys they begin: a directory sorts as its name and a slash. */
export async function sortedEntries(path: string): Promise<Dirent[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    if (isMissing(error)) return []
    throw error
  })
  const sortKey = (entry: Dirent) => (entry.isDirectory() ? `${entry.name}/` : entry.name)
  return entries.sort((left, right) => (sortKey(left) < sortKey(right) ? -1 : 1))
}

export function isMissing(error: unknown): boolean {
  const code = systemErrorCode(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}

export function pathOfKey(root: string, key: string): string {
  return join(root, ...key.split('/'))
}
