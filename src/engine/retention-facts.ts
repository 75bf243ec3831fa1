/** Gathers what retention decides on; the decision itself is `catalog/retention`. */
import type { HoldingsInput } from '../catalog/retention/holdings.ts'
import { DEFAULT_RETENTION_DAYS, type RetentionPolicy } from '../catalog/retention/policy.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { readHolds, type StoredHold } from '../repository/holds.ts'
import { readVerified } from '../repository/verified.ts'
import type { WalInventory } from '../repository/wal-archive.ts'
import type { Config } from './config-options.ts'
import type { Retake } from './open.ts'
import { type Holdings, readHoldings } from './window.ts'

export interface RetentionFacts {
  readonly input: HoldingsInput
  readonly holds: readonly StoredHold[]
  /** The backups that a verification has passed. */
  readonly verified: ReadonlySet<string>
  readonly inventory: WalInventory
  /** Why no WAL may be given up: what cannot be read might be needed, or might need something. */
  readonly walDoubts: readonly string[]
}

/** The policy that the configuration says, with what the caller says instead. */
export function retentionPolicy(config: Config, changes: Partial<RetentionPolicy> = {}): RetentionPolicy {
  const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
  return {
    days: config.retentionDays ?? DEFAULT_RETENTION_DAYS,
    walDays: config.retentionWalDays,
    count: config.retentionCount,
    daily: config.retentionDaily,
    weekly: config.retentionWeekly,
    monthly: config.retentionMonthly,
    yearly: config.retentionYearly,
    ...given,
  }
}

/** @param holdings what was listed already */
export async function gatherRetention(retake: Retake, holdings?: Holdings): Promise<RetentionFacts> {
  const cluster = await retake.cluster()
  const { damaged, archive, input } = holdings ?? (await readHoldings(retake))
  const { inventory } = archive
  const verified = await verifiedBackups(cluster)
  return {
    input: {
      ...input,
      ranges: inventory.ranges,
      positionTimeline: inventory.position?.timeline,
    },
    // A hold that cannot be read may be about any backup: that is an error.
    holds: await readHolds(cluster),
    verified,
    inventory,
    walDoubts: [
      ...new Set([...damaged.map(({ error }) => error.message), ...archive.damage.map(({ error }) => error.message)]),
    ],
  }
}

/** A note that cannot be read is as good as none: an older backup is protected then. */
async function verifiedBackups(cluster: ClusterRepository): Promise<Set<string>> {
  return new Set((await readVerified(cluster, { onDamage: () => {} })).map(({ backupId }) => backupId))
}
