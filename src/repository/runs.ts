/**
 * A backup says that it has begun before it writes its first pack, and that it is done after its manifest exists. What lies
 * between tells an interrupted backup, whose packs can go, from one whose manifest was lost, which is damage.
 */
import * as z from 'zod'
import { isRetakeError } from '../base/errors.ts'
import type { ObjectReader, ObjectStore } from '../storage/object-store.ts'
import { type ClusterRepository, listClusterNames } from './cluster.ts'
import { getSmall, putSmall } from './container.ts'
import {
  assertBackupId,
  backupsPrefix,
  isBackupId,
  PACKS_PREFIX,
  packIdPrefix,
  parsePackKey,
  rewriteRunKey,
  runKey,
  runsPrefix,
} from './layout.ts'
import { listManifests } from './manifest-revisions.ts'
import { decodeMeta } from './meta.ts'

const runSchema = z.object({ backupId: z.string() })

/** Records that a backup begins. Must be durable before its first pack; the caller holds the lease `backup`. */
export async function beginRun(cluster: ClusterRepository, backupId: string): Promise<void> {
  await putRun(cluster, backupId, 'begun')
}

/** Records that the manifest of a backup exists. Called by `ManifestWriter.commit`. */
export async function finishRun(cluster: ClusterRepository, backupId: string): Promise<void> {
  await putRun(cluster, backupId, 'done')
}

/**
 * Records that packs are about to be rewritten, under an id as backups have them: it begins the ids of the new packs, so that
 * verification can tell them from forgotten ones. Must be durable before the first pack; the caller holds the lease `prune`.
 */
export async function beginRewrite(cluster: ClusterRepository, runId: string): Promise<void> {
  assertBackupId(runId)
  const key = rewriteRunKey(cluster.facts.name, runId)
  await putSmall(cluster.store, cluster.sealing, { key, kind: 'runBegun', meta: { backupId: runId } })
}

/** The packs of the rewrite are referred to now, or are condemned. */
export async function endRewrite(cluster: ClusterRepository, runId: string): Promise<void> {
  await cluster.store.delete(rewriteRunKey(cluster.facts.name, runId))
}

async function putRun(cluster: ClusterRepository, backupId: string, what: 'begun' | 'done'): Promise<void> {
  assertBackupId(backupId)
  await putSmall(cluster.store, cluster.sealing, { ...runName(cluster, backupId, what), meta: { backupId } })
}

export type RunRecord = 'begun' | 'done' | 'failed' | 'rewrite'

function runName(cluster: ClusterRepository, backupId: string, what: RunRecord) {
  const { name } = cluster.facts
  if (what === 'rewrite') return { key: rewriteRunKey(name, backupId), kind: 'runBegun' } as const
  const kind = ({ begun: 'runBegun', done: 'runDone', failed: 'runFailed' } as const)[what]
  return { key: runKey(name, backupId, what), kind }
}

/** Authenticates a run's record. @throws RetakeError `repo.damaged` */
export async function readRun(cluster: ClusterRepository, backupId: string, what: RunRecord): Promise<boolean> {
  const name = runName(cluster, backupId, what)
  const meta = await getSmall(cluster.store, cluster.sealing, name)
  return meta !== undefined && decodeMeta(runSchema, meta, name).backupId === backupId
}

export interface Runs {
  readonly begun: ReadonlySet<string>
  readonly done: ReadonlySet<string>
  /** See `failures.ts`. */
  readonly failed: ReadonlySet<string>
  /** Rewrites of packs (repacking, a new data key) that are under way or were interrupted. */
  readonly rewrites: ReadonlySet<string>
}

