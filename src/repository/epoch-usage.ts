/** Which objects of a cluster each of its keys seals. Only headers are read, and none while there is one key. */
import { throwIfAborted } from '../base/abort.ts'
import { isRetakeError, type RetakeError } from '../base/errors.ts'
import type { ProgressListener } from '../base/progress.ts'
import type { ClusterRepository } from './cluster.ts'
import { readCondemned } from './condemned.ts'
import { decodeHeader, HEADER_BYTES } from './container-layout.ts'
import {
  clusterFactsKey,
  clusterPrefix,
  epochPrefix,
  manifestKey,
  PACKS_PREFIX,
  parsePackKey,
  shredPrefix,
} from './layout.ts'
import { listManifests } from './manifest-revisions.ts'
import { openRevision, readManifestPacks } from './manifest-store.ts'
import { TAG_BYTES } from './sealing.ts'

/** What one key seals. */
export interface EpochUsage {
  readonly packs: number
  readonly packBytes: number
  /** Everything else: manifests, WAL, records, leases. */
  readonly objects: number
  readonly objectBytes: number
}

export interface SealedObject {
  readonly key: string
  readonly sizeBytes: number
  readonly epoch: number
}

export interface UsageOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
  /** Told of a manifest that cannot be read; its packs are then not among those that are found. Without it, damage is thrown. */
  readonly onDamage?: ((error: RetakeError, object: string) => void) | undefined
}

/** By epoch, of every epoch that seals something. @throws RetakeError `repo.damaged` when a manifest cannot be read */
export async function readEpochUsage(
  cluster: ClusterRepository,
  options: UsageOptions = {},
): Promise<Map<number, EpochUsage>> {
  const usage = new Map<number, EpochUsage>()
  const add = (epoch: number, more: Partial<EpochUsage>) => {
    const known = usage.get(epoch) ?? { packs: 0, packBytes: 0, objects: 0, objectBytes: 0 }
    usage.set(epoch, {
      packs: known.packs + (more.packs ?? 0),
      packBytes: known.packBytes + (more.packBytes ?? 0),
      objects: known.objects + (more.objects ?? 0),
      objectBytes: known.objectBytes + (more.objectBytes ?? 0),
    })
  }
  for await (const { epoch, sizeBytes } of listSealedObjects(cluster, options))
    add(epoch, { objects: 1, objectBytes: sizeBytes })
  for (const { epoch, sizeBytes } of await listSealedPacks(cluster, options))
    add(epoch, { packs: 1, packBytes: sizeBytes })
  return usage
}

/** Headers are read this many at a time. */
const BATCH = 16

/** Every object under `clusters/<cluster>/` that a data key seals, with its epoch; what has no header of ours is left out. */
export async function* listSealedObjects(
  cluster: ClusterRepository,
  options: UsageOptions = {},
): AsyncGenerator<SealedObject> {
  const { name } = cluster.facts
  let batch: { readonly key: string; readonly sizeBytes: number }[] = []
  let done = 0
  const flush = async () => {
    throwIfAborted(options.signal)
    const objects = await Promise.all(batch.map(async (info) => ({ ...info, epoch: await epochOf(cluster, info.key) })))
    done += batch.length
    options.onProgress?.({ phase: 'objects', done, unit: 'objects' })
    batch = []
    return objects.filter((object): object is SealedObject => object.epoch !== undefined)
  }
  for await (const info of cluster.store.list(clusterPrefix(name))) {
    if (!isSealedByDataKey(name, info.key)) continue
    batch.push(info)
    if (batch.length === BATCH) yield* await flush()
  }
  yield* await flush()
}

/** Whether a data key of the cluster seals it, and not the repository's own. */
function isSealedByDataKey(cluster: string, key: string): boolean {
  return (
    key !== clusterFactsKey(cluster) && !key.startsWith(epochPrefix(cluster)) && !key.startsWith(shredPrefix(cluster))
  )
}

/** Undefined when it is gone, or has no header: an empty tail part after a crash, or something that is not ours. */
export async function epochOf(cluster: ClusterRepository, key: string): Promise<number | undefined> {
  const bytes = await cluster.store.get(key, { offsetBytes: 0, lengthBytes: HEADER_BYTES })
  if (bytes === undefined || bytes.length < HEADER_BYTES) return undefined
  // The end of a tail's header is a tag, where others have zeros.
  const plain = Uint8Array.from(bytes)
  plain.fill(0, HEADER_BYTES - TAG_BYTES)
  return decodeHeader(plain)?.epoch
}

export interface SealedPack extends SealedObject {
  readonly packId: string
}

/**
 * The packs of the cluster with their epochs: those that any stored revision of a manifest names, and those that are condemned.
 * What is missing is left out.
 * @throws RetakeError `repo.damaged` when a manifest cannot be read
 */
export async function listSealedPacks(cluster: ClusterRepository, options: UsageOptions = {}): Promise<SealedPack[]> {
  const epochs = await readPackEpochs(cluster, options)
  const { packs: condemned } = await readCondemned(cluster, { onDamage: () => {} })
  const packs: SealedPack[] = []
  for await (const { key, sizeBytes } of cluster.store.list(PACKS_PREFIX)) {
    const packId = parsePackKey(key)
    if (packId === undefined) continue
    const epoch = epochs.get(packId) ?? (condemned.has(packId) ? await epochOf(cluster, key) : undefined)
    if (epoch !== undefined) packs.push({ key, packId, sizeBytes, epoch })
  }
  return packs
}

/** By pack, as the manifests say. */
async function readPackEpochs(cluster: ClusterRepository, options: UsageOptions): Promise<Map<string, number>> {
  const epochs = new Map<string, number>()
  const manifests = await listManifests(cluster)
  let done = 0
  for (const [backupId, revisions] of manifests) {
    throwIfAborted(options.signal)
    options.onProgress?.({ phase: 'manifests', done: done++, total: manifests.size, unit: 'objects' })
    for (const revision of revisions) {
      try {
        await collectPacks(cluster, { backupId, revision }, epochs)
      } catch (error) {
        if (!isRetakeError(error, 'repo.damaged') || !options.onDamage) throw error
        options.onDamage(error, manifestKey(cluster.facts.name, backupId, revision))
      }
    }
  }
  return epochs
}

async function collectPacks(
  cluster: ClusterRepository,
  place: { readonly backupId: string; readonly revision: number },
  epochs: Map<string, number>,
): Promise<void> {
  const manifest = await openRevision(cluster, place)
  if (manifest === undefined) return
  for await (const { packId, epoch } of readManifestPacks(manifest)) epochs.set(packId, epoch)
}
