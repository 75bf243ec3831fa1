/** What packs take up, by the backups that share them: for a look at sizes, where nothing is deleted by what is found. */
import { throwIfAborted } from '../../base/abort.ts'
import { isRetakeError } from '../../base/errors.ts'
import type { ClusterRepository } from '../cluster.ts'
import { PACKS_PREFIX, parsePackKey } from '../layout.ts'
import { listNewestManifests } from '../manifest-revisions.ts'
import { openRevision, readManifestPacks } from '../manifest-store.ts'
import { PackUsers } from './pack-users.ts'

/** So many manifests are read at a time: of a bucket each takes as long as its answer. */
const AT_ONCE = 16

/**
 * Stored bytes of packs by those of the backups that refer to them. Only the manifests of these backups are read; one that cannot be read
 * refers to nothing.
 */
export async function readPackShares(
  cluster: ClusterRepository,
  options: { readonly backupIds: readonly string[]; readonly signal?: AbortSignal | undefined },
): Promise<{ readonly bytes: number; readonly users: readonly string[] }[]> {
  const { backupIds, signal } = options
  const revisions = await listNewestManifests(cluster)
  const users = new PackUsers()
  for (let at = 0; at < backupIds.length; at += AT_ONCE) {
    throwIfAborted(signal)
    const batch = backupIds.slice(at, at + AT_ONCE)
    const found = await Promise.all(
      batch.map((backupId) => packsOf(cluster, { backupId, revision: revisions.get(backupId) })),
    )
    // In their order: packs that were written together then have the same set of users.
    for (const [index, backupId] of batch.entries()) {
      users.beginUser(backupId)
      for (const packId of found[index] ?? []) users.add(packId)
    }
  }
  const sizes = new Map<string, number>()
  for await (const { key, sizeBytes } of cluster.store.list(PACKS_PREFIX)) {
    const packId = parsePackKey(key)
    if (packId !== undefined && users.has(packId)) sizes.set(packId, sizeBytes)
  }
  return users.shares((packId) => sizes.get(packId) ?? 0)
}

async function packsOf(
  cluster: ClusterRepository,
  place: { readonly backupId: string; readonly revision: number | undefined },
): Promise<string[]> {
  const { backupId, revision } = place
  if (revision === undefined) return []
  try {
    const manifest = await openRevision(cluster, { backupId, revision })
    if (manifest === undefined) return []
    return await Array.fromAsync(readManifestPacks(manifest), ({ packId }) => packId)
  } catch (error) {
    if (!isRetakeError(error, 'repo.damaged')) throw error
    return []
  }
}
