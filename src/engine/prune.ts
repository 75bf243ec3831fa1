/**
 * Retention carried out: what is due is deleted, then the policy decides, what it gives up is condemned, sparse packs are rewritten.
 * Every step may be cut short; the next run goes on (`docs/design/repository-format.md`).
 */
import { RetakeError } from '../base/errors.ts'
import type { RetentionPolicy } from '../catalog/retention/policy.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { readCondemned } from '../repository/condemned.ts'
import { acquireLease, type Lease } from '../repository/lease.ts'
import { endRewrite } from '../repository/runs.ts'
import { condemn } from '../repository/sweep/condemn.ts'
import { type DeletionReport, deleteCondemned } from '../repository/sweep/delete.ts'
import { countLiveFrames } from '../repository/sweep/live-frames.ts'
import {
  DEFAULT_REPACK_BELOW,
  findSparsePacks,
  repack,
  repackBatches,
  type SparsePack,
} from '../repository/sweep/sparse-packs.ts'
import { type Survey, surveyPacks } from '../repository/sweep/survey.ts'
import { putRange } from '../repository/wal-records.ts'
import { DEFAULT_PRUNE_GRACE_HOURS } from './config-options.ts'
import type { Retake } from './open.ts'
import { type Operation, type OperationContext, type OperationOptions, startOperation } from './operation.ts'
import { type Decided, decideRetention, decideUnused, type Unused } from './prune-decision.ts'
import { type PruneReport, type RepackReport, reportOf } from './prune-report.ts'

export interface PruneOptions extends OperationOptions {
  /** Say what would be done, and change nothing. */
  readonly dryRun?: boolean | undefined
  /** Instead of what the configuration says. */
  readonly policy?: Partial<RetentionPolicy> | undefined
  /** Between giving up and deleting, in hours; default `pruneGraceHours`. */
  readonly graceHours?: number | undefined
  /** Packs of which less than this share is needed are rewritten; 0 rewrites none. Default 0.5. */
  readonly repackBelow?: number | undefined
  /** Also give up backups whose manifest cannot be read; without it, such a backup stops all giving up. */
  readonly forgetDamaged?: boolean | undefined
}

/**
 * Gives up what the policy does not keep, and deletes what was given up long enough ago.
 *
 * ```ts
 * const { plan } = await prune(retake, { dryRun: true }).result
 * for (const { backupId, action, why } of plan.backups) console.log(action, backupId, why)
 * ```
 * @throws RetakeError by its `result`: `repo.locked`, `repo.damaged` (a record of what was given up, a hold), `storage.*`, `aborted`
 */
export function prune(retake: Retake, options: PruneOptions = {}): Operation<PruneReport> {
  return startOperation(async (context) => {
    const cluster = await retake.cluster()
    const { clock, logger } = retake
    if (options.dryRun) return await new Pruning(retake, cluster, { ...options, ...context }).rehearse()
    await using lease = await acquireLease(cluster, { role: 'prune', holder: PRUNE_HOLDER, clock, logger })
    const signal = AbortSignal.any([context.signal, lease.signal])
    return await new Pruning(retake, cluster, { ...options, ...context, signal, lease }).run()
  }, options)
}

type PruningOptions = PruneOptions & OperationContext & { readonly lease?: Lease | undefined }

/** Stands in the records of what a pruning gives up, and tells them from those of other work. */
export const PRUNED = 'the retention policy'

/** Whose lease it is. */
export const PRUNE_HOLDER = 'retake prune'

/** How often a plan is made anew because a hold was placed meanwhile. */
const ATTEMPTS = 3

class Pruning {
  readonly #retake: Retake
  readonly #cluster: ClusterRepository
  readonly #options: PruningOptions
  readonly #graceMs: number
  readonly #repackBelow: number

  constructor(retake: Retake, cluster: ClusterRepository, options: PruningOptions) {
    this.#retake = retake
    this.#cluster = cluster
    this.#options = options
    this.#graceMs = (options.graceHours ?? retake.config.pruneGraceHours ?? DEFAULT_PRUNE_GRACE_HOURS) * 3_600_000
    this.#repackBelow = options.repackBelow ?? DEFAULT_REPACK_BELOW
  }

