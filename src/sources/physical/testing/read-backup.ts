/** Reads a backup back for tests: every entry, and the bytes of its files, straight from packs and manifest. */
import { assert } from '../../../base/errors.ts'
import type { ClusterRepository } from '../../../repository/cluster.ts'
import { type Container, openContainer } from '../../../repository/container.ts'
import { packKey } from '../../../repository/layout.ts'
import type { FileEntry, FrameRef, ManifestEntry } from '../../../repository/manifest.ts'
import { readEntries } from '../../../repository/manifest-store.ts'
import { contentId } from '../../../repository/sealing.ts'

const FRAMES_KEPT = 64

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
  const readFrame = cachedFrames(cluster, packs)
  return { entries, files, readFile: (path) => readFile(path, { entries, readFrame }) }
}

async function readFile(
  path: string,
  context: {
    readonly entries: BackupContent['entries']
    readonly readFrame: (frame: FrameRef) => Promise<Uint8Array>
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
    const frame = await context.readFrame(run.frame)
    bytes.set(frame.subarray(run.frameOffsetBytes, run.frameOffsetBytes + run.lengthBytes), run.offsetBytes)
  }
  assert(end === entry.sizeBytes, `the runs of ${path} cover it`)
  return bytes
}

/** Many small files lie in one frame: the last few frames are kept. */
function cachedFrames(
  cluster: ClusterRepository,
  packs: readonly Container[],
): (frame: FrameRef) => Promise<Uint8Array> {
  const kept = new Map<string, Uint8Array>()
  return async (ref) => {
    const key = `${ref.pack}:${ref.index}`
    const known = kept.get(key)
    if (known) return known
    const frame = await packs[ref.pack]?.readFrame(ref.index)
    assert(frame !== undefined && frame.length === ref.plainBytes, 'the frame is there')
    assert(contentId(cluster.sealing, frame) === ref.contentId, 'a content id is that of its frame')
    if (kept.size >= FRAMES_KEPT) kept.delete(kept.keys().next().value ?? '')
    kept.set(key, frame)
    return frame
  }
}
