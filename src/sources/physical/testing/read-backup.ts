/** Reads a backup back for tests: every entry, and the bytes of its files, straight from packs and manifest. */
import { assert } from '../../../base/errors.ts'
import type { ClusterRepository } from '../../../repository/cluster.ts'
import { type Container, openContainer } from '../../../repository/container.ts'
import { packKey } from '../../../repository/layout.ts'
import type { FileEntry, ManifestEntry } from '../../../repository/manifest.ts'
import { readEntries } from '../../../repository/manifest-store.ts'
import { contentId } from '../../../repository/sealing.ts'

export interface BackupContent {
  readonly entries: ReadonlyMap<string, Exclude<ManifestEntry, { type: 'pack' }>>
  readonly files: readonly FileEntry[]
  readFile(path: string): Promise<Buffer>
}

export async function readBackup(cluster: ClusterRepository, backupId: string): Promise<BackupContent> {
  const packs: Container[] = []
  const entries = new Map<string, Exclude<ManifestEntry, { type: 'pack' }>>()
  for await (const entry of readEntries(cluster, backupId)) {
    if (entry.type === 'pack') {
      const pack = await openContainer(cluster.store, cluster.sealing, { key: packKey(entry.packId), kind: 'pack' })
      assert(pack !== undefined, `pack ${entry.packId} is there`)
      assert(Buffer.from(pack.salt).toString('base64url') === entry.salt, 'the manifest knows the salt of a pack')
      packs.push(pack)
    } else {
      assert(!entries.has(entry.path), `${entry.path} is in the manifest once`)
      entries.set(entry.path, entry)
    }
  }
  const files = [...entries.values()].filter((entry) => entry.type === 'file')
  return { entries, files, readFile: (path) => readFile(path, { entries, packs, cluster }) }
}

async function readFile(
  path: string,
  context: {
    readonly entries: BackupContent['entries']
    readonly packs: readonly Container[]
    readonly cluster: ClusterRepository
  },
): Promise<Buffer> {
  const entry = context.entries.get(path)
  assert(entry?.type === 'file', `${path} is a file of the backup`)
  const bytes = Buffer.alloc(entry.sizeBytes)
  let end = 0
  for (const run of entry.runs) {
    assert(run.offsetBytes === end, `the runs of ${path} adjoin`)
    end += run.lengthBytes
    if (!run.frame) continue
    const frame = await context.packs[run.frame.pack]?.readFrame(run.frame.index)
    assert(frame !== undefined && frame.length === run.frame.plainBytes, `the frame of ${path} is there`)
    assert(contentId(context.cluster.sealing, frame) === run.frame.contentId, 'a content id is that of its frame')
    bytes.set(frame.subarray(run.frameOffsetBytes, run.frameOffsetBytes + run.lengthBytes), run.offsetBytes)
  }
  assert(end === entry.sizeBytes, `the runs of ${path} cover it`)
  return bytes
}
