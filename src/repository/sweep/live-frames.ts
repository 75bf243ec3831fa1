/** Which frames of each pack are referred to, and how many stored bytes that is. One bit per frame: ten million fit into 2 MiB. */
import { throwIfAborted } from '../../base/abort.ts'
import type { ProgressListener } from '../../base/progress.ts'
import type { ClusterRepository } from '../cluster.ts'
import type { FrameRef, PackEntry } from '../manifest.ts'
import { openManifest, readManifestEntries } from '../manifest-store.ts'

interface PackFrames {
  seen: Uint8Array
  liveBytes: number
  count: number
}

export class LiveFrames {
  readonly #packs = new Map<string, PackFrames>()

  add(packId: string, frame: Pick<FrameRef, 'index' | 'storedBytes'>): void {
    const { index, storedBytes } = frame
    let pack = this.#packs.get(packId)
    if (pack === undefined) {
      pack = { seen: new Uint8Array(32), liveBytes: 0, count: 0 }
      this.#packs.set(packId, pack)
    }
    const byte = index >> 3
    if (byte >= pack.seen.length) {
      const larger = new Uint8Array(Math.max(byte + 1, pack.seen.length * 2))
      larger.set(pack.seen)
      pack.seen = larger
    }
    const bit = 1 << (index & 7)
    const bits = pack.seen[byte] ?? 0
    if ((bits & bit) !== 0) return
    pack.seen[byte] = bits | bit
    pack.liveBytes += storedBytes
    pack.count += 1
  }

  /** Stored bytes of the frames that are referred to. */
  liveBytesOf(packId: string): number {
    return this.#packs.get(packId)?.liveBytes ?? 0
  }

  countOf(packId: string): number {
    return this.#packs.get(packId)?.count ?? 0
  }

  isLive(packId: string, index: number): boolean {
    const bits = this.#packs.get(packId)?.seen[index >> 3] ?? 0
    return (bits & (1 << (index & 7))) !== 0
  }
}

/** Counts what these backups refer to; reads their manifests entry by entry. @throws RetakeError `repo.damaged`, `aborted` */
export async function countLiveFrames(
  cluster: ClusterRepository,
  backupIds: readonly string[],
  options: { readonly signal?: AbortSignal | undefined; readonly onProgress?: ProgressListener | undefined } = {},
): Promise<LiveFrames> {
  const frames = new LiveFrames()
  for (const [done, backupId] of backupIds.entries()) {
    throwIfAborted(options.signal)
    options.onProgress?.({ phase: 'frames', done, total: backupIds.length, unit: 'objects' })
    const manifest = await openManifest(cluster, backupId)
    if (manifest === undefined) continue
    const packs: PackEntry[] = []
    for await (const entry of readManifestEntries(manifest)) {
      if (entry.type === 'pack') packs.push(entry)
      if (entry.type !== 'file') continue
      for (const { frame } of entry.runs) {
        const pack = frame && packs[frame.pack]
        if (pack) frames.add(pack.packId, frame)
      }
    }
  }
  return frames
}
