/** How much a repository holds, of what, and what it would take without compression and without sharing. Lists; reads summaries. */
import { throwIfAborted } from '../../base/abort.ts'
import type { ProgressListener } from '../../base/progress.ts'
import type { ClusterRepository } from '../cluster.ts'
import { packIdPrefix, parsePackKey } from '../layout.ts'
import type { BackupSummary, PackEntry } from '../manifest.ts'
import { listBackups, readEntries } from '../manifest-store.ts'
import type { Repository } from '../repository.ts'
import { parseWalKey, SegmentSequence, walPrefix } from '../wal-layout.ts'
import { FrameSet } from './frame-set.ts'

export interface KindStats {
  /** `packs`, `manifests`, `wal`, `keys`, or the folder of a cluster. */
  readonly kind: string
  readonly objects: number
  readonly bytes: number
}

export interface ClusterStats {
  readonly cluster: string
  readonly backups: number
  /** Manifests that cannot be read; they are not counted below. */
  readonly unreadableBackups: readonly string[]
  /** What all backups restore to, together. */
  readonly logicalBytes: number
  /** Packs that its backups wrote, and manifests. */
  readonly storedBytes: number
  /** Finished and partial segments, as the server wrote them, and as they are stored with tails and everything else of the archive. */
  readonly walLogicalBytes: number
  readonly walStoredBytes: number
  /**
   * Logical by stored, backups and WAL together, of packs what backups refer to where {@link sharing} is known. Undefined when nothing
   * is stored, and when packs of other writers may be in use.
   */
  readonly ratio?: number | undefined
  readonly sharing?: SharingStats | undefined
}

/** What the same frame in several places saves; from every manifest. */
export interface SharingStats {
  /** Stored bytes of the frames that some backup refers to, each counted once. */
  readonly referencedBytes: number
  /** What the backups would take if each kept its own copy of every frame. */
  readonly aloneBytes: number
  readonly savedBytes: number
}

export interface RepositoryStats {
  readonly repositoryId: string
  readonly url: string
  readonly objects: number
  readonly storedBytes: number
  readonly logicalBytes: number
  readonly ratio?: number | undefined
  /** Largest first. */
  readonly kinds: readonly KindStats[]
  readonly clusters: readonly ClusterStats[]
  /** Packs whose writer is no backup that is listed: of interrupted backups, of backups given up, repacked. Backups may refer to them. */
  readonly otherPacks: { readonly objects: number; readonly bytes: number }
}

export interface StatsOptions {
  /** Also reads every manifest to its end, for {@link SharingStats}. Default false. */
  readonly sharing?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
}

/** @throws RetakeError `storage.failed`, `repo.damaged` when a cluster cannot be opened */
export async function computeStats(repository: Repository, options: StatsOptions = {}): Promise<RepositoryStats> {
  const census = await takeCensus(repository, options)
  const clusters: ClusterStats[] = []
  for (const name of await repository.listClusters()) {
    clusters.push(await clusterStats(await repository.openCluster(name), census, options))
  }
  const logicalBytes = clusters.reduce((sum, one) => sum + one.logicalBytes + one.walLogicalBytes, 0)
  const otherPacks = { objects: 0, bytes: 0 }
  for (const { objects, bytes } of census.packs.values()) {
    otherPacks.objects += objects
    otherPacks.bytes += bytes
  }
  const kinds = [...census.kinds]
    .map(([kind, sum]) => ({ kind, ...sum }))
    .sort((left, right) => right.bytes - left.bytes)
  const storedBytes = kinds.reduce((sum, one) => sum + one.bytes, 0)
  return {
    repositoryId: repository.id,
    url: repository.url,
    objects: kinds.reduce((sum, one) => sum + one.objects, 0),
    storedBytes,
    logicalBytes,
    ...ratioOf(logicalBytes, storedBytes),
    kinds,
    clusters: clusters.map((cluster) => withRatio(cluster, otherPacks.objects > 0)),
    otherPacks,
  }
}

function withRatio(cluster: ClusterStats, hasOtherPacks: boolean): ClusterStats {
  const { logicalBytes, storedBytes, walLogicalBytes, walStoredBytes, sharing } = cluster
  if (hasOtherPacks && !sharing) return cluster
  const stored = sharing ? sharing.referencedBytes : storedBytes
  return { ...cluster, ...ratioOf(logicalBytes + walLogicalBytes, stored + walStoredBytes) }
}

interface Sum {
  objects: number
  bytes: number
}

interface Census {
  readonly kinds: Map<string, Sum>
  /** By the first eight digits of their ids; a cluster takes out what its backups wrote. */
  readonly packs: Map<string, Sum>
  /** By cluster. */
  readonly manifests: Map<string, Sum>
  readonly wal: Map<string, Sum>
}

