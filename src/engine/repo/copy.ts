import { type CopyReport, copyRepository as copyObjects } from '../../repository/upkeep/copy.ts'
import { openStore } from '../../storage/open.ts'
import { assertSuitable } from '../../storage/suitability.ts'
import type { Retake } from '../open.ts'
import { type Operation, type OperationOptions, startOperation } from '../operation.ts'
import { registerReaders } from '../readers.ts'

export interface CopyRepositoryOptions extends OperationOptions {
  /** The place of the copy: empty, or with an earlier copy. */
  readonly to: string
  /** One cluster only. Default: all. */
  readonly cluster?: string | undefined
  /** Says what would be copied, and writes nothing but an empty directory. */
  readonly dryRun?: boolean | undefined
}

/**
 * Copies the repository to another place, sealed as it is: the same keys open the copy. May be interrupted and done again, and may run
 * while backups and WAL are written.
 *
 * ```ts
 * const { copied } = await copyRepository(retake, { to: '/mnt/second/retake' }).result
 * ```
 * @throws RetakeError by its `result`: `repo.exists`, `repo.conflict`, `cluster.missing`, `storage.failed`, `storage.full`,
 * `storage.unsupported`, `aborted`
 */
export function copyRepository(retake: Retake, options: CopyRepositoryOptions): Operation<CopyReport> {
  return startOperation(async (context) => {
    const { to, cluster, dryRun } = options
    const clusters = cluster === undefined ? await retake.repository.listClusters() : [cluster]
    await using _readers = await registerReaders(retake, { clusters, holder: 'retake repo copy' })
    await using store = await openStore(to, { create: true })
    await assertSuitable(store)
    return await copyObjects(retake.repository, store, { ...context, cluster, dryRun })
  }, options)
}
