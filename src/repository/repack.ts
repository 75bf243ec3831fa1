/**
 * A manifest written anew because frames have moved to other packs. The backup is the same: every path, size, mode and content
 * id; only the places of frames differ. The new revision counts from its commit on; the older one stays readable for whoever
 * has it open, and is deleted in two phases.
 */
import { assert, RetakeError } from '../base/errors.ts'
import type { ClusterRepository } from './cluster.ts'
import type { FileEntry, FileRun, FrameRef, PackEntry } from './manifest.ts'
import { ManifestWriter, openManifest, readManifestEntries } from './manifest-store.ts'

export type PackPlace = Omit<PackEntry, 'type'>

/** Where a frame is: its pack, and its place in there. */
export interface PlacedFrame {
  readonly pack: PackPlace
  readonly frame: Omit<FrameRef, 'pack'>
}

/**
 * Says where a frame is now; undefined when it has not moved. What it names must be durable, and hold the same plaintext. Called
 * once for each run of each file, so it should be quick.
 */
export type MapFrame = (placed: PlacedFrame) => PlacedFrame | undefined

export interface RewrittenManifest {
  /** The revision that counts now. */
  readonly revision: number
  /** False when no frame has moved: then nothing was written. */
  readonly changed: boolean
}

/**
 * Rewrites the manifest of a backup so that it refers to frames where they are now. The caller holds the lease `prune`, which
 * keeps two rewrites of one manifest apart, and afterwards has the replaced revision and packs condemned (`sweep/`).
 *
 * One frame of entries is in memory at a time. Only packs that are referred to are declared again.
 * @throws RetakeError `backup.missing`, `repo.damaged`, `repo.conflict`
 */
export async function rewriteManifest(
  cluster: ClusterRepository,
  backupId: string,
  mapFrame: MapFrame,
): Promise<RewrittenManifest> {
  const manifest = await openManifest(cluster, backupId)
  if (manifest === undefined) {
    throw new RetakeError('backup.missing', `The cluster "${cluster.facts.name}" has no backup ${backupId}.`, {
      hint: 'List the backups with `retake backups`.',
      details: { backupId },
    })
  }
  const revision = manifest.revision + 1
  await using writer = await ManifestWriter.open(cluster, backupId, { revision })
  const packs: PackPlace[] = []
  const declared = new Map<string, number>()
  let changed = false
  for await (const entry of readManifestEntries(manifest)) {
    if (entry.type === 'pack') {
      packs.push({ packId: entry.packId, salt: entry.salt, epoch: entry.epoch })
      continue
    }
    if (entry.type !== 'file') {
      await writer.add(entry)
      continue
    }
    const runs: FileRun[] = []
    for (const run of entry.runs) {
      if (run.frame === undefined) {
        runs.push(run)
        continue
      }
      const old = placeOf(run.frame, packs)
      const moved = mapFrame(old)
      if (moved !== undefined) changed = true
      const { pack, frame } = moved ?? old
      assert(frame.contentId === old.frame.contentId, 'a frame that moves keeps its content')
      let number = declared.get(pack.packId)
      if (number === undefined) {
        number = writer.packCount
        declared.set(pack.packId, number)
        await writer.add({ type: 'pack', ...pack })
      }
      runs.push({ ...run, frame: { ...frame, pack: number } })
    }
    const file: FileEntry = { ...entry, runs }
    await writer.add(file)
  }
  if (!changed) return { revision: manifest.revision, changed }
  await writer.commit({ ...manifest.summary, packCount: declared.size })
  return { revision, changed }
}

function placeOf(ref: FrameRef, packs: readonly PackPlace[]): PlacedFrame {
  const { pack: number, ...frame } = ref
  const pack = packs[number]
  assert(pack !== undefined, 'a pack is declared before it is referred to')
  return { pack, frame }
}
