import type { SerializedError } from '../base/errors.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import { listBackups as listSummaries } from '../repository/manifest-store.ts'
import { type BackupCopies, readBackupCopies } from './mirrors/three-two-one.ts'
import type { Retake } from './open.ts'

export interface BackupList {
  /** Oldest first. */
  readonly backups: readonly BackupSummary[]
  /** Backups whose manifest cannot be read: they cannot be restored. */
  readonly damaged: readonly { readonly backupId: string; readonly error: SerializedError }[]
  /** Which copies of the repository hold each backup, by its id; only where mirrors are configured. */
  readonly copies?: Readonly<Record<string, BackupCopies>> | undefined
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
  const list = await listClusterBackups(await retake.cluster())
  if ((retake.config.mirrors ?? []).length === 0) return list
  const ids = list.backups.map(({ backupId }) => backupId)
  return { ...list, copies: Object.fromEntries(await readBackupCopies(retake, ids)) }
}

export async function listClusterBackups(cluster: ClusterRepository): Promise<BackupList> {
  const damaged: { backupId: string; error: SerializedError }[] = []
  const backups = await listSummaries(cluster, {
    onDamage: (error, backupId) => damaged.push({ backupId, error: error.toJSON() }),
  })
  return { backups, damaged }
}
