/** Backups that began and have left nothing, those that failed, and whether one is being made now. */
import { isRetakeError } from '../base/errors.ts'
import { type BackupFailure, readFailure } from '../repository/failures.ts'
import { readLeaseHolder } from '../repository/lease.ts'
import { listRuns } from '../repository/runs.ts'
import type { BackupList } from './backups.ts'
import type { Retake } from './open.ts'

export interface RunsFound {
  /** Ids of backups that began and have no manifest, the oldest first. The one that runs now is the newest. */
  readonly unfinished: readonly string[]
  /** Ids of backups that failed within the last month, the oldest first. */
  readonly failed: readonly string[]
  /** Why the newest run failed, where nothing has come after it. */
  readonly lastFailure?: BackupFailure | undefined
  /** A backup is being made now. */
  readonly running: boolean
}

export async function findRuns(retake: Retake, { backups, damaged }: BackupList): Promise<RunsFound> {
  const cluster = await retake.cluster()
  const holder = await readLeaseHolder(cluster, { role: 'backup', clock: retake.clock })
  const { begun, done, ...runs } = await listRuns(cluster)
  const there = new Set([...backups, ...damaged].map(({ backupId }) => backupId))
  const unfinished = [...begun].filter((backupId) => !done.has(backupId) && !there.has(backupId)).sort()
  const failed = [...runs.failed].filter((backupId) => !there.has(backupId)).sort()
  const newest = failed.at(-1)
  const isNewest = newest !== undefined && newest > ([...there].sort().at(-1) ?? '')
  const lastFailure = isNewest ? await readFailure(cluster, newest).catch(ifDamaged) : undefined
  return { unfinished, failed, running: holder !== undefined, ...(lastFailure ? { lastFailure } : {}) }
}

/** That it failed is known all the same. */
function ifDamaged(error: unknown): undefined {
  if (!isRetakeError(error, 'repo.damaged')) throw error
}
