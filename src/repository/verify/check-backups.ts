/** Runs and manifests of one cluster, and whether what manifests refer to is what the packs list. */
import type { ClusterRepository } from '../cluster.ts'
import { readCondemned } from '../condemned.ts'
import { type Container, openContainer } from '../container.ts'
import { manifestKey, packKey, rewriteRunKey, runKey } from '../layout.ts'
import type { BackupSummary, FileEntry, FrameRef } from '../manifest.ts'
import { listManifests, listNewestManifests, newestRevision } from '../manifest-revisions.ts'
import { type ManifestHead, openManifest, openRevision, readManifestEntries } from '../manifest-store.ts'
import { listRuns, type RunRecord, readRun } from '../runs.ts'
import type { VerifyContext } from './context.ts'
import type { PackUse } from './pack-users.ts'

export interface CheckedBackups {
  /** Those whose manifest is readable to the end. */
  readonly summaries: readonly BackupSummary[]
  /** By pack id. */
  readonly packs: ReadonlyMap<string, PackUse>
  /** Runs of files over all manifests. */
  readonly runCount: number
}

/** Footers kept while manifests are compared with them: of the packs of many increments, which the files of one backup refer to. */
const FOOTER_CACHE = 512

/** Reads every manifest, and the footer of every pack that one names. */
export async function checkBackups(
  context: VerifyContext,
  cluster: ClusterRepository,
  options: { readonly backupId?: string | undefined },
): Promise<CheckedBackups> {
  const newest = [...(await listNewestManifests(cluster))].filter(
    ([id]) => options.backupId === undefined || id === options.backupId,
  )
  const packs = new Map<string, PackUse>()
  const summaries: BackupSummary[] = []
  const footers = createFooterCache(context, cluster)
  let runCount = 0
  for (const [done, [backupId, revision]] of newest.entries()) {
    context.progress({ phase: 'manifests', done, total: newest.length, unit: 'objects' })
    const facts = {
      object: manifestKey(cluster.facts.name, backupId, revision),
      cluster: cluster.facts.name,
      backups: [backupId],
    }
    const checked = await context.findings.attempt(facts, async () => {
      const manifest = (await openRevision(cluster, { backupId, revision })) ?? (await openManifest(cluster, backupId))
      return manifest && { summary: manifest.summary, runs: await checkManifest(context, manifest, { packs, footers }) }
    })
    context.counts.backups += 1
    if (checked === undefined) continue
    summaries.push(checked.summary)
    runCount += checked.runs
  }
  return { summaries, packs, runCount }
}

/** Returns the number of runs; damage of the manifest is thrown, that of packs is recorded. */
async function checkManifest(
  context: VerifyContext,
  manifest: ManifestHead,
  shared: { readonly packs: Map<string, PackUse>; readonly footers: FooterCache },
): Promise<number> {
  const { summary, container } = manifest
  const declared: PackUse[] = []
  let runs = 0
  let files = 0
  let totalBytes = 0
  context.counts.bytesRead += container.sizeBytes
  for await (const entry of readManifestEntries(manifest)) {
    if (entry.type === 'pack') {
      const use = shared.packs.get(entry.packId) ?? {
        packId: entry.packId,
        salt: entry.salt,
        epoch: entry.epoch,
        cluster: summary.cluster,
        backups: [],
      }
      shared.packs.set(entry.packId, use)
      use.backups.push(summary.backupId)
      declared.push(use)
      const pack = await shared.footers.get(use)
      if (pack && (Buffer.from(pack.salt).toString('base64url') !== entry.salt || pack.epoch !== entry.epoch)) {
        reportPack(context, use, {
          backupId: summary.backupId,
          problem: 'its salt or its epoch is not the one that the manifest names',
        })
      }
    } else if (entry.type === 'file') {
      files += 1
      totalBytes += entry.sizeBytes
      runs += entry.runs.length
      await checkFile(context, entry, { declared, footers: shared.footers, backupId: summary.backupId })
    }
  }
  if (files !== summary.fileCount || totalBytes !== summary.totalBytes) {
    context.findings.add({
      object: container.key,
      problem: `it lists ${files} files of ${totalBytes} bytes, its summary says ${summary.fileCount} of ${summary.totalBytes}`,
      cluster: summary.cluster,
      backups: [summary.backupId],
    })
  }
  return runs
}

async function checkFile(
  context: VerifyContext,
  entry: FileEntry,
  shared: { readonly declared: readonly PackUse[]; readonly footers: FooterCache; readonly backupId: string },
): Promise<void> {
  for (const { frame } of entry.runs) {
    const use = frame && shared.declared[frame.pack]
    if (!frame || !use) continue
    const pack = await shared.footers.get(use)
    if (pack && !isListed(pack, frame)) {
      const problem = `its frame ${frame.index} is not the one that the manifest of ${shared.backupId} describes`
      reportPack(context, use, { backupId: shared.backupId, problem, files: [entry.path] })
    }
  }
}

