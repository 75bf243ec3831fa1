/** What a backup builds upon: its parent, if it has one, what earlier packs hold, and why it is the kind of backup that it is. */
import { assert, isRetakeError } from '../../base/errors.ts'
import type { Logger } from '../../base/progress.ts'
import { targetTimeline } from '../../catalog/timeline-path.ts'
import { type Lsn, parseLsn } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import type { BackupSummary, ChangeSource, DatabaseVersion } from '../../repository/manifest.ts'
import { listBackupIds, type ManifestHead, openManifest } from '../../repository/manifest-store.ts'
import { KnownContent } from './known-content.ts'
import { type Fragmentation, loadKnown } from './load-known.ts'
import type { PageRule } from './page-change.ts'
import { belongsTo, type ServerPoint, sameDatabases, whyNoPageLsns, whyNoParent } from './parent-choice.ts'
import { ParentView } from './parent-view.ts'

export type BackupType = 'full' | 'incremental'

export interface BasisOptions {
  readonly cluster: ClusterRepository
  /** Undefined: incremental where that is possible. */
  readonly type: BackupType | undefined
  readonly server: ServerPoint
  /** As the catalog names them now, before the backup has begun. */
  readonly databases: readonly DatabaseVersion[]
  /** Packs that are about to be deleted, and must not be referred to. */
  readonly condemned: ReadonlySet<string>
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** What the summary says about it. */
export type BasisFacts = Pick<BackupSummary, 'type' | 'parent' | 'changeSource' | 'reason' | 'databases'>

/** Backups that are looked at for a parent, the newest first. */
const MAX_CANDIDATES = 16
/** Besides the parent, contents are known of so many of the newest backups, while their manifests are no larger than this together. */
const MAX_OTHERS = 3
const MAX_OTHERS_BYTES = 32 * 1024 * 1024

export class Basis implements Disposable {
  readonly view: ParentView
  /** Of the parent. */
  readonly fragmentation: Fragmentation | undefined
  readonly #options: BasisOptions
  readonly #known: KnownContent
  #parent: BackupSummary | undefined
  #changeSource: ChangeSource | undefined
  #reason: string | undefined
  #databases: readonly DatabaseVersion[] = []

  private constructor(options: BasisOptions, found: Found) {
    this.#options = options
    this.#known = found.known
    this.#parent = found.parent
    this.#reason = found.reason
    this.fragmentation = found.fragmentation
    const { blockSizeBytes } = options.server
    this.view = new ParentView({ known: found.known, blockSizeBytes, condemned: options.condemned })
    if (found.parent === undefined) return
    const doubt = whyNoPageLsns(found.parent, options.server)
    this.#changeSource = doubt === undefined ? 'page-lsn' : 'content'
    if (doubt !== undefined) this.#reason = capitalised(`${doubt}.`)
  }

  /** @throws RetakeError `storage.*`, `aborted` */
  static async open(options: BasisOptions): Promise<Basis> {
    return new Basis(options, await find(options))
  }

  get parent(): BackupSummary | undefined {
    return this.#parent
  }