  async rehearse(): Promise<PruneReport> {
    const survey = await this.#survey()
    const decided = await decideRetention(this.#retake, survey, this.#options)
    const condemned = await readCondemned(this.#cluster)
    const unused = await decideUnused(this.#cluster, survey, { decided, condemned })
    const sparse = await this.#sparse(survey, decided.dropped)
    return reportOf({
      cluster: this.#cluster.facts.name,
      dryRun: true,
      graceMs: this.#graceMs,
      decided,
      survey,
      unused,
      pending: condemned.records,
      repack: foreseen(sparse),
    })
  }

  async run(): Promise<PruneReport> {
    let survey: Survey | undefined
    const lazily = async () => {
      survey = await this.#survey()
      return survey
    }
    const first = await this.#delete(lazily)
    survey ??= await lazily()
    const { decided, unused } = await this.#giveUp(survey)
    const repacked = await this.#repack(survey, decided.dropped)
    // What interrupted rewrites left is condemned by now.
    if (unused.unreadable.length === 0) for (const runId of survey.leftRewrites) await endRewrite(this.#cluster, runId)
    // Nothing waits for a time of grace that is none.
    const second = this.#graceMs === 0 ? await this.#delete(() => this.#survey()) : undefined
    const { records } = await readCondemned(this.#cluster)
    return reportOf({
      cluster: this.#cluster.facts.name,
      dryRun: false,
      graceMs: this.#graceMs,
      decided,
      survey,
      unused,
      pending: records,
      repack: repacked,
      deletions: second ? [first, second] : [first],
    })
  }

  async #survey(): Promise<Survey> {
    const { signal, onProgress } = this.#options
    return await surveyPacks({ repository: this.#retake.repository, cluster: this.#cluster, signal, onProgress })
  }

  async #delete(survey: () => Promise<Survey>): Promise<DeletionReport> {
    const { signal, onProgress, lease } = this.#options
    await lease?.assertHeld()
    const { clock } = this.#retake
    return await deleteCondemned(this.#cluster, { survey, graceMs: this.#graceMs, clock, signal, onProgress })
  }

  async #giveUp(survey: Survey): Promise<{ readonly decided: Decided; readonly unused: Unused }> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const decided = await decideRetention(this.#retake, survey, this.#options)
      const unused = await decideUnused(this.#cluster, survey, {
        decided,
        condemned: await readCondemned(this.#cluster),
      })
      const { wal, dropped } = decided
      const nothing =
        dropped.size + unused.packs.size + wal.segments.length + wal.walKeys.length + survey.replaced.length === 0
      if (nothing) return { decided, unused }
      await this.#options.lease?.assertHeld()
      // Before the record: where WAL begins anew must be explained from the moment at which the rest counts as gone.
      for (const range of wal.newRanges) await putRange(this.#cluster, range)
      const what = {
        why: PRUNED,
        backups: [...dropped],
        revisions: survey.replaced,
        packs: unused.packs,
        segments: wal.segments,
        walKeys: wal.walKeys,
        bytes: wal.bytes,
      }
      if (await condemn(this.#cluster, what, { clock: this.#retake.clock })) return { decided, unused }
    }
    throw new RetakeError('repo.locked', 'Holds are being placed while pruning decides; nothing was given up.', {
      hint: 'Run `retake prune` again.',
    })
  }

  async #sparse(survey: Survey, dropped: ReadonlySet<string>): Promise<Sparse> {
    const kept = [...survey.manifests.keys()].filter((backupId) => !dropped.has(backupId))
    const nothing = { packs: [], frames: undefined }
    if (this.#repackBelow <= 0 || survey.damage.length > 0) return nothing
    const frames = await countLiveFrames(this.#cluster, kept, this.#options)
    return { packs: findSparsePacks({ survey, frames, belowShare: this.#repackBelow }), frames }
  }

  async #repack(survey: Survey, dropped: ReadonlySet<string>): Promise<RepackReport> {
    const { packs: sparse, frames } = await this.#sparse(survey, dropped)
    const report = { packs: 0, freedBytes: 0, writtenBytes: 0, damaged: [] as string[] }
    if (!frames) return report
    const { clock, logger, config } = this.#retake
    const { signal, onProgress, lease } = this.#options
    for (const batch of repackBatches(sparse)) {
      await lease?.assertHeld()
      const result = await repack(this.#cluster, {
        sparse: batch,
        frames,
        usersOf: (packId) => survey.users.usersOf(packId).filter((user) => !dropped.has(user)),
        compressionLevel: config.compressionLevel,
        ...{ clock, logger, signal, onProgress },
      })
      const { packs, revisions, writtenBytes, damaged } = result
      report.packs += packs.size
      report.writtenBytes += writtenBytes
      report.freedBytes += [...packs.values()].reduce((sum, bytes) => sum + bytes, 0)
      report.damaged.push(...damaged)
      if (packs.size + revisions.length === 0) continue
      const what = { why: 'repacking', backups: [], revisions, packs, segments: [], walKeys: [], bytes: 0 }
      await condemn(this.#cluster, what, { clock })
    }
    return report
  }
}

interface Sparse {
  readonly packs: readonly SparsePack[]
  readonly frames: Awaited<ReturnType<typeof countLiveFrames>> | undefined
}

function foreseen({ packs }: Sparse): RepackReport {
  const sum = (pick: (pack: SparsePack) => number) => packs.reduce((total, pack) => total + pick(pack), 0)
  return {
    packs: packs.length,
    freedBytes: sum(({ sizeBytes }) => sizeBytes),
    writtenBytes: sum(({ liveBytes }) => liveBytes),
    damaged: [],
  }
}
