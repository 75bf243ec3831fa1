/** Manifests: written as a stream with bounded memory, made visible in one step, read back entry by entry. */
import * as z from 'zod'
import { assert, RetakeError } from '../base/errors.ts'
import type { ClusterRepository } from './cluster.ts'
import { type Container, ContainerWriter, damaged, openContainer } from './container.ts'
import { assertBackupId, manifestKey, manifestName, parseManifestName } from './layout.ts'
import type { BackupSummary, ManifestEntry, PackEntry } from './manifest.ts'
import { decodeEntry, encodeEntry } from './manifest-lines.ts'
import { listNewestManifests, newestRevision } from './manifest-revisions.ts'
import { summarySchema } from './manifest-summary.ts'
import { decodeMeta } from './meta.ts'
import { readFrames } from './read-frames.ts'
import { finishRun } from './runs.ts'
import { MAX_FRAME_BYTES } from './sealing.ts'
import { LEAST_INDEXED, readSummaryIndex, updateSummaryIndex } from './summary-index.ts'

const manifestSchema = z.object({ summary: summarySchema, entryCount: z.int().nonnegative() })

const nameOf = (cluster: ClusterRepository, backupId: string, revision: number) =>
  ({ key: manifestKey(cluster.facts.name, backupId, revision), kind: 'manifest' }) as const

/** Writes a manifest. Nothing is visible before {@link commit}: the manifest is the commit of the backup. */
export class ManifestWriter implements AsyncDisposable {
  readonly #cluster: ClusterRepository
  readonly #backupId: string
  readonly #revision: number
  readonly #container: ContainerWriter
  readonly #buffer = Buffer.allocUnsafe(MAX_FRAME_BYTES)
  #length = 0
  #packCount = 0
  #entryCount = 0

  private constructor(
    cluster: ClusterRepository,
    place: { readonly backupId: string; readonly revision: number },
    container: ContainerWriter,
  ) {
    this.#cluster = cluster
    this.#backupId = place.backupId
    this.#revision = place.revision
    this.#container = container
  }

  /** @param revision 0 (default) for a new backup; above, for a rewrite of one that is committed */
  static async open(
    cluster: ClusterRepository,
    backupId: string,
    { revision = 0 }: { readonly revision?: number | undefined } = {},
  ): Promise<ManifestWriter> {
    assertBackupId(backupId)
    const container = await ContainerWriter.open(cluster.store, cluster.sealing, nameOf(cluster, backupId, revision))
    return new ManifestWriter(cluster, { backupId, revision }, container)
  }

  /** Index that the next pack entry will have in `FrameRef.pack`. */
  get packCount(): number {
    return this.#packCount
  }

