/**
 * Keeps Object Lock in step. What a backup writes is locked as it is written; but it also refers to packs of earlier backups, whose
 * locks end earlier, and needs keys that were written once, at the beginning. Those are locked again with each backup.
 */
import { RetakeError, toRetakeError } from '../base/errors.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import type { ClusterRepository } from './cluster.ts'
import { clusterFactsKey, epochPrefix, manifestKey, packKey, REPOSITORY_KEY } from './layout.ts'
import { newestRevision } from './manifest-revisions.ts'
import { readEntries } from './manifest-store.ts'
import { walPrefix } from './wal-layout.ts'

const AT_ONCE = 16
const DAY_MS = 24 * 60 * 60 * 1000

/**
 * Locks everything that a backup needs, besides WAL, for as long as what it wrote itself. Does nothing where the storage has no locks.
 * @returns how many objects were looked at
 * @throws RetakeError with the cause's code when one cannot be locked; the backup is stored and can be restored all the same
 */
export async function keepLocked(
  cluster: ClusterRepository,
  backup: { readonly backupId: string; readonly startedAt: string },
): Promise<number> {
  const { store } = cluster
  if (store.retain === undefined || store.retainDays === undefined) return 0
  const until = new Date(Date.parse(backup.startedAt) + store.retainDays * DAY_MS)
  const keys = await neededKeys(cluster, backup.backupId)
  const waiting = keys.values()
  const work = async () => {
    for (const key of waiting) await lock(store, { key, until, backupId: backup.backupId })
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return keys.length
}

async function neededKeys(cluster: ClusterRepository, backupId: string): Promise<string[]> {
  const { store, facts } = cluster
  const manifest = manifestKey(facts.name, backupId, await newestRevision(cluster, backupId))
  const keys = [REPOSITORY_KEY, clusterFactsKey(facts.name), manifest]
  for (const prefix of ['keys/', epochPrefix(facts.name), `${walPrefix(facts.name)}history/`]) {
    for await (const { key } of store.list(prefix)) keys.push(key)
  }
  for await (const entry of readEntries(cluster, backupId)) {
    if (entry.type === 'pack') keys.push(packKey(entry.packId))
  }
  return keys
}

async function lock(
  store: ObjectStore,
  object: { readonly key: string; readonly until: Date; readonly backupId: string },
): Promise<void> {
  const { key, until, backupId } = object
  try {
    if ((await store.retain?.(key, until)) !== undefined) return
  } catch (thrown) {
    const error = toRetakeError(thrown, 'storage.failed')
    throw new RetakeError(
      error.code,
      `The backup ${backupId} is stored, but not everything that it needs is locked until ${until.toISOString()}: ${error.message}`,
      { hint: error.hint, details: error.details, cause: thrown },
    )
  }
  throw new RetakeError('repo.damaged', `${key} is missing; the backup ${backupId} needs it.`, {
    hint: 'Run `retake verify` to see which backups and moments this costs.',
    details: { object: key },
  })
}
