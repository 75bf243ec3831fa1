import { checkStructure, type StructureReport } from '../../repository/upkeep/check-structure.ts'
import type { Retake } from '../open.ts'
import { type Operation, type OperationOptions, startOperation } from '../operation.ts'
import { type GapView, readHoldings, type WindowView } from '../window.ts'

export interface CheckedWindow {
  readonly cluster: string
  readonly windows: readonly WindowView[]
  /** Holes in the WAL that no record explains: WAL has disappeared since it was received. */
  readonly lostWal: readonly GapView[]
  /** Backups that cannot be restored because their own WAL is not held. */
  readonly strandedBackups: readonly string[]
}

export interface RepositoryCheck extends StructureReport {
  /** No error, no warning, no WAL lost, no backup stranded. */
  readonly ok: boolean
  readonly clusters: readonly CheckedWindow[]
  /** What this check cannot see; `verify` does. */
  readonly notChecked: readonly string[]
}

const NOT_CHECKED = [
  'the content of packs and WAL segments: only that they are listed, and that packs are long enough (retake verify, retake verify --deep)',
  'whether the frames that manifests name are those that packs list (retake verify)',
] as const

/**
 * A check of the structure that is quick also on a bucket: it lists everything and reads small objects and manifests, and neither
 * packs nor segments.
 *
 * ```ts
 * const { ok, findings, clusters } = await checkRepository(retake).result
 * ```
 * @throws RetakeError by its `result`: `storage.failed`, `repo.damaged` when a cluster cannot be opened, `aborted`
 */
export function checkRepository(retake: Retake, options: OperationOptions = {}): Operation<RepositoryCheck> {
  return startOperation(async (context) => {
    const structure = await checkStructure(retake.repository, context)
    const clusters: CheckedWindow[] = []
    for (const cluster of await retake.repository.listClusters()) clusters.push(await checkWindow(retake, cluster))
    const ok =
      structure.findings.every(({ severity }) => severity === 'notice') &&
      clusters.every(({ lostWal, strandedBackups }) => lostWal.length + strandedBackups.length === 0)
    return { ...structure, ok, clusters, notChecked: NOT_CHECKED }
  }, options)
}

async function checkWindow(retake: Retake, cluster: string): Promise<CheckedWindow> {
  const { report } = await readHoldings(retake, cluster)
  const gaps = report.windows.flatMap((window) => window.gaps)
  return {
    cluster,
    windows: report.windows,
    lostWal: gaps.filter(({ recorded }) => !recorded),
    strandedBackups: report.strandedBackups,
  }
}
