import { sep } from 'node:path'
import { RetakeError } from '../../base/errors.ts'
import { readersPrefix } from '../../repository/layout.ts'
import { type CopyReport, copyRepository as copyObjects } from '../../repository/upkeep/copy.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
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
 * @throws RetakeError by its `result`: `repo.exists` (also when it is the same place), `repo.conflict`, `cluster.missing`, `storage.failed`, `storage.full`,
 * `storage.unsupported`, `aborted`
 */
export function copyRepository(retake: Retake, options: CopyRepositoryOptions): Operation<CopyReport> {
  return startOperation(async (context) => {
    const { to, cluster, dryRun } = options
    const clusters = cluster === undefined ? await retake.repository.listClusters() : [cluster]
    await using _readers = await registerReaders(retake, { clusters, holder: 'retake repo copy' })
    await using store = await openStore(to, { create: true })
    await assertElsewhere(retake, store, clusters)
    await assertSuitable(store)
    return await copyObjects(retake.repository, store, { ...context, cluster, dryRun })
  }, options)
}

/** A second copy in the first one's place would be called one, and be none. */
async function assertElsewhere(retake: Retake, to: ObjectStore, clusters: readonly string[]): Promise<void> {
  const from = retake.repository.store
  if (await isSamePlace(from, to, clusters))
    throw samePlace(to, `${to.url} is this repository itself, or a mirror of it`)
  if (isWithin(to.url, from.url) || isWithin(from.url, to.url))
    throw samePlace(to, `${to.url} and ${from.url} lie one within the other`)
}

/** Whatever the place is called: that this run reads is on record where it reads, and never in a copy. */
async function isSamePlace(from: ObjectStore, to: ObjectStore, clusters: readonly string[]): Promise<boolean> {
  for (const cluster of clusters)
    for await (const { key } of from.list(readersPrefix(cluster))) if (await to.head(key)) return true
  return false
}

function isWithin(inner: string, outer: string): boolean {
  return inner.startsWith('/') && outer.startsWith('/') && inner.startsWith(outer.endsWith(sep) ? outer : outer + sep)
}

function samePlace(to: ObjectStore, why: string): RetakeError {
  return new RetakeError('repo.exists', `${why}; nothing was copied.`, {
    hint: 'Name a place of its own, best on another machine.',
    details: { url: to.url },
  })
}
