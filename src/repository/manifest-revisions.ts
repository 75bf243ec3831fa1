/**
 * Which manifests are stored. A backup's first manifest is its commit; a rewrite (repacking, a new data key) is a new object
 * with the next revision, and the highest revision is the backup. Older ones stay readable until they are deleted in two phases.
 */
import type { ClusterRepository } from './cluster.ts'
import { readCondemned } from './condemned.ts'
import { backupsPrefix, parseManifestName } from './layout.ts'

/** The stored revisions of every backup, ascending, in the order of backup ids: also of those that are condemned. */
export type StoredManifests = ReadonlyMap<string, readonly number[]>

export async function listManifests(cluster: ClusterRepository): Promise<StoredManifests> {
  return await collect(cluster, '')
}

/** The revision that counts, or undefined when no manifest of this backup is stored. */
export async function newestRevision(cluster: ClusterRepository, backupId: string): Promise<number | undefined> {
  return (await collect(cluster, backupId)).get(backupId)?.at(-1)
}

/**
 * The backups that exist, with the revision that counts, in the order of time. Those that are condemned are left out: they are
 * deleted when their time of grace is over, and nothing new may begin to depend on them.
 */
export async function listNewestManifests(cluster: ClusterRepository): Promise<Map<string, number>> {
  // Records first: a record is dropped after the last manifest that it names, so none of those is listed here without it.
  const { backups } = await readCondemned(cluster, { onDamage: () => {} })
  const stored = await listManifests(cluster)
  const newest = new Map<string, number>()
  for (const [backupId, revisions] of stored) {
    const revision = revisions.at(-1)
    if (revision !== undefined && !backups.has(backupId)) newest.set(backupId, revision)
  }
  return newest
}

async function collect(cluster: ClusterRepository, begin: string): Promise<Map<string, number[]>> {
  const prefix = backupsPrefix(cluster.facts.name)
  const manifests = new Map<string, number[]>()
  for await (const { key } of cluster.store.list(prefix + begin)) {
    const parsed = parseManifestName(key.slice(prefix.length))
    if (parsed === undefined) continue
    const { backupId, revision } = parsed
    manifests.set(backupId, [...(manifests.get(backupId) ?? []), revision])
  }
  return manifests
}
