/** Holds, and a look at what a policy will come to. */
import { RetakeError } from '../base/errors.ts'
import { parseInstant } from '../base/instant.ts'
import type { RetentionPolicy } from '../catalog/retention/policy.ts'
import { backupsThatCount, type SimulatedDay, simulateRetention } from '../catalog/retention/simulate.ts'
import { assertHoldable, isActive, placeHold, readHolds, releaseHolds, type StoredHold } from '../repository/holds.ts'
import { storedBytesOf } from '../repository/segment-runs.ts'
import { readPackShares } from '../repository/sweep/pack-shares.ts'
import { listClusterBackups } from './backups.ts'
import type { Retake } from './open.ts'
import { gatherRetention, retentionPolicy } from './retention-facts.ts'

export interface HoldView {
  readonly backupId: string
  readonly reason: string
  /** ISO 8601 UTC; absent: until it is released. */
  readonly until?: string | undefined
  readonly at: string
}

/**
 * Keeps a backup from being given up, whatever the policy says, until `until` or until it is released.
 *
 * ```ts
 * await holdBackup(retake, { backupId, reason: 'audit 2026', until: '2027-01-31T00:00:00Z' })
 * ```
 * @throws RetakeError `backup.missing`, also when it is given up already; `target.invalid` or `config.invalid` when `until` is no instant, or has passed
 */
export async function holdBackup(
  retake: Retake,
  options: {
    readonly backupId: string
    readonly reason: string
    readonly until?: string | undefined
    /** Say what would be held, and change nothing. */
    readonly dryRun?: boolean | undefined
  },
): Promise<HoldView> {
  const { backupId, reason } = options
  const now = retake.clock.now()
  const until = options.until === undefined ? undefined : new Date(Number(parseInstant(options.until) / 1000n))
  if (until && until.getTime() <= now.getTime()) {
    throw new RetakeError('config.invalid', `${options.until} has passed, so nothing would be held.`, {
      hint: 'Name an instant in the future, or leave it out to hold the backup until it is released.',
    })
  }
  const hold = { backupId, reason, at: now.toISOString(), ...(until ? { until: until.toISOString() } : {}) }
  const cluster = await retake.cluster()
  if (!options.dryRun) return viewHold(await placeHold(cluster, hold))
  await assertHoldable(cluster, backupId)
  return hold
}

/** Ends every hold of a backup; returns those that there were. @throws RetakeError `backup.missing` when it is not the id of a backup */
export async function releaseBackup(
  retake: Retake,
  backupId: string,
  options: {
    /** Say which would be ended, and change nothing. */
    readonly dryRun?: boolean | undefined
  } = {},
): Promise<HoldView[]> {
  return (await releaseHolds(await retake.cluster(), backupId, options)).map(viewHold)
}

/** The holds that count now. @throws RetakeError `repo.damaged` */
export async function listHolds(retake: Retake): Promise<HoldView[]> {
  const now = retake.clock.now()
  return (await readHolds(await retake.cluster())).filter((hold) => isActive(hold, now)).map(viewHold)
}

function viewHold({ backupId, reason, until, at }: StoredHold): HoldView {
  return { backupId, reason, ...(until === undefined ? {} : { until }), at }
}

export interface SimulateRetentionOptions {
  /** How far to look ahead. */
  readonly days: number
  /** Default: 24 hours. */
  readonly backupEveryHours?: number | undefined
  /** Instead of what the configuration says. */
  readonly policy?: Partial<RetentionPolicy> | undefined
  readonly signal?: AbortSignal | undefined
}

export interface RetentionSimulation {
  readonly cluster: string
  readonly policy: RetentionPolicy
  readonly backupEveryHours: number
  /** What a backup is taken to add, and WAL per day, in stored bytes: the mean of the increments (else of the backups) and the WAL that there are. */
  readonly backupBytes: number
  readonly walBytesPerDay: number
  /** The first is today. */
  readonly days: readonly SimulatedDay[]
}

/** How many of the newest backups tell what the next one adds. */
const SAMPLE = 10
const DAY_MS = 86_400_000

/**
 * What the policy will have kept on each of the next days, with a backup as often as said. Changes nothing.
 * @throws RetakeError `cluster.missing`, `repo.damaged`
 */
export async function simulate(retake: Retake, options: SimulateRetentionOptions): Promise<RetentionSimulation> {
  const cluster = await retake.cluster()
  const { backups } = await listClusterBackups(cluster)
  const { holds, verified, inventory } = await gatherRetention(retake)
  const now = retake.clock.now()
  const policy = retentionPolicy(retake.config, options.policy)
  const { days, backupEveryHours = 24 } = options
  // The first full backup says nothing about what the next ones add.
  const increments = backups.filter(({ type }) => type === 'incremental')
  const sample = (increments.length > 0 ? increments : backups).slice(-SAMPLE)
  const backupBytes = Math.round(sample.reduce((sum, one) => sum + one.storedBytes, 0) / Math.max(1, sample.length))
  const since = backups.length > 0 ? Math.min(...backups.map(({ startedAt }) => Date.parse(startedAt))) : now.getTime()
  const heldDays = Math.max(1 / 24, (now.getTime() - since) / DAY_MS)
  const walBytesPerDay = Math.round((storedBytesOf(inventory.runs) + storedBytesOf(inventory.partials)) / heldDays)
  const plan = { policy, backups, holds, verified, now, days, backupEveryMs: backupEveryHours * 3_600_000 }
  const shares = await readPackShares(cluster, { backupIds: backupsThatCount(plan), signal: options.signal })
  const simulated = simulateRetention({ ...plan, shares, backupBytes, walBytesPerDay })
  return { cluster: retake.clusterName, policy, backupEveryHours, backupBytes, walBytesPerDay, days: simulated }
}