  /** Adds an entry; one at a time. A pack comes before the first file that refers to it. */
  async add(entry: ManifestEntry): Promise<void> {
    let rest = Buffer.from(`${encodeEntry(entry, this.#packCount)}\n`)
    if (entry.type === 'pack') this.#packCount += 1
    this.#entryCount += 1
    while (rest.length > 0) {
      const copied = rest.copy(this.#buffer, this.#length)
      this.#length += copied
      rest = rest.subarray(copied)
      if (this.#length === this.#buffer.length) await this.#flush()
    }
  }

  /**
   * Makes the backup exist, then writes the receipt of it; a rewrite has one already. Every pack must be durable before.
   * @throws RetakeError `repo.conflict` when there already is a backup with this id, or this revision of it
   */
  async commit(summary: BackupSummary): Promise<void> {
    assert(
      summary.backupId === this.#backupId && summary.packCount === this.#packCount,
      'the summary is about this manifest',
    )
    const meta = { summary: summarySchema.parse(summary), entryCount: this.#entryCount }
    await this.#flush()
    if (!(await this.#container.commit(meta))) {
      throw new RetakeError('repo.conflict', `There already is a backup ${this.#backupId}; it was not overwritten.`, {
        details: { object: this.#container.name.key },
      })
    }
    if (this.#revision === 0) await finishRun(this.#cluster, this.#backupId)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#container[Symbol.asyncDispose]()
  }

  async #flush(): Promise<void> {
    if (this.#length === 0) return
    await this.#container.writeFrame(this.#buffer.subarray(0, this.#length), { level: 3 })
    this.#length = 0
  }
}

/** What a manifest says without its entries. */
export interface ManifestHead {
  readonly summary: BackupSummary
  /** How often the manifest was rewritten. */
  readonly revision: number
  readonly entryCount: number
  readonly container: Container
}

/**
 * Opens what a backup is now: the highest revision of its manifest, also while the backup is condemned.
 * @returns undefined when there is no such backup @throws RetakeError `repo.damaged`
 */
export async function openManifest(cluster: ClusterRepository, backupId: string): Promise<ManifestHead | undefined> {
  for (let known = -1; ; ) {
    const revision = await newestRevision(cluster, backupId)
    if (revision === undefined) return undefined
    const manifest = await openRevision(cluster, { backupId, revision })
    if (manifest !== undefined) return manifest
    // Replaced since it was listed; what replaced it is listed now.
    if (revision === known) return undefined
    known = revision
  }
}

/** One revision of a manifest. @returns undefined when it is not stored @throws RetakeError `repo.damaged` */
export async function openRevision(
  cluster: ClusterRepository,
  place: { readonly backupId: string; readonly revision: number },
): Promise<ManifestHead | undefined> {
  const { backupId, revision } = place
  const name = nameOf(cluster, backupId, revision)
  const container = await openContainer(cluster.store, cluster.sealing, name)
  if (container === undefined) return undefined
  const { summary, entryCount } = decodeMeta(manifestSchema, container.meta, name)
  if (summary.backupId !== backupId || summary.cluster !== cluster.facts.name)
    throw damaged(name, 'it is the manifest of another backup')
  return { summary, revision, entryCount, container }
}

export interface ListBackupsOptions {
  /** Called for a manifest that cannot be read, which is then left out. Without it the first one is an error. */
  readonly onDamage?: ((error: RetakeError, backupId: string) => void) | undefined
}

/** Footers are read this many at a time. */
const LIST_BATCH = 16

/**
 * All backups, oldest first; reads only the end of each manifest, and not even that where the index of summaries knows it.
 * @throws RetakeError `repo.damaged`
 */
export async function listBackups(
  cluster: ClusterRepository,
  options: ListBackupsOptions = {},
): Promise<BackupSummary[]> {
  const newest = [...(await listNewestManifests(cluster))]
  const known = newest.length < LEAST_INDEXED ? new Map<string, BackupSummary>() : await readSummaryIndex(cluster)
  const summaries: BackupSummary[] = []
  const unknown: typeof newest = []
  for (const [backupId, revision] of newest) {
    const summary = known.get(manifestName(backupId, revision))
    if (summary) summaries.push(summary)
    else unknown.push([backupId, revision])
  }
  for (let start = 0; start < unknown.length; start += LIST_BATCH) {
    const batch = unknown
      .slice(start, start + LIST_BATCH)
      .map(([backupId, revision]) => readOrReport(cluster, { backupId, revision }, options))
    for (const summary of await Promise.all(batch)) if (summary) summaries.push(summary)
  }
  return summaries.sort((left, right) => (left.backupId < right.backupId ? -1 : 1))
}

/** After a backup: lets the next listing of very many backups read one object. @throws RetakeError `storage.*` */
export async function refreshSummaryIndex(cluster: ClusterRepository): Promise<boolean> {
  return await updateSummaryIndex(cluster, async (name) => {
    const place = parseManifestName(name)
    return place && (await readOrReport(cluster, place, { onDamage: () => {} }))
  })
}

/** The ids of all backups that are not condemned; their order is that of time. */
export async function listBackupIds(cluster: ClusterRepository): Promise<string[]> {
  return [...(await listNewestManifests(cluster)).keys()]
}

async function readOrReport(
  cluster: ClusterRepository,
  place: { readonly backupId: string; readonly revision: number },
  options: ListBackupsOptions,
): Promise<BackupSummary | undefined> {
  const { backupId } = place
  try {
    const manifest = (await openRevision(cluster, place)) ?? (await openManifest(cluster, backupId))
    return manifest?.summary
  } catch (error) {
    if (!(error instanceof RetakeError) || error.code !== 'repo.damaged' || !options.onDamage) throw error
    options.onDamage(error, backupId)
    return undefined
  }
}

/** @throws RetakeError `backup.missing`, `repo.damaged` */
export async function readSummary(cluster: ClusterRepository, backupId: string): Promise<BackupSummary> {
  assertBackupId(backupId)
  const manifest = await openManifest(cluster, backupId)
  if (manifest === undefined) throw missing(cluster, backupId)
  return manifest.summary
}

/** The entries in the order they were written, one frame in memory at a time. @throws RetakeError `backup.missing`, `repo.damaged` */
export async function* readEntries(cluster: ClusterRepository, backupId: string): AsyncGenerator<ManifestEntry> {
  assertBackupId(backupId)
  const manifest = await openManifest(cluster, backupId)
  if (manifest === undefined) throw missing(cluster, backupId)
  yield* readManifestEntries(manifest)
}

/** As {@link readEntries}, for a manifest that is already open. */
export async function* readManifestEntries(manifest: ManifestHead): AsyncGenerator<ManifestEntry> {
  for await (const { entry } of readManifestLines(manifest)) yield entry
}

/** The entries with the lines that they stand in. @throws RetakeError `repo.damaged` */
export async function* readManifestLines(
  manifest: ManifestHead,
): AsyncGenerator<{ readonly entry: ManifestEntry; readonly line: string }> {
  const { container, summary } = manifest
  let packCount = 0
  let lineNumber = 0
  for await (const line of readLines(container)) {
    lineNumber += 1
    const entry = decodeEntry(line, packCount)
    if (entry === undefined) throw damaged(container, `its line ${lineNumber} is not in the format`)
    if (entry.type === 'pack') packCount += 1
    yield { entry, line }
  }
  if (lineNumber !== manifest.entryCount || packCount !== summary.packCount) {
    throw damaged(container, 'it has not as many entries as its summary says')
  }
}

/** The packs that a manifest declares. Every byte of it is authenticated, but only these lines are taken apart. */
export async function* readManifestPacks(manifest: ManifestHead): AsyncGenerator<PackEntry> {
  const { container, summary } = manifest
  let packCount = 0
  let lineNumber = 0
  for await (const line of readLines(container)) {
    lineNumber += 1
    if (!line.startsWith('["p",')) continue
    const entry = decodeEntry(line, packCount)
    if (entry?.type !== 'pack') throw damaged(container, `its line ${lineNumber} is not in the format`)
    packCount += 1
    yield entry
  }
  if (lineNumber !== manifest.entryCount || packCount !== summary.packCount) {
    throw damaged(container, 'it has not as many entries as its summary says')
  }
}

/** Lines may cross the border of a frame. */
async function* readLines(container: Container): AsyncGenerator<string> {
  let begun: Buffer[] = []
  for await (const frame of readFrames(container)) {
    const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength)
    let start = 0
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      const line = bytes.subarray(start, end)
      yield (begun.length > 0 ? Buffer.concat([...begun, line]) : line).toString('utf8')
      begun = []
      start = end + 1
    }
    if (start < bytes.length) begun.push(bytes.subarray(start))
  }
  if (begun.length > 0) throw damaged(container, 'its last line has no end')
}

function missing(cluster: ClusterRepository, backupId: string): RetakeError {
  return new RetakeError('backup.missing', `The cluster "${cluster.facts.name}" has no backup ${backupId}.`, {
    hint: 'List the backups with `retake backups`.',
    details: { backupId },
  })
}
