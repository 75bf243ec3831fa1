/** Which backups a verification has passed: retention never deletes the newest of them. */
import * as z from 'zod'
import { isRetakeError, type RetakeError } from '../base/errors.ts'
import type { ClusterRepository } from './cluster.ts'
import { damaged, getSmall, replaceSmall } from './container.ts'
import { isBackupId, verifiedKey, verifiedPrefix } from './layout.ts'
import { decodeMeta } from './meta.ts'

/** The last verification that a backup has passed. */
export interface VerifiedRecord {
  readonly backupId: string
  readonly depth: 'quick' | 'deep'
  /** Our clock, ISO 8601 UTC. */
  readonly at: string
}

const verifiedSchema = z.object({
  backupId: z.string().refine(isBackupId),
  depth: z.enum(['quick', 'deep']),
  at: z.iso.datetime(),
})

/** Notes that a backup has passed; replaces what was noted before. */
export async function putVerified(cluster: ClusterRepository, record: VerifiedRecord): Promise<void> {
  const key = verifiedKey(cluster.facts.name, record.backupId)
  await replaceSmall(cluster.store, cluster.sealing, { key, kind: 'verified', meta: verifiedSchema.parse(record) })
}

/** Takes the note back: the backup is damaged now. False when there was none. */
export async function dropVerified(cluster: ClusterRepository, backupId: string): Promise<boolean> {
  return await cluster.store.delete(verifiedKey(cluster.facts.name, backupId))
}

export interface ReadVerifiedOptions {
  /** Told of a record that cannot be read, which is then left out. Without it, damage is thrown. */
  readonly onDamage?: ((error: RetakeError, key: string) => void) | undefined
}

/** In the order of backups. @throws RetakeError `repo.damaged` */
export async function readVerified(
  cluster: ClusterRepository,
  options: ReadVerifiedOptions = {},
): Promise<VerifiedRecord[]> {
  const prefix = verifiedPrefix(cluster.facts.name)
  const records: VerifiedRecord[] = []
  for await (const { key } of cluster.store.list(prefix)) {
    if (!isBackupId(key.slice(prefix.length))) continue
    try {
      const meta = await getSmall(cluster.store, cluster.sealing, { key, kind: 'verified' })
      if (meta === undefined) continue
      const record = decodeMeta(verifiedSchema, meta, { key })
      if (key !== prefix + record.backupId) throw damaged({ key }, 'it is about another backup')
      records.push(record)
    } catch (error) {
      if (!isRetakeError(error, 'repo.damaged') || !options.onDamage) throw error
      options.onDamage(error, key)
    }
  }
  return records
}
