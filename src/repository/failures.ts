/**
 * Backups that failed, and why. What such a backup had stored is removed, so that only this record can tell a backup that failed from one
 * that never began. Kept for a month.
 */
import * as z from 'zod'
import type { Clock } from '../base/clock.ts'
import type { RetakeError } from '../base/errors.ts'
import { isRetakeError } from '../base/errors.ts'
import type { ClusterRepository } from './cluster.ts'
import { getSmall, putSmall } from './container.ts'
import { assertBackupId, runKey } from './layout.ts'
import { decodeMeta } from './meta.ts'
import { listRuns } from './runs.ts'

const failureSchema = z.object({
  backupId: z.string(),
  at: z.iso.datetime(),
  code: z.string(),
  message: z.string(),
})

export interface BackupFailure {
  /** The id that the backup would have had: when it began. */
  readonly backupId: string
  /** ISO 8601 UTC: when it failed, or when it was noticed that it had been interrupted. */
  readonly at: string
  /** Of the error; `interrupted` where the process or the machine ended. */
  readonly code: string
  readonly message: string
}

const KEPT_MS = 31 * 86_400_000
/** What comes later than this was not named by this clock. */
const AHEAD_MS = 60_000
/** Somebody may try each minute. */
const MOST_KEPT = 200

/** Durable when it returns. */
export async function recordFailure(
  cluster: ClusterRepository,
  { backupId, error, clock }: { readonly backupId: string; readonly error: RetakeError; readonly clock: Clock },
): Promise<void> {
  await put(cluster, { backupId, at: clock.now().toISOString(), code: error.code, message: error.message })
}

/** For `cleanInterruptedRuns`: what it removes is remembered. */
export function rememberInterrupted(cluster: ClusterRepository, clock: Clock) {
  return {
    onInterrupted: async (backupId: string) => {
      const message = 'The process or the machine ended before the backup was complete.'
      const { failed } = await listRuns(cluster)
      if (!failed.has(backupId)) {
        await put(cluster, { backupId, at: clock.now().toISOString(), code: 'interrupted', message })
      }
    },
  }
}

async function put(cluster: ClusterRepository, failure: BackupFailure): Promise<void> {
  assertBackupId(failure.backupId)
  await putSmall(cluster.store, cluster.sealing, { ...nameOf(cluster, failure.backupId), meta: { ...failure } })
}

/** Undefined: there is none. @throws RetakeError `repo.damaged` */
export async function readFailure(cluster: ClusterRepository, backupId: string): Promise<BackupFailure | undefined> {
  const name = nameOf(cluster, backupId)
  const meta = await getSmall(cluster.store, cluster.sealing, name)
  return meta === undefined ? undefined : decodeMeta(failureSchema, meta, name)
}

/** Removes those that nobody asks about any more, and those of a clock that was wrong. The caller holds the lease `backup`. */
export async function forgetOldFailures(cluster: ClusterRepository, clock: Clock): Promise<void> {
  const { failed } = await listRuns(cluster)
  const ids = [...failed].sort()
  const nowMs = clock.now().getTime()
  const [oldest, newest] = [nowMs - KEPT_MS, nowMs + AHEAD_MS].map((ms) => stampOf(new Date(ms))) as [string, string]
  for (const [index, id] of ids.entries()) {
    if (id >= oldest && id < newest && index >= ids.length - MOST_KEPT) continue
    try {
      await cluster.store.delete(runKey(cluster.facts.name, id, 'failed'), { copies: 'reachable' })
    } catch (error) {
      // A lock ends some day, and a later backup comes by.
      if (!isRetakeError(error, 'storage.locked')) throw error
    }
  }
}

const stampOf = (at: Date) => at.toISOString().replace(/[-:]|\.\d+/g, '')

const nameOf = ({ facts }: ClusterRepository, backupId: string) =>
  ({ key: runKey(facts.name, backupId, 'failed'), kind: 'runFailed' }) as const