function isListed(pack: Container, ref: FrameRef): boolean {
  const frame = pack.frames[ref.index]
  return (
    frame !== undefined &&
    frame.offsetBytes === ref.offsetBytes &&
    frame.storedBytes === ref.storedBytes &&
    frame.plainBytes === ref.plainBytes &&
    frame.codec === ref.codec &&
    frame.contentId === ref.contentId
  )
}

function reportPack(
  context: VerifyContext,
  use: PackUse,
  facts: { readonly backupId: string; readonly problem: string; readonly files?: readonly string[] },
): void {
  const { backupId, ...rest } = facts
  context.findings.add({ object: packKey(use.packId), cluster: use.cluster, backups: [backupId], ...rest })
}

interface FooterCache {
  /** Undefined when the pack is missing or damaged, which is then already recorded. */
  get(use: PackUse): Promise<Container | undefined>
}

function createFooterCache(context: VerifyContext, cluster: ClusterRepository): FooterCache {
  const cache = new Map<string, Container | undefined>()
  return {
    async get(use) {
      const { packId } = use
      if (cache.has(packId)) {
        const known = cache.get(packId)
        // Moved to the end: the least recently used one is dropped first.
        cache.delete(packId)
        cache.set(packId, known)
        return known
      }
      const name = { key: packKey(packId), kind: 'pack' } as const
      const facts = { object: name.key, cluster: use.cluster, backups: use.backups }
      const pack = await context.findings.attempt(facts, () => openContainer(cluster.store, cluster.sealing, name))
      const damaged = context.findings.has(name.key)
      if (!pack && !damaged) context.findings.add({ ...facts, problem: 'it is missing' })
      cache.set(packId, pack)
      const [oldest] = cache.keys()
      if (cache.size > FOOTER_CACHE && oldest !== undefined) cache.delete(oldest)
      return pack
    },
  }
}

/** Every manifest has its two records, and every record of a finished backup its manifest. */
export async function checkRuns(context: VerifyContext, cluster: ClusterRepository): Promise<void> {
  const { findings } = context
  const { name } = cluster.facts
  const manifests = await listManifests(cluster)
  const runs = await listRuns(cluster)
  // Read last: a backup that is being deleted meanwhile is condemned since before.
  const condemned = await readCondemned(cluster, { onDamage: () => {} })
  for (const what of ['begun', 'done', 'failed', 'rewrite'] as const)
    for (const id of what === 'rewrite' ? runs.rewrites : runs[what]) await checkRecord(context, cluster, { id, what })
  for (const backupId of new Set([...manifests.keys(), ...runs.begun, ...runs.done])) {
    if (condemned.backups.has(backupId)) continue
    const [begun, done] = [runs.begun.has(backupId), runs.done.has(backupId)]
    const missing = (object: string, problem: string, severity: 'error' | 'warning' | 'notice') =>
      findings.add({ object, problem, severity, cluster: name, backups: severity === 'error' ? [backupId] : [] })
    if (manifests.has(backupId)) {
      if (!begun) missing(runKey(name, backupId, 'begun'), 'it is missing, though the backup exists', 'warning')
      if (!done)
        missing(
          runKey(name, backupId, 'done'),
          'it is missing, though the backup exists; the next backup writes it again',
          'warning',
        )
    } else if (done) {
      const revision = await newestRevision(cluster, backupId)
      if (revision !== undefined) {
        const problem = 'it was not listed when this began, so it was not checked; run `retake verify` again'
        missing(manifestKey(name, backupId, revision), problem, 'notice')
        continue
      }
      missing(manifestKey(name, backupId), 'it is missing, though the backup was completed', 'error')
      if (!begun) missing(runKey(name, backupId, 'begun'), 'it is missing, though the backup was completed', 'warning')
    } else {
      missing(
        runKey(name, backupId, 'begun'),
        'this backup is running, or was interrupted; the next backup removes what it left',
        'notice',
      )
    }
  }
  for (const id of runs.rewrites) {
    const object = rewriteRunKey(name, id)
    const problem = 'packs are being rewritten, or that was interrupted; the next `retake prune` removes what it left'
    findings.add({ object, problem, severity: 'notice', cluster: name })
  }
}

async function checkRecord(
  context: VerifyContext,
  cluster: ClusterRepository,
  record: { readonly id: string; readonly what: RunRecord },
): Promise<void> {
  const { name } = cluster.facts
  const { id, what } = record
  const object = what === 'rewrite' ? rewriteRunKey(name, id) : runKey(name, id, what)
  const facts = { object, severity: 'warning', cluster: name } as const
  const genuine = await context.findings.attempt(facts, async () => {
    // Deleted since it was listed: the run has ended.
    return (await readRun(cluster, id, what)) || (await cluster.store.head(object)) === undefined
  })
  if (genuine === false) context.findings.add({ ...facts, problem: 'it is about another backup' })
}
