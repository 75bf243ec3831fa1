/** Reads a repository back and says what in it is not as it was written. */
import { throwIfAborted } from '../base/abort.ts'
import { type Clock, systemClock } from '../base/clock.ts'
import { isRetakeError, RetakeError } from '../base/errors.ts'
import type { ProgressListener } from '../base/progress.ts'
import type { ClusterRepository } from './cluster.ts'
import { readCondemnedPacks } from './condemned.ts'
import { clusterFactsKey } from './layout.ts'
import type { Repository } from './repository.ts'
import { type CheckedBackups, checkBackups, checkRuns } from './verify/check-backups.ts'
import { checkEpochs, checkShredded } from './verify/check-epochs.ts'
import { checkJournal } from './verify/check-journal.ts'
import { checkKeys } from './verify/check-keys.ts'
import { checkPacks } from './verify/check-packs.ts'
import { checkRetention } from './verify/check-retention.ts'
import { checkSummaryIndex } from './verify/check-summary-index.ts'
import { checkUnused } from './verify/check-unused.ts'
import { checkWal } from './verify/check-wal.ts'
import { createContext, type VerifyContext } from './verify/context.ts'
import { createDeepPool } from './verify/deep-pool.ts'
import type { CheckedBackup, VerifyReport } from './verify/findings.ts'

export interface VerifyOptions {
  readonly repository: Repository
  /** One cluster only. Default: all. */
  readonly cluster?: string | undefined
  /** One backup only, with its packs and all WAL of the cluster. */
  readonly backupId?: string | undefined
  /**
   * `quick` reads manifests, small objects and tails in full, and of packs and segments what lists their content: a missing, cut
   * or exchanged object is found. `deep` also reads every byte of packs and segments: anything at all is found.
   */
  readonly depth: 'quick' | 'deep'
  /** Threads of a deep check; default as many as there are processors, at most 4. */
  readonly workers?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
  readonly clock?: Clock | undefined
}

/**
 * Verifies a repository. Damage is in the report, never thrown; may run while backups and WAL are being written.
 * @throws RetakeError when there can be no report: `aborted`, `storage.failed`, `cluster.missing`, `backup.missing`
 */
export async function verifyRepository(options: VerifyOptions): Promise<VerifyReport> {
  const { repository, clock = systemClock } = options
  throwIfAborted(options.signal)
  const startedAt = clock.now().toISOString()
  const context = createContext(options)
  await checkKeys(context)
  const names = options.cluster === undefined ? await repository.listClusters() : [options.cluster]
  const packsInUse = new Set<string>()
  const checked: CheckedBackup[] = []
  for (const name of names) {
    const shredded = await checkShredded(context, name, packsInUse)
    const cluster = await openOrReport(context, name)
    if (cluster === undefined || shredded !== undefined) continue
    const { packs, summaries } = await verifyCluster(context, cluster, options)
    for (const packId of packs.keys()) packsInUse.add(packId)
    // Not unused but on their way out, which the records that condemn them say.
    for (const packId of await readCondemnedPacks(cluster)) packsInUse.add(packId)
    for (const { backupId } of summaries) checked.push({ cluster: name, backupId })
  }
  if (options.cluster === undefined && options.backupId === undefined) await checkUnused(context, packsInUse)
  const findings = context.findings.all
  return {
    depth: options.depth,
    repositoryId: repository.id,
    url: repository.url,
    startedAt,
    finishedAt: clock.now().toISOString(),
    ok: findings.every(({ severity }) => severity === 'notice'),
    clusters: names.length,
    ...context.counts,
    checked,
    findings,
  }
}

/** A cluster that cannot be opened is lost as a whole. */
async function openOrReport(context: VerifyContext, name: string): Promise<ClusterRepository | undefined> {
  const facts = { object: clusterFactsKey(name), cluster: name }
  return await context.findings.attempt(facts, async () => {
    try {
      return await context.repository.openCluster(name)
    } catch (error) {
      // What is said of it comes from its proof.
      if (isRetakeError(error, 'cluster.shredded')) return undefined
      // A registration that was cut short leaves a data key and no cluster.
      if (!(error instanceof RetakeError) || error.code !== 'cluster.missing' || !(await isListed(context, name)))
        throw error
      context.findings.add({
        ...facts,
        severity: 'warning',
        problem: 'it is missing; the cluster was never registered completely',
      })
      return undefined
    }
  })
}

async function isListed(context: VerifyContext, name: string): Promise<boolean> {
  return (await context.repository.listClusters()).includes(name)
}

async function verifyCluster(
  context: VerifyContext,
  cluster: ClusterRepository,
  options: VerifyOptions,
): Promise<CheckedBackups> {
  const { backupId } = options
  const checked = await checkBackups(context, cluster, { backupId })
  if (backupId !== undefined && context.counts.backups === 0) {
    throw new RetakeError('backup.missing', `The cluster "${cluster.facts.name}" has no backup ${backupId}.`, {
      hint: 'List the backups with `retake backups`.',
      details: { backupId },
    })
  }
  const { summaries } = checked
  if (options.depth === 'deep') {
    await using pool = createDeepPool(cluster, { workers: options.workers })
    await checkPacks(context, cluster, { checked, pool })
    await checkWal(context, cluster, { summaries, pool })
  } else {
    context.counts.packs += checked.packs.size
    await checkWal(context, cluster, { summaries })
  }
  if (backupId === undefined) {
    await checkRuns(context, cluster)
    await checkRetention(context, cluster)
    await checkEpochs(context, cluster.facts.name)
    await checkSummaryIndex(context, cluster)
    await checkJournal(context, cluster)
  }
  return checked
}