async function takeCensus(repository: Repository, options: StatsOptions): Promise<Census> {
  const census: Census = { kinds: new Map(), packs: new Map(), manifests: new Map(), wal: new Map() }
  let done = 0
  for await (const { key, sizeBytes } of repository.store.list('')) {
    throwIfAborted(options.signal)
    done += 1
    if (done % 1000 === 0) options.onProgress?.({ phase: 'objects', done, unit: 'objects' })
    const [folder = '', cluster = '', part = ''] = key.split('/')
    add(census.kinds, kindOf(folder, part), sizeBytes)
    const packId = parsePackKey(key)
    if (packId !== undefined) add(census.packs, packId.slice(0, 8), sizeBytes)
    else if (folder === 'clusters' && part === 'backups') add(census.manifests, cluster, sizeBytes)
    else if (folder === 'clusters' && part === 'wal') add(census.wal, cluster, sizeBytes)
  }
  return census
}

/** Kinds that are added later are counted by the name of their folder. */
function kindOf(folder: string, part: string): string {
  if (folder !== 'clusters') return folder
  return part === 'backups' ? 'manifests' : part === 'keys' ? 'cluster keys' : part
}

function add(sums: Map<string, Sum>, name: string, bytes: number): void {
  const sum = sums.get(name) ?? { objects: 0, bytes: 0 }
  sum.objects += 1
  sum.bytes += bytes
  sums.set(name, sum)
}

async function clusterStats(cluster: ClusterRepository, census: Census, options: StatsOptions): Promise<ClusterStats> {
  const { name } = cluster.facts
  const unreadableBackups: string[] = []
  const summaries = await listBackups(cluster, { onDamage: (_, backupId) => unreadableBackups.push(backupId) })
  let packBytes = 0
  for (const backupId of [...summaries.map((one) => one.backupId), ...unreadableBackups]) {
    const prefix = packIdPrefix(backupId)
    packBytes += census.packs.get(prefix)?.bytes ?? 0
    census.packs.delete(prefix)
  }
  const logicalBytes = summaries.reduce((sum, { totalBytes }) => sum + totalBytes, 0)
  const storedBytes = packBytes + (census.manifests.get(name)?.bytes ?? 0)
  const walLogicalBytes = await heldWalBytes(cluster)
  const walStoredBytes = census.wal.get(name)?.bytes ?? 0
  return {
    cluster: name,
    backups: summaries.length,
    unreadableBackups,
    logicalBytes,
    storedBytes,
    walLogicalBytes,
    walStoredBytes,
    ...(options.sharing ? { sharing: await sharingOf(cluster, summaries, options) } : {}),
  }
}

/** By their names: the size of a segment for each that is finished; a partial one and the tail count as nothing. */
async function heldWalBytes(cluster: ClusterRepository): Promise<number> {
  const { name, walSegmentSizeBytes } = cluster.facts
  const sequence = new SegmentSequence()
  let segments = 0
  for await (const { key } of cluster.store.list(walPrefix(name))) {
    if (sequence.continuesWith(key)) segments += 1
    else {
      const parsed = parseWalKey(name, key)
      if (parsed?.type !== 'segment' || parsed.partial) continue
      sequence.restart(key)
      segments += 1
    }
  }
  return segments * walSegmentSizeBytes
}

async function sharingOf(
  cluster: ClusterRepository,
  summaries: readonly BackupSummary[],
  options: StatsOptions,
): Promise<SharingStats> {
  const all = new FrameSet()
  let referencedBytes = 0
  let aloneBytes = 0
  for (const [done, { backupId }] of summaries.entries()) {
    options.onProgress?.({ phase: 'manifests', done, total: summaries.length, unit: 'objects' })
    const own = new FrameSet()
    const packs: PackEntry[] = []
    for await (const entry of readEntries(cluster, backupId)) {
      throwIfAborted(options.signal)
      if (entry.type === 'pack') packs.push(entry)
      if (entry.type !== 'file') continue
      for (const { frame } of entry.runs) {
        const packId = frame && packs[frame.pack]?.packId
        if (!frame || packId === undefined) continue
        if (own.add(packId, frame.index)) aloneBytes += frame.storedBytes
        if (all.add(packId, frame.index)) referencedBytes += frame.storedBytes
      }
    }
  }
  return { referencedBytes, aloneBytes, savedBytes: aloneBytes - referencedBytes }
}

function ratioOf(logicalBytes: number, storedBytes: number): { readonly ratio?: number } {
  return storedBytes === 0 ? {} : { ratio: logicalBytes / storedBytes }
}
