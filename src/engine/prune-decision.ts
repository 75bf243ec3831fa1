/** What a pruning gives up: the policy's decision over what is held, and what stands against carrying it out. */
import { planRetention, type RetentionPlan } from '../catalog/retention/plan.ts'
import type { RetentionPolicy } from '../catalog/retention/policy.ts'
import { selectWal, type WalSelection } from '../catalog/retention/wal-objects.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import type { Condemned } from '../repository/condemned.ts'
import { readLeaseHolder } from '../repository/lease.ts'
import { findUnusedPacks } from '../repository/sweep/condemn.ts'
import type { Survey } from '../repository/sweep/survey.ts'
import type { Retake } from './open.ts'
import { gatherRetention, type RetentionFacts, retentionPolicy } from './retention-facts.ts'

export interface Decided {
  readonly facts: RetentionFacts
  readonly plan: RetentionPlan
  readonly dropped: ReadonlySet<string>
  /** Of these, those whose manifest cannot be read. */
  readonly forgotten: readonly string[]
  readonly wal: WalSelection
  /** Why no backup is given up. */
  readonly doubts: readonly string[]
  /** Why no WAL is given up. */
  readonly walDoubts: readonly string[]
}

export interface Unused {
  readonly packs: ReadonlyMap<string, number>
  /** Packs that nothing refers to and that do not open with this cluster's key. */
  readonly unknown: number
  /** Why no pack is given up. */
  readonly unreadable: Survey['damage']
}

export async function decideRetention(
  retake: Retake,
  survey: Survey,
  options: { readonly policy?: Partial<RetentionPolicy> | undefined; readonly forgetDamaged?: boolean | undefined },
): Promise<Decided> {
  const { clock, config } = retake
  const cluster = await retake.cluster()
  const now = clock.now()
  const facts = await gatherRetention(retake)
  const damaged = survey.damage.flatMap(({ backupId }) => (backupId === undefined ? [] : [backupId]))
  const forgotten = options.forgetDamaged ? damaged : []
  // One that cannot be read may be the one that the policy relies on.
  const doubts = survey.damage
    .filter(({ backupId }) => backupId !== undefined && !forgotten.includes(backupId))
    .map(({ message }) => message)
  const plan = planRetention({
    ...facts.input,
    backups: facts.input.backups.filter(({ backupId }) => !damaged.includes(backupId)),
    policy: retentionPolicy(config, options.policy),
    holds: facts.holds,
    verified: facts.verified,
    now,
    shares: survey.users.shares((packId) => survey.packs.get(packId) ?? 0),
    stored: facts.inventory,
  })
  const running = await runningBackup(cluster, retake)
  const walDoubts = [...doubts, ...facts.walDoubts, ...running]
  const drop = plan.backups.filter(({ action }) => action === 'drop').map(({ backupId }) => backupId)
  const wal = selectWal(facts.inventory, {
    decisions: walDoubts.length > 0 ? [] : plan.wal,
    cluster: cluster.facts.name,
    segmentSizeBytes: cluster.facts.walSegmentSizeBytes,
    at: now.toISOString(),
  })
  const dropped = new Set(doubts.length > 0 ? [] : [...drop, ...forgotten])
  return { facts, plan, dropped, forgotten, wal, doubts, walDoubts }
}

/** A backup from a standby may begin a little before the newest backup that there is. */
async function runningBackup(cluster: ClusterRepository, { clock }: Retake): Promise<string[]> {
  const holder = await readLeaseHolder(cluster, { role: 'backup', clock })
  return holder ? ['A backup is running, so WAL is looked at the next time.'] : []
}

/** The packs that go with what is decided, and those that nothing needs anyway. */
export async function decideUnused(
  cluster: ClusterRepository,
  survey: Survey,
  state: { readonly decided: Decided; readonly condemned: Condemned },
): Promise<Unused> {
  const { decided, condemned } = state
  const unreadable = survey.damage.filter(({ backupId }) => !backupId || !decided.forgotten.includes(backupId))
  if (unreadable.length > 0) return { packs: new Map(), unknown: 0, unreadable }
  const { packs, unknown } = await findUnusedPacks(cluster, {
    survey,
    dropped: decided.dropped,
    condemned: condemned.packs,
  })
  return { packs, unknown, unreadable }
}
