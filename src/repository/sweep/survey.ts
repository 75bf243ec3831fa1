/**
 * What is stored and what refers to it, over all clusters. The order makes it safe beside running backups: packs are listed
 * first, then runs, then manifests. A pack that is listed belongs to a run that had begun by then; if that run is not done when
 * the runs are listed, its packs are left alone; if it is, its manifest is among those that are read.
 */
import { throwIfAborted } from '../../base/abort.ts'
import { isRetakeError, type RetakeError } from '../../base/errors.ts'
import type { ProgressListener } from '../../base/progress.ts'
import type { ClusterRepository } from '../cluster.ts'
import { readCondemned } from '../condemned.ts'
import { damaged } from '../container.ts'
import { isShredded } from '../epochs.ts'
import { backupsPrefix, manifestKey, PACKS_PREFIX, packIdPrefix, parsePackKey } from '../layout.ts'
import { listManifests, listNewestManifests } from '../manifest-revisions.ts'
import { openRevision, readManifestPacks } from '../manifest-store.ts'
import type { Repository } from '../repository.ts'
import { listRuns } from '../runs.ts'
import { PackUsers } from './pack-users.ts'

export interface SurveyOptions {
  readonly repository: Repository
  /** Whose packs are looked at; manifests of all clusters are read. */
  readonly cluster: ClusterRepository
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
}

export interface SurveyDamage {
  readonly object: string
  readonly message: string
  readonly cluster: string
  /** A manifest of the cluster that is looked at, and whose. */
  readonly backupId?: string | undefined
}

export interface Survey {
  /** Stored bytes of every pack of the repository, by id. */
  readonly packs: ReadonlyMap<string, number>
  /** Users are backup ids of this cluster, and `cluster/` for another cluster as a whole. */
  readonly users: PackUsers
  /** The backups of this cluster that exist, with the revision that counts, readable or not. */
  readonly manifests: ReadonlyMap<string, number>
  /** Manifests of this cluster that newer ones have replaced, and that nobody has condemned yet. */
  readonly replaced: readonly { readonly backupId: string; readonly revision: number }[]
  /** The ids of the packs of runs that are not done begin with these: of backups of any cluster, and rewrites of others. */
  readonly busyPrefixes: ReadonlySet<string>
  /** Rewrites of this cluster that were interrupted. */
  readonly leftRewrites: ReadonlySet<string>
  /** What cannot be read; while there is any, no pack may be given up, because it may be referred to. */
  readonly damage: readonly SurveyDamage[]
}

export async function surveyPacks(options: SurveyOptions): Promise<Survey> {
  const { repository, cluster } = options
  const packs = new Map<string, number>()
  for await (const { key, sizeBytes } of repository.store.list(PACKS_PREFIX)) {
    const packId = parsePackKey(key)
    if (packId !== undefined) packs.set(packId, sizeBytes)
  }
  throwIfAborted(options.signal)
  const damage: SurveyDamage[] = []
  const clusters = await openClusters(options, damage)
  const busyPrefixes = new Set<string>()
  let leftRewrites: ReadonlySet<string> = new Set()
  for (const one of clusters) {
    const runs = await listRuns(one)
    for (const id of runs.begun) if (!runs.done.has(id)) busyPrefixes.add(packIdPrefix(id))
    if (one.facts.name === cluster.facts.name) leftRewrites = runs.rewrites
    else for (const id of runs.rewrites) busyPrefixes.add(packIdPrefix(id))
  }
  const users = new PackUsers()
  let manifests: ReadonlyMap<string, number> = new Map()
  for (const one of clusters) {
    const marked = await markCluster(options, one, { users, damage })
    if (one.facts.name === cluster.facts.name) manifests = marked
  }
  const replaced = await listReplaced(cluster)
  return { packs, users, manifests, replaced, busyPrefixes, leftRewrites, damage }
}

/** Every cluster that has backups; one that cannot be opened is damage. */
async function openClusters(options: SurveyOptions, damage: SurveyDamage[]): Promise<ClusterRepository[]> {
  const { repository, cluster } = options
  const clusters: ClusterRepository[] = []
  for (const name of await repository.listClusters()) {
    if (name === cluster.facts.name) clusters.push(cluster)
    // Of a shredded cluster nothing can be read, so nothing of it is referred to.
    else if (!(await isShredded(repository.store, name)) && (await holdsAny(repository, name))) {
      const opened = await attempt({ cluster: name, object: `clusters/${name}/` }, damage, () =>
        repository.openCluster(name),
      )
      if (opened) clusters.push(opened)
    }
  }
  return clusters
}

async function holdsAny(repository: Repository, name: string): Promise<boolean> {
  for (const prefix of [backupsPrefix(name), `clusters/${name}/runs/`])
    for await (const _object of repository.store.list(prefix)) return true
  return false
}

interface Marks {
  readonly users: PackUsers
  readonly damage: SurveyDamage[]
}

async function markCluster(
  options: SurveyOptions,
  cluster: ClusterRepository,
  marks: Marks,
): Promise<ReadonlyMap<string, number>> {
  const { name } = cluster.facts
  const own = name === options.cluster.facts.name
  if (!own) marks.users.beginUser(`${name}/`)
  const newest = await listNewestManifests(cluster)
  let done = 0
  for (const [backupId, revision] of newest) {
    throwIfAborted(options.signal)
    if (own) marks.users.beginUser(backupId)
    const object = manifestKey(name, backupId, revision)
    await attempt({ cluster: name, object, ...(own ? { backupId } : {}) }, marks.damage, async () => {
      const manifest = await openRevision(cluster, { backupId, revision })
      if (manifest === undefined) throw damaged({ key: object }, 'it was removed while it was read')
      for await (const { packId } of readManifestPacks(manifest)) marks.users.add(packId)
    })
    done += 1
    options.onProgress?.({ phase: 'manifests', done, total: newest.size, unit: 'objects' })
  }
  return newest
}

async function listReplaced(cluster: ClusterRepository): Promise<{ backupId: string; revision: number }[]> {
  const { backups, revisions: condemned } = await readCondemned(cluster)
  const replaced: { backupId: string; revision: number }[] = []
  for (const [backupId, revisions] of await listManifests(cluster)) {
    if (backups.has(backupId)) continue
    for (const revision of revisions.slice(0, -1))
      if (!condemned.has(`${backupId}.${revision}`)) replaced.push({ backupId, revision })
  }
  return replaced
}

async function attempt<T>(
  facts: Omit<SurveyDamage, 'message'>,
  damage: SurveyDamage[],
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (!isDamage(error)) throw error
    damage.push({ ...facts, message: error.message })
    return undefined
  }
}

function isDamage(error: unknown): error is RetakeError {
  return isRetakeError(error, 'repo.damaged') || isRetakeError(error, 'cluster.missing')
}
