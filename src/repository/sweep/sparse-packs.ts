/**
 * Repacking: what is still needed of sparse packs moves into new packs, so that the old ones can go. Order (R1): new packs
 * durable, then the manifests that refer to them, then the old packs and the replaced manifests condemned. After a crash in
 * between, packs that nothing refers to and manifests that were replaced are found and condemned by the next pruning.
 */
import { throwIfAborted } from '../../base/abort.ts'
import { type Clock, systemClock } from '../../base/clock.ts'
import { assert, isRetakeError } from '../../base/errors.ts'
import { timeOrderedId } from '../../base/ids.ts'
import { type Logger, type ProgressListener, silentLogger } from '../../base/progress.ts'
import type { ClusterRepository } from '../cluster.ts'
import { type Container, damaged, openContainer } from '../container.ts'
import { packKey } from '../layout.ts'
import { type MapFrame, type PlacedFrame, rewriteManifest } from '../repack.ts'
import { beginRewrite, endRewrite } from '../runs.ts'
import { contentId } from '../sealing.ts'
import type { LiveFrames } from './live-frames.ts'
import { RepackWriter } from './repack-writer.ts'
import type { Survey } from './survey.ts'

/** Packs of which less than this share is referred to are rewritten. */
export const DEFAULT_REPACK_BELOW = 0.5

/** Frames whose new places are remembered at once, some 250 bytes each. */
const MOST_FRAMES = 100_000

export interface SparsePack {
  readonly packId: string
  readonly sizeBytes: number
  readonly liveBytes: number
  readonly frameCount: number
}

/** The packs that are worth rewriting, the emptiest first. Packs that nothing refers to are not among them: they go anyway. */
export function findSparsePacks(options: {
  readonly survey: Pick<Survey, 'packs'>
  readonly frames: LiveFrames
  /** 0 to 1. */
  readonly belowShare: number
}): SparsePack[] {
  const { survey, frames, belowShare } = options
  const sparse: SparsePack[] = []
  for (const [packId, sizeBytes] of survey.packs) {
    const liveBytes = frames.liveBytesOf(packId)
    if (liveBytes === 0 || liveBytes >= sizeBytes * belowShare) continue
    sparse.push({ packId, sizeBytes, liveBytes, frameCount: frames.countOf(packId) })
  }
  return sparse.sort((left, right) => left.liveBytes / left.sizeBytes - right.liveBytes / right.sizeBytes)
}

/** Splits the work so that memory stays bounded; each part rewrites the manifests that it concerns. */
export function repackBatches(sparse: readonly SparsePack[], mostFrames = MOST_FRAMES): SparsePack[][] {
  const batches: SparsePack[][] = []
  let frames = 0
  for (const pack of sparse) {
    if (batches.length === 0 || frames + pack.frameCount > mostFrames) {
      batches.push([])
      frames = 0
    }
    batches.at(-1)?.push(pack)
    frames += pack.frameCount
  }
  return batches
}

export interface RepackOptions {
  readonly sparse: readonly SparsePack[]
  readonly frames: LiveFrames
  /** The backups that refer to a pack now. */
  readonly usersOf: (packId: string) => readonly string[]
  /** zstd level of the new frames. */
  readonly compressionLevel?: number | undefined
  /** Size that new packs aim at. */
  readonly packTargetBytes?: number | undefined
  readonly clock?: Clock | undefined
  readonly logger?: Logger | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
}

export interface RepackResult {
  /** What nothing refers to any more, to be condemned: stored bytes by pack id. */
  readonly packs: ReadonlyMap<string, number>
  /** Manifests that were replaced, to be condemned. */
  readonly revisions: readonly { readonly backupId: string; readonly revision: number }[]
  /** Stored bytes of the new packs. */
  readonly writtenBytes: number
  /** Packs left as they are because a frame that is needed is damaged. */
  readonly damaged: readonly string[]
}

