/**
 * The summaries of a cluster's manifests in one object, so that ten thousand backups are listed with two requests instead of ten
 * thousand. It is a cache that anybody with the key can make again: it counts only for manifests that are listed with the length
 * that it names, the others are read themselves, and one that is missing or damaged costs time and nothing else (rule R4).
 */
import * as z from 'zod'
import { isRetakeError } from '../base/errors.ts'
import type { ClusterRepository } from './cluster.ts'
import { getSmall, replaceSmall } from './container.ts'
import { backupsPrefix, summaryIndexKey } from './layout.ts'
import type { BackupSummary } from './manifest.ts'
import { summarySchema } from './manifest-summary.ts'
import { decodeMeta } from './meta.ts'

/** Below so many backups reading each is quick enough. */
export const LEAST_INDEXED = 64
/** It is written again when so many manifests are not in it; until then they are read themselves. */
const LEAST_NEW = 32

const indexSchema = z.object({ summaries: z.array(z.tuple([z.string(), z.int().positive(), summarySchema])) })

/** By the name of the manifest, with its revision, below `backups/`. */
export type SummaryIndex = ReadonlyMap<string, { readonly sizeBytes: number; readonly summary: BackupSummary }>

const nameOf = (cluster: ClusterRepository) =>
  ({ key: summaryIndexKey(cluster.facts.name), kind: 'summaryIndex' }) as const

/** What the index says, whether the manifests are there or not. @throws RetakeError `repo.damaged` */
export async function openSummaryIndex(cluster: ClusterRepository): Promise<SummaryIndex> {
  const name = nameOf(cluster)
  const meta = await getSmall(cluster.store, cluster.sealing, name)
  if (meta === undefined) return new Map()
  const { summaries } = decodeMeta(indexSchema, meta, name)
  return new Map(summaries.map(([manifest, sizeBytes, summary]) => [manifest, { sizeBytes, summary }]))
}

/** The summaries that may be believed: of manifests that are listed, with their length. By the name of the manifest. */
export async function readSummaryIndex(cluster: ClusterRepository): Promise<ReadonlyMap<string, BackupSummary>> {
  const index = await openSummaryIndex(cluster).catch((error: unknown) => {
    if (!isRetakeError(error, 'repo.damaged')) throw error
    return new Map() as SummaryIndex
  })
  const known = new Map<string, BackupSummary>()
  if (index.size === 0) return known
  for (const [manifest, sizeBytes] of await listManifestSizes(cluster)) {
    const entry = index.get(manifest)
    if (entry?.sizeBytes === sizeBytes) known.set(manifest, entry.summary)
  }
  return known
}

/**
 * Brings the index up to date where that is worth it. Whoever writes last wins; both are right.
 * @param read the summary of a manifest, or undefined when it cannot be read
 * @returns whether it was written
 */
export async function updateSummaryIndex(
  cluster: ClusterRepository,
  read: (manifest: string) => Promise<BackupSummary | undefined>,
): Promise<boolean> {
  const sizes = await listManifestSizes(cluster)
  if (sizes.size < LEAST_INDEXED) return false
  const known = await readSummaryIndex(cluster)
  if (sizes.size - known.size < LEAST_NEW) return false
  const summaries: [string, number, BackupSummary][] = []
  for (const [manifest, sizeBytes] of sizes) {
    const summary = known.get(manifest) ?? (await read(manifest))
    if (summary) summaries.push([manifest, sizeBytes, summary])
  }
  await replaceSmall(cluster.store, cluster.sealing, { ...nameOf(cluster), meta: { summaries } })
  return true
}

async function listManifestSizes(cluster: ClusterRepository): Promise<Map<string, number>> {
  const prefix = backupsPrefix(cluster.facts.name)
  const sizes = new Map<string, number>()
  for await (const { key, sizeBytes } of cluster.store.list(prefix)) sizes.set(key.slice(prefix.length), sizeBytes)
  return sizes
}
