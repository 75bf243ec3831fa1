/** Lays the files of a backup out in the target directory: everything but the control file, which alone makes it startable. */
import { throwIfAborted } from '../base/abort.ts'
import { RetakeError } from '../base/errors.ts'
import type { ServerAccount } from '../postgres/server/account.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import type { FileEntry, PackEntry } from '../repository/manifest.ts'
import { readEntries } from '../repository/manifest-store.ts'
import { CONTROL_FILE } from './backup-survey.ts'
import { FrameSource } from './frame-source.ts'
import { isLeftOut } from './left-out.ts'
import type { RestorePlan } from './plan-types.ts'
import { BatchBuilder, type FileShape } from './restore-batches.ts'
import type { RestorePool } from './restore-pool.ts'
import type { TableSelection } from './tables/select-tables.ts'
import { TreeWriter } from './tree-writer.ts'

export interface LayOutOptions {
  readonly cluster: ClusterRepository
  readonly plan: RestorePlan
  /** Owns what is written; undefined: this process. */
  readonly account: ServerAccount | undefined
  /** Empty; whoever made it disposes it. */
  readonly pool: RestorePool
  /** Single tables are wanted: which files are left out. */
  readonly selection?: TableSelection | undefined
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

export async function layOut(options: LayOutOptions): Promise<LaidOut> {
  const { pool } = options
  const batches = new BatchBuilder()
  const tree = await makeTree(options, {
    addPack: (entry) => batches.addPack(entry),
    async addFile(entry, shape) {
      for (const batch of batches.addFile(entry, shape)) await pool.submit(batch)
    },
  })
  for (const batch of batches.flush()) await pool.submit(batch)
  await pool.settle()
  const { plainBytes: writtenBytes, storedBytes: fetchedBytes } = pool.done
  return { ...tree, writtenBytes, fetchedBytes }
}

/** What becomes of the entries that {@link makeTree} does not make itself. */
export interface TreeHandlers {
  readonly addPack: (entry: PackEntry) => void
  readonly addFile: (entry: FileEntry, shape: FileShape) => Promise<void>
}

/** Goes through the manifest: makes directories and links, hands the files out, and reads the control file. */
export async function makeTree(
  options: Omit<LayOutOptions, 'pool'>,
  handlers: TreeHandlers,
): Promise<Pick<LaidOut, 'fileCount' | 'controlFile' | 'skippedLinks'>> {
  const { cluster, plan, account, signal, selection } = options
  const { place, backup } = plan
  const writer = new TreeWriter(place, account)
  await writer.makeTablespaces()
  const packs: PackEntry[] = []
  let control: FileEntry | undefined
  let fileCount = 0
  for await (const entry of readEntries(cluster, backup.backupId)) {
    throwIfAborted(signal)
    if (entry.type === 'pack') {
      packs.push(entry)
      handlers.addPack(entry)
    } else if (entry.path === CONTROL_FILE && entry.type === 'file') control = entry
    else if (isLeftOut(entry.path) || (entry.type === 'file' && selection?.leavesOut(entry.path))) continue
    else if (entry.type === 'directory') writer.makeDirectory(entry)
    else if (entry.type === 'link') await writer.makeLink(entry)
    else {
      fileCount += 1
      await handlers.addFile(entry, writer.shapeFile(entry))
    }
  }
  if (!control)
    throw new RetakeError('repo.damaged', `Backup ${backup.backupId} has no control file, so it cannot be restored.`)
  const controlFile = await new FrameSource(cluster, packs).readFile(control)
  return { fileCount, controlFile, skippedLinks: writer.skippedLinks }
}
