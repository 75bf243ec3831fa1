/** Reads a part of a backup, chosen at random, as a restore would: fetched, authenticated, unpacked, compared with its content id. */
import { randomInt } from 'node:crypto'
import { throwIfAborted } from '../base/abort.ts'
import type { ProgressListener } from '../base/progress.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { damaged } from '../repository/container.ts'
import type { FrameRef, PackEntry } from '../repository/manifest.ts'
import { readEntries } from '../repository/manifest-store.ts'
import { contentId } from '../repository/sealing.ts'
import { frameDamaged, openPackFrame, packKeyOf } from './pack-frames.ts'

export interface SampleOptions {
  readonly backupId: string
  /** How many frames are read; all, when there are fewer. */
  readonly frames: number
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
}

export interface SampledBackup {
  /** Entries of the manifest, which was read to its end. */
  readonly files: number
  readonly frames: number
  /** Plaintext of those frames. */
  readonly bytes: number
}

/** @throws RetakeError `repo.damaged` naming the pack, `backup.missing`, `aborted` */
export async function sampleBackup(cluster: ClusterRepository, options: SampleOptions): Promise<SampledBackup> {
  const { backupId, signal, onProgress } = options
  const { packs, chosen, files } = await chooseFrames(cluster, options)
  let bytes = 0
  for (const [done, frame] of chosen.entries()) {
    throwIfAborted(signal)
    onProgress?.({ phase: 'sample', done, total: chosen.length, unit: 'steps' })
    const entry = packs[frame.pack]
    if (entry === undefined)
      throw damaged({ key: backupId }, `it refers to pack ${frame.pack}, which it does not declare`)
    bytes += await readFrame(cluster, entry, frame)
  }
  return { files, frames: chosen.length, bytes }
}

/** Each frame that a run refers to has the same chance; memory does not grow with the backup. */
async function chooseFrames(cluster: ClusterRepository, options: SampleOptions) {
  const packs: PackEntry[] = []
  const chosen: FrameRef[] = []
  let seen = 0
  let files = 0
  for await (const entry of readEntries(cluster, options.backupId)) {
    throwIfAborted(options.signal)
    if (entry.type === 'pack') packs.push(entry)
    if (entry.type !== 'file') continue
    files += 1
    for (const { frame } of entry.runs) {
      if (frame === undefined) continue
      seen += 1
      if (chosen.length < options.frames) chosen.push(frame)
      else {
        const place = randomInt(seen)
        if (place < options.frames) chosen[place] = frame
      }
    }
  }
  return { packs, chosen, files }
}

async function readFrame(cluster: ClusterRepository, entry: PackEntry, frame: FrameRef): Promise<number> {
  const { store, sealing } = cluster
  const pack = packKeyOf(sealing, entry)
  const stored = await store.get(pack.key, { offsetBytes: frame.offsetBytes, lengthBytes: frame.storedBytes })
  if (stored === undefined) throw damaged(pack, 'it is missing')
  const plain = openPackFrame(pack, frame, stored)
  if (plain === undefined || contentId(sealing, plain) !== frame.contentId) throw frameDamaged(pack, frame)
  return plain.length
}