export async function listRuns(cluster: ClusterRepository): Promise<Runs> {
  const begun = new Set<string>()
  const done = new Set<string>()
  const failed = new Set<string>()
  const rewrites = new Set<string>()
  const prefix = runsPrefix(cluster.facts.name)
  for await (const { key } of cluster.store.list(prefix)) {
    const [id = '', what] = key.slice(prefix.length).split('.')
    if (!isBackupId(id)) continue
    if (what === 'done') done.add(id)
    else if (what === 'begun') begun.add(id)
    else if (what === 'failed') failed.add(id)
    else if (what === 'rewrite') rewrites.add(id)
  }
  return { begun, done, failed, rewrites }
}

export interface CleanedRuns {
  /** The interrupted backups that were removed. */
  readonly backups: string[]
  readonly packsDeleted: number
  /** Bytes freed. */
  readonly bytes: number
}

/**
 * Removes what interrupted backups left: their packs, then the record that they had begun. A backup whose manifest exists
 * only lacks its receipt and gets it. The caller holds the lease `backup`, so that no backup of this cluster is running.
 * @param options.onInterrupted told of each before its record goes
 */
export async function cleanInterruptedRuns(
  cluster: ClusterRepository,
  { onInterrupted }: { readonly onInterrupted?: (backupId: string) => Promise<void> } = {},
): Promise<CleanedRuns> {
  const { store, facts } = cluster
  const runs = await listRuns(cluster)
  // Of any revision: the one that the backup wrote may have been replaced before its receipt was written.
  const manifests = await listManifests(cluster)
  const interrupted: string[] = []
  for (const backupId of runs.begun) {
    if (runs.done.has(backupId)) continue
    if (manifests.has(backupId)) await finishRun(cluster, backupId)
    else interrupted.push(backupId)
  }
  if (interrupted.length === 0) return { backups: [], packsDeleted: 0, bytes: 0 }
  const deletable = await exclusivePrefixes(store, interrupted)
  const locked = new Set<string>()
  let packsDeleted = 0
  let bytes = 0
  for await (const { key, sizeBytes } of store.list(PACKS_PREFIX)) {
    const packId = parsePackKey(key)
    if (packId === undefined || !deletable.has(packId.slice(0, 8))) continue
    const outcome = await deleteUnlessLocked(store, key)
    if (outcome === 'locked') locked.add(packId.slice(0, 8))
    if (outcome !== 'deleted') continue
    packsDeleted += 1
    bytes += sizeBytes
  }
  // What names locked packs stays, so that a later run finds them when their time is over.
  const ended = interrupted.filter((backupId) => !locked.has(packIdPrefix(backupId)))
  for (const backupId of ended) {
    await onInterrupted?.(backupId)
    await store.delete(runKey(facts.name, backupId, 'begun'), { copies: 'reachable' })
  }
  return { backups: ended, packsDeleted, bytes }
}

async function deleteUnlessLocked(store: ObjectStore, key: string): Promise<'deleted' | 'locked' | 'absent'> {
  try {
    return (await store.delete(key, { copies: 'reachable' })) ? 'deleted' : 'absent'
  } catch (error) {
    if (isRetakeError(error, 'storage.locked')) return 'locked'
    throw error
  }
}

/**
 * Packs are recognised by eight random digits. When another backup, of any cluster, happens to have the same ones, its packs
 * look alike: then nothing is deleted by that prefix, and the leftovers stay as unused packs.
 */
async function exclusivePrefixes(reader: ObjectReader, interrupted: readonly string[]): Promise<Set<string>> {
  const owners = new Map<string, Set<string>>()
  for (const cluster of await listClusterNames(reader)) {
    for (const prefix of [runsPrefix(cluster), backupsPrefix(cluster)]) {
      for await (const { key } of reader.list(prefix)) {
        const id = key.slice(prefix.length).split('.')[0] ?? ''
        const digits = packIdPrefix(id)
        owners.set(digits, (owners.get(digits) ?? new Set()).add(`${cluster}/${id}`))
      }
    }
  }
  return new Set(interrupted.map(packIdPrefix).filter((digits) => (owners.get(digits)?.size ?? 0) <= 1))
}
