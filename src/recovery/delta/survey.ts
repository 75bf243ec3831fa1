/** A quick look at a directory that is to be changed in place: what is there, and what will have to go. Reads no content. */
import { lstatSync, type Stats } from 'node:fs'
import path from 'node:path'
import { systemErrorCode } from '../../base/errors.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import type { FileEntry } from '../../repository/manifest.ts'
import { readEntries } from '../../repository/manifest-store.ts'
import type { PlanDelta, PlanPlace } from '../plan-types.ts'
import { sizeOfExtra, WantedTree } from './wanted-tree.ts'

export async function surveyDelta(
  cluster: ClusterRepository,
  options: {
    readonly backupId: string
    readonly place: PlanPlace
    readonly undoDirectory: string | undefined
    readonly signal?: AbortSignal | undefined
  },
): Promise<PlanDelta> {
  const { backupId, place, undoDirectory, signal } = options
  const wanted = new WantedTree(place)
  const sum = { presentFiles: 0, presentBytes: 0, atMostBytes: 0 }
  for await (const entry of readEntries(cluster, backupId)) {
    signal?.throwIfAborted()
    const file = wanted.add(entry)
    if (file !== undefined && entry.type === 'file') addFile(sum, file, entry)
  }
  const removed = { removedFiles: 0, removedBytes: 0, removedWalFiles: 0 }
  const walDirectory = path.join(place.targetDirectory, 'pg_wal')
  for await (const extra of wanted.extras()) {
    signal?.throwIfAborted()
    const { files, bytes } = await sizeOfExtra(extra)
    removed.removedFiles += files
    removed.removedBytes += bytes
    if (/^[0-9A-F]{24}(\.partial)?$/.test(path.basename(extra.file)) && path.dirname(extra.file) === walDirectory) {
      removed.removedWalFiles += 1
    }
  }
  return { ...(undoDirectory === undefined ? {} : { undoDirectory }), ...sum, ...removed }
}

function addFile(
  sum: { presentFiles: number; presentBytes: number; atMostBytes: number },
  file: string,
  entry: FileEntry,
): void {
  const found = lookAt(file)
  const present = found?.isFile() === true && found.nlink === 1
  if (present) {
    sum.presentFiles += 1
    sum.presentBytes += Math.min(found.size, entry.sizeBytes)
  }
  // A server sets the time whenever it writes; the archive of a base backup carries whole seconds.
  const looksEqual =
    present &&
    found.size === entry.sizeBytes &&
    Math.floor(found.mtimeMs / 1000) === Math.floor(entry.modifiedMs / 1000)
  if (!looksEqual) for (const run of entry.runs) if (run.frame) sum.atMostBytes += run.lengthBytes
}

/** What is there under this name; a file where one of its directories should be counts as nothing. */
function lookAt(file: string): Stats | undefined {
  try {
    return lstatSync(file, { throwIfNoEntry: false })
  } catch (error) {
    if (systemErrorCode(error) === 'ENOTDIR') return undefined
    throw error
  }
}
