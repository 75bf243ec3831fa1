import { computeStats, type RepositoryStats } from '../../repository/upkeep/stats.ts'
import type { Retake } from '../open.ts'
import { type Operation, type OperationOptions, startOperation } from '../operation.ts'

export interface RepositoryStatsOptions extends OperationOptions {
  /** Also reads every manifest to its end, to say what sharing frames between backups saves. Default false. */
  readonly sharing?: boolean | undefined
}

/**
 * What the repository holds: by kind, by cluster, and what it would be without compression and sharing.
 *
 * ```ts
 * const { storedBytes, logicalBytes, clusters } = await repositoryStats(retake).result
 * ```
 * @throws RetakeError by its `result`: `storage.failed`, `repo.damaged`, `aborted`
 */
export function repositoryStats(retake: Retake, options: RepositoryStatsOptions = {}): Operation<RepositoryStats> {
  return startOperation((context) => computeStats(retake.repository, { ...context, sharing: options.sharing }), options)
}
