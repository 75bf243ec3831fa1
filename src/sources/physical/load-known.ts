/** Fills what is known from the manifests of earlier backups. */
import { throwIfAborted } from '../../base/abort.ts'
import type { FileEntry } from '../../repository/manifest.ts'
import { type ManifestHead, readManifestLines } from '../../repository/manifest-store.ts'
import { type KnownContent, storedFrame } from './known-content.ts'
import type { PackFacts } from './pack-series.ts'

export interface LoadKnownOptions {
  /** Remember the files too, by their paths: of the parent. Of other backups only contents are remembered. */
  readonly files: boolean
  /** Packs that are about to be deleted, and must not be referred to. */
  readonly condemned: ReadonlySet<string>
  readonly signal?: AbortSignal | undefined
}

/** How the files of a backup are spread over frames. */
export interface Fragmentation {
  readonly runCount: number
  /** Runs that a full backup of the same files would have. */
  readonly leastRunCount: number
}

const REGION_BYTES = 1024 * 1024

/** @throws RetakeError `repo.damaged`, `aborted`, `storage.*` */
export async function loadKnown(
  known: KnownContent,
  manifest: ManifestHead,
  options: LoadKnownOptions,
): Promise<Fragmentation> {
  const packs: PackFacts[] = []
  let runCount = 0
  let leastRunCount = 0
  for await (const { entry, line } of readManifestLines(manifest)) {
    if (entry.type === 'pack') {
      throwIfAborted(options.signal)
      packs.push({ packId: entry.packId, salt: entry.salt, epoch: entry.epoch })
    }
    if (entry.type !== 'file') continue
    runCount += entry.runs.length
    leastRunCount += Math.ceil(entry.sizeBytes / REGION_BYTES)
    if (options.files) known.addFile(entry.path, line, packs)
    addContents(known, entry, { packs, condemned: options.condemned })
  }
  return { runCount, leastRunCount }
}

function addContents(
  known: KnownContent,
  entry: FileEntry,
  { packs, condemned }: { readonly packs: readonly PackFacts[]; readonly condemned: ReadonlySet<string> },
): void {
  for (const { frame, frameOffsetBytes, lengthBytes } of entry.runs) {
    const pack = frame && packs[frame.pack]
    if (!frame || !pack || condemned.has(pack.packId)) continue
    const stored = storedFrame(frame, pack)
    known.addContent(frame.contentId, { frame: stored, frameOffsetBytes: 0, lengthBytes: frame.plainBytes }, pack)
    if (entry.contentId === undefined || lengthBytes !== entry.sizeBytes) continue
    known.addContent(entry.contentId, { frame: stored, frameOffsetBytes, lengthBytes }, pack)
  }
}
