/** Deep: every frame of every pack, each pack read once however many backups refer to it. */
import type { ClusterRepository } from '../cluster.ts'
import { packKey } from '../layout.ts'
import type { BackupSummary } from '../manifest.ts'
import { openManifest, readManifestEntries } from '../manifest-store.ts'
import type { CheckedBackups } from './check-backups.ts'
import type { VerifyContext } from './context.ts'
import type { DeepResult } from './deep-check.ts'
import type { DeepPool } from './deep-pool.ts'
import { MAX_FILES } from './findings.ts'
import { MAX_STRETCHES_PER_PASS, type PackUse, pageStretches, StretchList } from './pack-users.ts'

interface DamagedFrames {
  readonly use: PackUse
  /** Damaged frames, and what is wrong with each. */
  readonly frames: Map<number, string>
}

export async function checkPacks(
  context: VerifyContext,
  cluster: ClusterRepository,
  options: { readonly checked: CheckedBackups; readonly pool: DeepPool },
): Promise<void> {
  const { checked, pool } = options
  const { sizes, totalBytes } = await readableSizes(context, cluster, checked)
  const passes = Math.max(1, Math.ceil(checked.runCount / MAX_STRETCHES_PER_PASS))
  const damaged: DamagedFrames[] = []
  let doneBytes = 0
  for (let pass = 0; pass < passes; pass++) {
    const uses = [...checked.packs.values()].filter((use, index) => index % passes === pass && sizes.has(use.packId))
    const stretches = await collectStretches(context, cluster, {
      checked,
      packIds: new Set(uses.map((use) => use.packId)),
    })
    const tasks = uses.map((use) => ({
      type: 'pack' as const,
      packId: use.packId,
      stretches: stretches.get(use.packId)?.numbers ?? new Uint32Array(0),
      blockSizeBytes: cluster.facts.blockSizeBytes,
      use,
    }))
    await pool.run(tasks, (task, result) => {
      context.counts.packs += 1
      context.counts.bytesRead += result.bytesRead
      context.counts.pagesChecked += result.pagesChecked
      doneBytes += sizes.get(task.packId) ?? 0
      const frames = record(context, task.use, result)
      if (frames.size > 0) damaged.push({ use: task.use, frames })
      context.progress({ phase: 'packs', done: doneBytes, total: totalBytes, unit: 'bytes' })
    })
  }
  if (damaged.length > 0) await nameAffected(context, cluster, { damaged, summaries: checked.summaries })
}

/** Packs whose footer was readable; the others are already recorded. */
async function readableSizes(
  context: VerifyContext,
  cluster: ClusterRepository,
  checked: CheckedBackups,
): Promise<{ readonly sizes: Map<string, number>; readonly totalBytes: number }> {
  const sizes = new Map<string, number>()
  let totalBytes = 0
  for (const { packId } of checked.packs.values()) {
    const info = await cluster.store.head(packKey(packId))
    if (info === undefined || context.findings.has(info.key)) continue
    sizes.set(packId, info.sizeBytes)
    totalBytes += info.sizeBytes
  }
  return { sizes, totalBytes }
}

/**
 * Where pages lie in the packs. The oldest backup that names a pack tells it: it wrote the pack, and a frame that a later
 * backup refers to has the same content and so the same pages.
 */
async function collectStretches(
  context: VerifyContext,
  cluster: ClusterRepository,
  options: { readonly checked: CheckedBackups; readonly packIds: ReadonlySet<string> },
): Promise<Map<string, StretchList>> {
  const byPack = new Map<string, StretchList>()
  for (const summary of options.checked.summaries) {
    if (!summary.dataChecksums) continue
    const manifest = await openManifest(cluster, summary.backupId)
    if (manifest === undefined) continue
    const lists: (StretchList | undefined)[] = []
    for await (const entry of readManifestEntries(manifest)) {
      if (entry.type === 'pack') {
        const isFirst = options.checked.packs.get(entry.packId)?.backups[0] === summary.backupId
        const list = isFirst && options.packIds.has(entry.packId) ? new StretchList() : undefined
        lists.push(list)
        if (list) byPack.set(entry.packId, list)
      } else if (entry.type === 'file') {
        for (const stretch of pageStretches(entry, summary.blockSizeBytes)) lists[stretch.pack]?.add(stretch)
      }
    }
    context.progress({ phase: 'manifests', done: 0, unit: 'objects' })
  }
  return byPack
}

/** Records what concerns the pack as a whole; returns what concerns single frames. */
function record(context: VerifyContext, use: PackUse, result: DeepResult): Map<number, string> {
  const frames = new Map<number, string>()
  for (const { frame, problem } of result.problems) {
    if (frame !== undefined) frames.set(frame, problem)
    else context.findings.add({ object: packKey(use.packId), cluster: use.cluster, backups: use.backups, problem })
  }
  return frames
}

/** Which backups and files need the damaged frames; a frame that nobody needs costs nothing yet. */
async function nameAffected(
  context: VerifyContext,
  cluster: ClusterRepository,
  options: { readonly damaged: readonly DamagedFrames[]; readonly summaries: readonly BackupSummary[] },
): Promise<void> {
  const byPack = new Map(options.damaged.map((one) => [one.use.packId, one]))
  const affected = new Map<string, { backups: Set<string>; files: Set<string> }>()
  for (const { backupId } of options.summaries) {
    const manifest = await openManifest(cluster, backupId)
    if (manifest === undefined) continue
    const packs: (DamagedFrames | undefined)[] = []
    for await (const entry of readManifestEntries(manifest)) {
      if (entry.type === 'pack') packs.push(byPack.get(entry.packId))
      if (entry.type !== 'file') continue
      for (const { frame } of entry.runs) {
        const pack = frame && packs[frame.pack]
        if (!frame || !pack?.frames.has(frame.index)) continue
        const key = `${pack.use.packId}:${frame.index}`
        const known = affected.get(key) ?? { backups: new Set(), files: new Set() }
        known.backups.add(backupId)
        if (known.files.size < MAX_FILES) known.files.add(entry.path)
        affected.set(key, known)
      }
    }
  }
  for (const { use, frames } of options.damaged) {
    for (const [frame, problem] of frames) {
      const known = affected.get(`${use.packId}:${frame}`)
      const finding = { object: packKey(use.packId), cluster: use.cluster, problem }
      if (known) context.findings.add({ ...finding, backups: [...known.backups], files: [...known.files] })
      else context.findings.add({ ...finding, severity: 'warning' })
    }
  }
}
