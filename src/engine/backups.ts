import type { SerializedError } from '../base/errors.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import { listBackups as listSummaries } from '../repository/manifest-store.ts'
import type { Retake } from './open.ts'

export interface BackupList {
  /** Oldest first. */
  readonly backups: readonly BackupSummary[]
  /** Backups whose manifest cannot be read: they cannot be restored. */
  readonly damaged: readonly { readonly backupId: string; readonly error: SerializedError }[]
}

/**
 * The backups of the cluster. One that cannot be read is listed as damaged and does not hide the others.
 *
 * ```ts
 * const { backups } = await listBackups(retake)
 * console.log(backups.at(-1)?.stoppedAt)
 * ```
 */
export async function listBackups(retake: Retake): Promise<BackupList> {
  return listClusterBackups(await retake.cluster())
}

export async function listClusterBackups(cluster: ClusterRepository): Promise<BackupList> {
  const damaged: { backupId: string; error: SerializedError }[] = []
  const backups = await listSummaries(cluster, {
    onDamage: (error, backupId) => damaged.push({ backupId, error: error.toJSON() }),
  })
  return { backups, damaged }
}
