/** Backups that began and have left nothing, and whether one is being made now. */
import { readLeaseHolder } from '../repository/lease.ts'
import { listRuns } from '../repository/runs.ts'
import type { BackupList } from './backups.ts'
import type { Retake } from './open.ts'

export interface RunsFound {
  /** Ids of backups that began and have no manifest, the oldest first. The one that runs now is the newest. */
  readonly unfinished: readonly string[]
  /** A backup is being made now. */
  readonly running: boolean
}

export async function findRuns(retake: Retake, { backups, damaged }: BackupList): Promise<RunsFound> {
  const cluster = await retake.cluster()
  const holder = await readLeaseHolder(cluster, { role: 'backup', clock: retake.clock })
  const { begun, done } = await listRuns(cluster)
  const there = new Set([...backups, ...damaged].map(({ backupId }) => backupId))
  const unfinished = [...begun].filter((backupId) => !done.has(backupId) && !there.has(backupId)).sort()
  return { unfinished, running: holder !== undefined }
}
