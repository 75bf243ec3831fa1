/** Verification joined with the catalog: not only what is damaged, but which backups and moments that costs. */
import { isRetakeError, toRetakeError } from '../base/errors.ts'
import { putLastVerification } from '../repository/last-verification.ts'
import { dropVerified, putVerified } from '../repository/verified.ts'
import type { VerifyFinding, VerifyReport } from '../repository/verify/findings.ts'
import { verifyRepository } from '../repository/verify.ts'
import { type DamagedWal, damageConsequences, type LostMoments } from './damage-consequences.ts'
import { retakeAtCopy } from './mirrors/keep-copies.ts'
import type { Retake } from './open.ts'
import { type Operation, type OperationOptions, startOperation } from './operation.ts'
import { registerReaders } from './readers.ts'
import { readHoldings } from './window.ts'

/** What reads, while a verification runs. */
export const VERIFY_HOLDER = 'retake verify'

export interface VerifyOptions extends OperationOptions {
  /** Read every byte, with page checksums and content hashes. Default false: every object is there and is what it says. */
  readonly deep?: boolean | undefined
  /** One backup of the configured cluster. Default: the whole repository. */
  readonly backupId?: string | undefined
  /** Which copy of a repository that has mirrors. Default: the primary. */
  readonly copy?: string | undefined
}

export interface ClusterDamage {
  readonly cluster: string
  readonly lostBackups: readonly string[]
  readonly lostMoments: readonly LostMoments[]
  /** True when the archive's own records are so damaged that more than this may be lost. */
  readonly mayBeMore: boolean
}

export interface VerifyResult extends VerifyReport {
  /** Backups that cannot be restored any more, of all clusters. */
  readonly lostBackups: readonly string[]
  /** Only the clusters that lost something. */
  readonly damage: readonly ClusterDamage[]
}

/**
 * Reads the repository back. Damage is in the result, never thrown.
 *
 * ```ts
 * const { ok, findings, damage } = await verify(retake, { deep: true }).result
 * ```
 * @throws RetakeError by its `result`, when there can be no result: `aborted`, `storage.failed`, `cluster.missing`, `backup.missing`
 */
export function verify(whole: Retake, options: VerifyOptions = {}): Operation<VerifyResult> {
  return startOperation(async (context) => {
    const { deep, backupId } = options
    const retake = retakeAtCopy(whole, options.copy)
    const clusters = backupId === undefined ? await whole.repository.listClusters() : [retake.clusterName]
    await using _readers = await registerReaders(whole, { clusters, holder: VERIFY_HOLDER })
    const report = await verifyRepository({
      ...context,
      repository: retake.repository,
      ...(backupId === undefined ? {} : { cluster: retake.clusterName, backupId }),
      depth: deep ? 'deep' : 'quick',
      workers: retake.config.workers,
      clock: retake.clock,
    })
    await noteVerified(retake, report)
    if (options.copy === undefined) await noteFound(retake, { report, isWhole: backupId === undefined })
    const damage: ClusterDamage[] = []
    for (const cluster of new Set(report.findings.map((finding) => finding.cluster))) {
      if (cluster !== undefined) damage.push(await clusterDamage(retake, { cluster, findings: report.findings }))
    }
    const lost = damage.filter(({ lostBackups, lostMoments }) => lostBackups.length > 0 || lostMoments.length > 0)
    return { ...report, lostBackups: lost.flatMap(({ lostBackups }) => lostBackups), damage: lost }
  }, options)
}

/**
 * Notes which backups have passed, for retention, and takes the note back from those that have not. A repository that cannot be
 * written to is verified all the same.
 */
async function noteVerified(retake: Retake, report: VerifyReport): Promise<void> {
  const at = retake.clock.now().toISOString()
  const failed = new Set(
    report.findings
      .filter(({ severity }) => severity === 'error')
      .flatMap(({ cluster, backups }) => backups.map((backupId) => `${cluster}/${backupId}`)),
  )
  try {
    for (const { cluster: name, backupId } of report.checked) {
      const cluster = await retake.repository.openCluster(name)
      if (failed.has(`${name}/${backupId}`)) await dropVerified(cluster, backupId)
      else await putVerified(cluster, { backupId, depth: report.depth, at })
    }
  } catch (error) {
    retake.logger.warn('What was verified could not be noted in the repository.', {
      cause: toRetakeError(error).message,
    })
  }
}

/** Of every cluster that was read; of one backup alone, only damage says something of the whole. */
async function noteFound(
  retake: Retake,
  { report, isWhole }: { readonly report: VerifyReport; readonly isWhole: boolean },
): Promise<void> {
  const { depth, findings, finishedAt: at } = report
  const errors = findings.filter(({ severity }) => severity === 'error')
  for (const name of isWhole ? await retake.repository.listClusters() : [retake.clusterName]) {
    // What belongs to no cluster, such as a pack, names its backups.
    const own = errors.filter(({ cluster }) => cluster === undefined || cluster === name)
    if (!isWhole && own.length === 0) continue
    const lostBackups = [...new Set(own.flatMap(({ backups }) => backups))].sort()
    const [first] = own
    const found = { at, depth, errors: own.length, lostBackups }
    try {
      await putLastVerification(await retake.repository.openCluster(name), {
        ...found,
        ...(first ? { example: `${first.object}: ${first.problem}` } : {}),
      })
    } catch (error) {
      if (isRetakeError(error, 'cluster.shredded')) continue
      const cause = toRetakeError(error).message
      retake.logger.warn('What the verification found could not be noted in the repository.', { cluster: name, cause })
    }
  }
}

async function clusterDamage(
  retake: Retake,
  { cluster, findings }: { readonly cluster: string; readonly findings: readonly VerifyFinding[] },
): Promise<ClusterDamage> {
  const own = findings.filter((finding) => finding.cluster === cluster && finding.severity === 'error')
  const backups = [...new Set(own.flatMap((finding) => finding.backups))].sort()
  const wal = own.map((finding) => finding.wal).filter((span): span is DamagedWal => span !== undefined)
  try {
    const { input } = await readHoldings(retake, cluster)
    return { cluster, ...damageConsequences(input, { backups, wal }), mayBeMore: false }
  } catch (error) {
    // Given up on purpose: nothing of it counts as lost.
    if (isRetakeError(error, 'cluster.shredded')) return { cluster, lostBackups: [], lostMoments: [], mayBeMore: false }
    if (
      !isRetakeError(error, 'repo.damaged') &&
      !isRetakeError(error, 'wal.history-missing') &&
      !isRetakeError(error, 'cluster.missing')
    )
      throw error
    // The window cannot be computed; what the findings name is lost for certain.
    const lostMoments = wal.map(({ timeline, beginLsn, endLsn }) => ({
      timeline,
      from: { lsn: beginLsn },
      to: { lsn: endLsn },
    }))
    return { cluster, lostBackups: backups, lostMoments, mayBeMore: true }
  }
}