/**
 * Moves the frames that are needed, and rewrites the manifests. The caller holds the lease `prune`.
 * @throws RetakeError `storage.*`, `repo.damaged` (of a manifest), `aborted`; what was written by then is condemned by the next pruning
 */
export async function repack(cluster: ClusterRepository, options: RepackOptions): Promise<RepackResult> {
  const { clock = systemClock, sparse } = options
  const runId = timeOrderedId(clock.now())
  await beginRewrite(cluster, runId)
  await using writer = new RepackWriter(cluster, { ...options, runId })
  const moved = new Map<string, PlacedFrame>()
  const packs = new Map<string, number>()
  const spoilt: string[] = []
  let done = 0
  for (const { packId, sizeBytes } of sparse) {
    throwIfAborted(options.signal)
    const frames = await copyPack(cluster, { ...options, packId, writer })
    if (frames === undefined) spoilt.push(packId)
    else packs.set(packId, sizeBytes)
    for (const [key, placed] of frames ?? []) moved.set(key, placed)
    done += 1
    options.onProgress?.({ phase: 'repack', done, total: sparse.length, unit: 'objects' })
  }
  await writer.finish()
  const revisions = await rewriteAll(cluster, { ...options, packs, moved })
  await endRewrite(cluster, runId)
  return { packs, revisions, writtenBytes: writer.writtenBytes, damaged: spoilt }
}

/** The new places of the live frames of one pack; undefined when one of them is damaged: then all of it stays where it is. */
async function copyPack(
  cluster: ClusterRepository,
  options: RepackOptions & { readonly packId: string; readonly writer: RepackWriter },
): Promise<Map<string, PlacedFrame> | undefined> {
  const { packId, frames, writer, logger = silentLogger } = options
  const name = { key: packKey(packId), kind: 'pack' } as const
  const moved = new Map<string, PlacedFrame>()
  try {
    const pack = await openContainer(cluster.store, cluster.sealing, name)
    if (pack === undefined) return undefined
    for (const { index } of pack.frames) {
      if (!frames.isLive(packId, index)) continue
      throwIfAborted(options.signal)
      const { plain, id } = await readGenuine(cluster, pack, index)
      moved.set(`${packId}:${index}`, await writer.write(plain, id))
    }
    return moved
  } catch (error) {
    if (!isRetakeError(error, 'repo.damaged')) throw error
    logger.warn(`${name.key} is not rewritten, because it is damaged; what can be read of it stays there.`, {
      cause: error.message,
    })
    return undefined
  }
}

async function readGenuine(
  cluster: ClusterRepository,
  pack: Container,
  index: number,
): Promise<{ readonly plain: Uint8Array; readonly id: string }> {
  const id = pack.frames[index]?.contentId
  const plain = await pack.readFrame(index)
  if (id === undefined || contentId(cluster.sealing, plain) !== id)
    throw damaged(pack, `the content of its frame ${index} is not what its id says`)
  return { plain, id }
}

async function rewriteAll(
  cluster: ClusterRepository,
  options: RepackOptions & {
    readonly packs: ReadonlyMap<string, number>
    readonly moved: ReadonlyMap<string, PlacedFrame>
  },
): Promise<{ backupId: string; revision: number }[]> {
  const { packs, moved } = options
  const mapFrame: MapFrame = ({ pack, frame }) => {
    if (!packs.has(pack.packId)) return undefined
    const place = moved.get(`${pack.packId}:${frame.index}`)
    assert(place, 'every frame that a manifest refers to has moved')
    return place
  }
  const backups = [...new Set([...packs.keys()].flatMap((packId) => options.usersOf(packId)))].sort()
  const replaced: { backupId: string; revision: number }[] = []
  for (const [done, backupId] of backups.entries()) {
    throwIfAborted(options.signal)
    options.onProgress?.({ phase: 'rewrite manifests', done, total: backups.length, unit: 'objects' })
    const { revision, changed } = await rewriteManifest(cluster, backupId, mapFrame)
    if (changed) replaced.push({ backupId, revision: revision - 1 })
  }
  return replaced
}
