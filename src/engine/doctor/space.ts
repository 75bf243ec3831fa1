import { statfs } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

export interface FreeSpace {
  readonly freeBytes: number
  readonly totalBytes: number
}

/** What this user may still write on the disk that a directory lies on. */
export async function freeSpace(directory: string): Promise<FreeSpace> {
  const { bavail, blocks, bsize } = await statfs(directory)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}

/** The directory that a repository's URL means; undefined for a bucket. */
export function directoryOf(url: string): string | undefined {
  if (url.startsWith('/')) return url
  return url.startsWith('file:') ? fileURLToPath(url) : undefined
}
