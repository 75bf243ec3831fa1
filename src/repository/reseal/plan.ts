/** What is still sealed by older keys than the newest, and what will become of it. */
import { throwIfAborted } from '../../base/abort.ts'
import type { RetakeError } from '../../base/errors.ts'
import type { ClusterRepository } from '../cluster.ts'
import { listSealedObjects, type UsageOptions } from '../epoch-usage.ts'
import { backupsPrefix, leasesPrefix, manifestKey, PACKS_PREFIX, parsePackKey, readersPrefix } from '../layout.ts'
import { listNewestManifests } from '../manifest-revisions.ts'
import { openRevision, readManifestPacks } from '../manifest-store.ts'
import { parseWalKey, walPrefix } from '../wal-layout.ts'
import { isDamage } from './reseal-manifest.ts'

export interface ResealPlan {
  readonly epoch: number
  /** Packs that are sealed anew, with their sizes. */
  readonly packs: ReadonlyMap<string, number>
  /** Backups whose manifest is written anew, and which of those packs it names. */
  readonly manifests: ReadonlyMap<string, readonly string[]>
  /** Objects that are replaced by themselves. */
  readonly objects: ReadonlyMap<string, number>
  /** How many objects of the end of the WAL (tails, position) an older key seals. */
  readonly walEnd: number
  /** Leases and readers, of whoever began before the newest key: they go with them. */
  readonly passing: number
  /** Manifests that cannot be read; they and their packs stay as they are. */
  readonly damaged: readonly { readonly object: string; readonly message: string }[]
}

/** @throws RetakeError `storage.*`, `aborted` */
export async function planReseal(cluster: ClusterRepository, options: UsageOptions = {}): Promise<ResealPlan> {
  await cluster.sealing.refresh?.()
  const { epoch } = cluster.sealing
  const { name } = cluster.facts
  const objects = new Map<string, number>()
  const oldManifests = new Set<string>()
  let walEnd = 0
  let passing = 0
  for await (const object of listSealedObjects(cluster, options)) {
    if (object.epoch >= epoch) continue
    const role = roleOf(name, object.key)
    if (role === 'manifest') oldManifests.add(object.key)
    else if (role === 'wal-end') walEnd += 1
    else if (role === 'passing') passing += 1
    else objects.set(object.key, object.sizeBytes)
  }
  const found = await findOldPacks(cluster, { ...options, epoch })
  const manifests = new Map<string, readonly string[]>()
  for (const [backupId, revision] of found.revisions) {
    const packs = found.byBackup.get(backupId) ?? []
    if (packs.length > 0 || oldManifests.has(manifestKey(name, backupId, revision))) manifests.set(backupId, packs)
  }
  return { epoch, packs: found.packs, manifests, objects, walEnd, passing, damaged: found.damaged }
}

/** How an object under `clusters/<cluster>/` comes under a new key. */
function roleOf(cluster: string, key: string): 'manifest' | 'wal-end' | 'passing' | 'object' {
  if (key.startsWith(backupsPrefix(cluster))) return 'manifest'
  // Written again or deleted by whoever they belong to.
  if (key.startsWith(leasesPrefix(cluster)) || key.startsWith(readersPrefix(cluster))) return 'passing'
  if (!key.startsWith(walPrefix(cluster))) return 'object'
  const what = parseWalKey(cluster, key)?.type
  return what === 'tail' || what === 'position' ? 'wal-end' : 'object'
}

async function findOldPacks(cluster: ClusterRepository, options: UsageOptions & { readonly epoch: number }) {
  const revisions = await listNewestManifests(cluster)
  const byBackup = new Map<string, string[]>()
  const old = new Set<string>()
  const damaged: { object: string; message: string }[] = []
  const unreadable = new Set<string>()
  for (const [backupId, revision] of revisions) {
    throwIfAborted(options.signal)
    try {
      const packs: string[] = []
      const manifest = await openRevision(cluster, { backupId, revision })
      if (manifest === undefined) continue
      for await (const { packId, epoch } of readManifestPacks(manifest)) if (epoch < options.epoch) packs.push(packId)
      byBackup.set(backupId, packs)
      for (const packId of packs) old.add(packId)
    } catch (error) {
      if (!isDamage(error)) throw error
      unreadable.add(backupId)
      damaged.push(describe(error, manifestKey(cluster.facts.name, backupId, revision)))
    }
  }
  const packs = new Map<string, number>()
  for await (const { key, sizeBytes } of cluster.store.list(PACKS_PREFIX)) {
    const packId = parsePackKey(key)
    if (packId !== undefined && old.has(packId)) packs.set(packId, sizeBytes)
  }
  return { revisions: new Map([...revisions].filter(([id]) => !unreadable.has(id))), byBackup, packs, damaged }
}

function describe(error: RetakeError, object: string): { object: string; message: string } {
  return { object, message: error.message }
}
