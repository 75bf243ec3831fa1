/**
 * A check that opens no pack and no segment: every name is one that Retake makes, key holders, receipts and manifests are authentic and to
 * the end as they were written, and every frame that a manifest names lies inside a pack that is listed.
 */
import type { ClusterRepository } from '../cluster.ts'
import { HEADER_BYTES, TRAILER_BYTES } from '../container-layout.ts'
import { manifestKey, packKey, parsePackKey } from '../layout.ts'
import { listBackupIds, openManifest, readManifestEntries } from '../manifest-store.ts'
import type { Repository } from '../repository.ts'
import { checkRuns } from '../verify/check-backups.ts'
import { checkKeys } from '../verify/check-keys.ts'
import { isKnown } from '../verify/check-unused.ts'
import { createContext, type VerifyContext } from '../verify/context.ts'
import type { VerifyFinding } from '../verify/findings.ts'

export interface StructureReport {
  readonly objects: number
  readonly backups: number
  readonly packs: number
  /** Stored bytes of packs that no manifest names; they may be of a backup that is running. */
  readonly unreferencedPackBytes: number
  readonly findings: readonly VerifyFinding[]
}

export interface StructureOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: Parameters<typeof createContext>[0]['onProgress']
}

/** @throws RetakeError when there can be no report: `aborted`, `storage.failed`, `repo.damaged` when a cluster cannot be opened */
export async function checkStructure(repository: Repository, options: StructureOptions = {}): Promise<StructureReport> {
  const context = createContext({ repository, depth: 'quick', ...options })
  await checkKeys(context)
  // Manifests before packs: what a manifest names was there before it, so a backup that ends meanwhile looks complete.
  const expected = new Map<string, Expected>()
  for (const name of await repository.listClusters()) {
    const cluster = await repository.openCluster(name)
    await readManifests(context, cluster, expected)
    await checkRuns(context, cluster)
  }
  let objects = 0
  let packs = 0
  let unreferencedPackBytes = 0
  for await (const { key, sizeBytes } of repository.store.list('')) {
    objects += 1
    if (objects % 1000 === 0) context.progress({ phase: 'objects', done: objects, unit: 'objects' })
    const packId = parsePackKey(key)
    if (packId === undefined) {
      if (!isKnown(key))
        context.findings.add({
          object: key,
          severity: 'warning',
          problem: 'it is not an object of Retake; nothing reads it',
        })
      continue
    }
    packs += 1
    const use = expected.get(packId)
    if (!use) unreferencedPackBytes += sizeBytes
    else checkSize(context, packId, { use, sizeBytes })
    expected.delete(packId)
  }
  for (const [packId, { cluster, backups }] of expected) {
    context.findings.add({ object: packKey(packId), cluster, backups: [...backups], problem: 'it is missing' })
  }
  const { backups } = context.counts
  return { objects, backups, packs, unreferencedPackBytes, findings: context.findings.all }
}

/** What manifests say of a pack. */
interface Expected {
  readonly cluster: string
  readonly backups: Set<string>
  /** Where the last of its frames ends. */
  endBytes: number
}

async function readManifests(
  context: VerifyContext,
  cluster: ClusterRepository,
  expected: Map<string, Expected>,
): Promise<void> {
  const { name } = cluster.facts
  const ids = await listBackupIds(cluster)
  for (const [done, backupId] of ids.entries()) {
    context.progress({ phase: 'manifests', done, total: ids.length, unit: 'objects' })
    context.counts.backups += 1
    const facts = { object: manifestKey(name, backupId), cluster: name, backups: [backupId] }
    await context.findings.attempt(facts, async () => {
      const manifest = await openManifest(cluster, backupId)
      const packs: Expected[] = []
      if (!manifest) return
      for await (const entry of readManifestEntries(manifest)) {
        if (entry.type === 'pack') {
          const use = expected.get(entry.packId) ?? { cluster: name, backups: new Set(), endBytes: 0 }
          expected.set(entry.packId, use)
          use.backups.add(backupId)
          packs.push(use)
        } else if (entry.type === 'file') {
          for (const { frame } of entry.runs) {
            const use = frame && packs[frame.pack]
            if (use) use.endBytes = Math.max(use.endBytes, frame.offsetBytes + frame.storedBytes)
          }
        }
      }
    })
  }
}

function checkSize(
  context: VerifyContext,
  packId: string,
  { use, sizeBytes }: { readonly use: Expected; readonly sizeBytes: number },
): void {
  const least = Math.max(use.endBytes, HEADER_BYTES) + TRAILER_BYTES
  if (sizeBytes > least) return
  const problem = `it has ${sizeBytes} bytes, and what backups refer to ends only at ${use.endBytes}`
  context.findings.add({ object: packKey(packId), cluster: use.cluster, backups: [...use.backups], problem })
}