  get facts(): BasisFacts {
    const common = { ...(this.#reason === undefined ? {} : { reason: this.#reason }), databases: this.#databases }
    if (this.#parent === undefined) return { type: 'full', ...common }
    return { type: 'incremental', parent: this.#parent.backupId, changeSource: this.#changeSource, ...common }
  }

  /** Pages are judged by their LSNs, so that the server's summaries are a better way where it has them. */
  get usesPageLsns(): boolean {
    return this.#parent !== undefined && this.#changeSource === 'page-lsn'
  }

  /** The server itself says what changed. */
  useSummaries(): void {
    this.#changeSource = 'wal-summaries'
  }

  /** It does not after all. @param why a sentence without its full stop */
  refuseSummaries(why: string): void {
    this.#changeSource = 'page-lsn'
    this.#reason = `WAL summaries were not used: ${why.replace(/\.$/, '')}.`
  }

  /** How the workers judge pages; undefined when page LSNs are of no use. */
  pageRule(walSegmentSizeBytes: number): PageRule | undefined {
    if (this.#parent === undefined || this.#changeSource === 'content') return undefined
    const sinceLsn = parseLsn(this.#parent.startLsn)
    // The log of a new cluster begins with its second segment.
    const leastLsn = BigInt(walSegmentSizeBytes) as Lsn
    return { blockSizeBytes: this.#options.server.blockSizeBytes, sinceLsn, leastLsn }
  }

  /**
   * The server has begun: what it said before may not hold for where the backup begins. No file may have been judged before.
   * @param start where the replay of this backup begins @param databases as the catalog names them now
   */
  begun(start: { readonly lsn: Lsn; readonly timeline: number }, databases: readonly DatabaseVersion[]): void {
    this.#databases = sameDatabases(this.#options.databases, databases)
    if (this.#parent === undefined) return
    const { server } = this.#options
    const why =
      targetTimeline(server.timelinePath) === start.timeline
        ? whyNoParent(this.#parent, { ...server, lsn: start.lsn })
        : 'the server changed its timeline while the backup began'
    if (why !== undefined) {
      // The server has begun to send increments to it; it makes the same checks, so this is not expected.
      assert(this.#changeSource !== 'wal-summaries', why)
      this.#parent = undefined
      this.#reason = capitalised(`${why}.`)
      return
    }
    if (this.#changeSource === 'content') return
    this.view.trust(belongsTo(sameDatabases(this.#parent.databases ?? [], this.#databases)))
  }

  [Symbol.dispose](): void {
    this.#known[Symbol.dispose]()
  }
}

interface Found {
  readonly known: KnownContent
  readonly parent?: BackupSummary | undefined
  readonly fragmentation?: Fragmentation | undefined
  readonly reason?: string | undefined
}

async function find(options: BasisOptions): Promise<Found> {
  const newestFirst = (await listBackupIds(options.cluster)).reverse().slice(0, MAX_CANDIDATES)
  let reason: string | undefined
  if (options.type !== 'full') {
    if (newestFirst.length === 0 && options.type === 'incremental') reason = 'There is no earlier backup to build upon.'
    for (const backupId of newestFirst) {
      const tried = await attempt(options, backupId, async (manifest) => {
        const why = whyNoParent(manifest.summary, options.server)
        if (why !== undefined) return { why }
        return await loadParent(options, manifest)
      })
      if (tried && 'known' in tried) {
        await addOthers(
          tried.known,
          options,
          newestFirst.filter((id) => id !== backupId),
        )
        return tried
      }
      reason ??= capitalised(`${tried?.why ?? `the manifest of ${backupId} is damaged`}.`)
    }
  }
  const known = new KnownContent()
  await addOthers(known, options, newestFirst)
  return { known, reason }
}

async function loadParent(options: BasisOptions, manifest: ManifestHead): Promise<Found> {
  const known = new KnownContent()
  try {
    const { condemned, signal } = options
    const fragmentation = await loadKnown(known, manifest, { files: true, condemned, signal })
    return { known, parent: manifest.summary, fragmentation }
  } catch (error) {
    known[Symbol.dispose]()
    throw error
  }
}

/** What is in their packs need not be stored again. */
async function addOthers(known: KnownContent, options: BasisOptions, newestFirst: readonly string[]): Promise<void> {
  const { condemned, signal } = options
  let bytes = 0
  for (const backupId of newestFirst.slice(0, MAX_OTHERS)) {
    await attempt(options, backupId, async (manifest) => {
      bytes += manifest.container.sizeBytes
      if (bytes <= MAX_OTHERS_BYTES) await loadKnown(known, manifest, { files: false, condemned, signal })
    })
  }
}

/** A damaged manifest is for verify to report; a backup goes on without it. */
async function attempt<T>(
  { cluster, logger }: BasisOptions,
  backupId: string,
  use: (manifest: ManifestHead) => Promise<T>,
): Promise<T | undefined> {
  try {
    const manifest = await openManifest(cluster, backupId)
    return manifest && (await use(manifest))
  } catch (error) {
    if (!isRetakeError(error, 'repo.damaged')) throw error
    logger.warn(`The backup ${backupId} cannot be built upon: ${error.message}`, { backupId })
    return undefined
  }
}

function capitalised(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1)
}
