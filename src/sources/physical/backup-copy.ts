/** One copy of a server's files into packs and a manifest: wires the stream, the collector, the workers and the manifest together. */
import { availableParallelism } from 'node:os'
import { throwIfAborted } from '../../base/abort.ts'
import { type Clock, systemClock } from '../../base/clock.ts'
import { assert } from '../../base/errors.ts'
import { type Logger, type ProgressListener, silentLogger } from '../../base/progress.ts'
import type { Lsn } from '../../postgres/lsn.ts'
import type { BaseBackupSink } from '../../postgres/replication/base-backup.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import type { BackupSummary, TablespaceInfo } from '../../repository/manifest.ts'
import { ManifestWriter } from '../../repository/manifest-store.ts'
import { contentId, DEFAULT_COMPRESSION_LEVEL } from '../../repository/sealing.ts'
import { BackupCollector, type BackupTotals } from './backup-collector.ts'
import type { Basis } from './basis.ts'
import type { FileIntake } from './direct/copy-files.ts'
import { OpenFiles } from './direct/open-files.ts'
import { type FramePool, openFramePool } from './frame-pool.ts'
import { judgePages, type PageVerdict, type RereadBlock, rereadThrough, type SuspectFile } from './page-judgement.ts'
import type { ServerSettings } from './preflight.ts'
import { livesInThisProcess } from './process-local.ts'
import type { ServerLine } from './server-line.ts'
import { Slab } from './slab.ts'
import { readThroughSql, SERVER_MANIFEST_PATH } from './wal-summaries.ts'

export interface BackupCopyOptions {
  readonly cluster: ClusterRepository
  readonly backupId: string
  readonly line: ServerLine
  readonly settings: ServerSettings
  /** What may be referred to. */
  readonly basis: Basis
  /** The server has begun, and sends no file before this is done. */
  readonly begun: (start: BackupStart) => Promise<void>
  /** How a page is read again whose checksum is wrong. Default: through the server, where the role may do so. */
  readonly reread?: RereadBlock | undefined
  /** zstd level. */
  readonly compressionLevel?: number | undefined
  /** Threads; 0 works in the caller's. */
  readonly workers?: number | undefined
  readonly gate?: Gate | undefined
  readonly signal: AbortSignal
  readonly onProgress?: ProgressListener | undefined
  readonly logger?: Logger | undefined
  readonly clock?: Clock | undefined
}

/** Asked before each piece that is read from the server is taken; while the promise is pending, nothing further is read. */
export type Gate = (signal: AbortSignal) => Promise<void> | undefined

/** Where the server began, once it has said so. */
export interface BackupStart {
  readonly lsn: Lsn
  readonly timeline: number
  readonly tablespaces: readonly TablespaceInfo[]
}

/** Slots of 1 MiB: two for each worker, and some to fill meanwhile; more would not make it faster. */
const SPARE_SLOTS = 12
const SLOTS_PER_WORKER = 2
/** With two, the process stays below 300 MiB; each further one adds some 30. */
const MOST_WORKERS = 8
const PROGRESS_INTERVAL_MS = 100

export class BackupCopy implements AsyncDisposable {
  readonly #options: BackupCopyOptions
  readonly #clock: Clock
  readonly #manifest: ManifestWriter
  readonly #collector: BackupCollector
  readonly #pool: FramePool
  readonly #slab: Slab
  /** Ends the stream when storing fails, so that nobody waits for a slot that never comes free. */
  readonly #giveUp = new AbortController()
  /** Fires when the caller stops, or when storing has failed. */
  readonly signal: AbortSignal
  #failure: { readonly error: unknown } | undefined
  readonly #openFiles = new OpenFiles()
  #start: BackupStart | undefined
  #archiveOpen = false
  #manifestOpen = false
  #doneBytes = 0
  #expectedBytes = 0
  #reportedAtMs = 0

  private constructor(options: BackupCopyOptions, manifest: ManifestWriter) {
    const { settings, cluster, backupId, compressionLevel = DEFAULT_COMPRESSION_LEVEL } = options
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#manifest = manifest
    this.signal = AbortSignal.any([options.signal, this.#giveUp.signal])
    const workers = livesInThisProcess(cluster.store)
      ? 0
      : (options.workers ?? Math.min(MOST_WORKERS, availableParallelism()))
    this.#slab = new Slab(SPARE_SLOTS + SLOTS_PER_WORKER * workers)
    const failed = (error: unknown) => this.#fail(error)
    this.#collector = new BackupCollector({
      slab: this.#slab,
      submit: (job) => this.#pool.submit(job),
      addEntry: (entry) => manifest.add(entry),
      judge: (file) => this.#judge(file),
      parent: options.basis.view,
      readServerFile: readThroughSql(options.line),
      failed,
      checksums: settings.dataChecksums,
      blockSizeBytes: settings.blockSizeBytes,
      relationSegmentBlocks: settings.relationSegmentBlocks,
    })
    this.#pool = openFramePool(
      {
        store: cluster.store,
        sealing: cluster.sealing,
        backupId,
        compressionLevel,
        blockSizeBytes: settings.blockSizeBytes,
        pageRule: options.basis.pageRule(settings.walSegmentSizeBytes),
        slab: this.#slab,
        workers,
        pieces: (job) => this.#collector.pieces(job),
      },
      {
        pack: (pack) => this.#collector.packOpened(pack),
        bundled: (placements) => this.#collector.bundled(placements),
        lookUp: async (contentIds) => this.#collector.lookUp(contentIds),
        stored: (job, outcome) => {
          this.#openFiles.stored(job)
          this.#collector.frameStored(job, outcome)
        },
        failed,
      },
    )
  }

  static async open(options: BackupCopyOptions): Promise<BackupCopy> {
    return new BackupCopy(options, await ManifestWriter.open(options.cluster, options.backupId))
  }

  /** Where the base backup stream goes. */
  readonly sink: BaseBackupSink = {
    begin: (start) => {
      const { lsn, timeline } = start
      // A tablespace inside PGDATA (a developer's setting) is a plain directory of it, with no place of its own.
      const tablespaces = start.tablespaces.filter(({ location }) => location.startsWith('/'))
      this.#start = { lsn, timeline, tablespaces: tablespaces.map(({ oid, location }) => ({ oid, location })) }
      this.#expectedBytes = start.tablespaces.reduce((sum, { sizeBytes }) => sum + sizeBytes, start.baseSizeBytes)
      this.#report()
      return this.#options.begun(this.#start)
    },
    archive: (name) => {
      this.#closeArchive()
      this.#collector.beginArchive(name)
      this.#archiveOpen = true
    },
    data: (bytes) => this.#take(bytes.length, () => this.#collector.archiveBytes(bytes)),
    manifest: (bytes) => {
      this.#throwIfFailed()
      this.#closeArchive()
      if (!this.#manifestOpen) {
        this.#manifestOpen = true
        this.#collector.beginFile(
          { path: SERVER_MANIFEST_PATH, mode: 0o600, modifiedMs: this.#clock.now().getTime() },
          undefined,
        )
      }
      return this.#collector.data(bytes)
    },
  }

  /** Where the files go that are read directly. */
  readonly intake: FileIntake = {
    begin: ({ lsn, timeline, tablespaces, sizeBytes }) => {
      this.#start = { lsn, timeline, tablespaces }
      this.#expectedBytes = sizeBytes
      this.#report()
      return this.#options.begun(this.#start)
    },
    entry: (entry) => {
      this.#throwIfFailed()
      return this.#collector.entry(entry)
    },
    data: (bytes) => this.#take(bytes.length, () => this.#collector.data(bytes)),
    adopt: (descriptor, lengthBytes) => this.#openFiles.add(descriptor, lengthBytes),
    dataFrom: (descriptor, lengthBytes) =>
      this.#take(lengthBytes, () => this.#collector.dataFrom(descriptor, lengthBytes)),
    endFile: () => this.#collector.endFile(),
    allRead: () => this.#openFiles.allRead(this.signal),
  }

  /** Ends the backup: what it is made from is not there any more. */
  readonly lost = (error: unknown): void => this.#fail(error)

  /** The server has begun to send. */
  get hasBegun(): boolean {
    return this.#start !== undefined
  }

  /** Waits for the stream; when storing failed, that is the error, not the end of the stream that it caused. */
  async guard<T>(stream: Promise<T>): Promise<T> {
    try {
      return await stream
    } catch (error) {
      throw this.#failure ? this.#failure.error : error
    }
  }

  /** Everything was read: stores the rest and waits until every pack is durable. The manifest is complete then, not committed. */
  async finish(): Promise<{
    readonly start: BackupStart
    readonly totals: BackupTotals
    readonly storedBytes: number
    readonly readBytes: number
  }> {
    this.#closeArchive()
    if (this.#manifestOpen) this.#collector.endFile()
    this.#collector.endStream()
    try {
      const storedBytes = await this.#pool.finish()
      await this.#collector.settle()
      this.#throwIfFailed()
      assert(this.#start !== undefined, 'a base backup begins')
      return { start: this.#start, totals: this.#collector.totals, storedBytes, readBytes: this.#doneBytes }
    } catch (error) {
      throw this.#failure ? this.#failure.error : error
    }
  }

  /** Makes the backup visible. Everything it refers to is durable by then. */
  async commit(summary: BackupSummary): Promise<void> {
    throwIfAborted(this.signal)
    await this.#manifest.commit(summary)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    using _openFiles = this.#openFiles
    await using _manifest = this.#manifest
    await using _pool = this.#pool
    this.#slab.fail(new Error('the backup has ended'))
  }

  async #judge(file: SuspectFile): Promise<PageVerdict> {
    const { line, settings, cluster, logger = silentLogger, signal } = this.#options
    assert(this.#start !== undefined, 'a file follows the start')
    const verdict = await judgePages(file, {
      sql: line,
      startLsn: this.#start.lsn,
      blockSizeBytes: settings.blockSizeBytes,
      reread: this.#options.reread ?? (settings.mayReadFiles ? rereadThrough(line) : undefined),
      fingerprint: (page) => contentId(cluster.sealing, page),
      signal,
    })
    if (verdict.corruptBlocks.length > 0) {
      logger.error(
        `${file.path} is corrupt on the server: the checksums of ${verdict.corruptBlocks.length} blocks are wrong. ` +
          'The backup holds them as they are; an older backup may hold them intact.',
        { path: file.path, blocks: verdict.corruptBlocks.slice(0, 100) },
      )
    }
    return verdict
  }

  /** The next piece, when the gate lets it through; until then the server's bytes wait in the socket, or in its files. */
  #take(lengthBytes: number, store: () => void | Promise<void>): void | Promise<void> {
    const held = this.#options.gate?.(this.signal)
    if (held) {
      return held.then(() => {
        this.#count(lengthBytes)
        return store()
      })
    }
    this.#count(lengthBytes)
    return store()
  }

  #count(lengthBytes: number): void {
    this.#throwIfFailed()
    this.#doneBytes += lengthBytes
    this.#report()
  }

  #closeArchive(): void {
    if (this.#archiveOpen) this.#collector.endArchive()
    this.#archiveOpen = false
  }

  #report(): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#reportedAtMs < PROGRESS_INTERVAL_MS && this.#doneBytes > 0) return
    this.#reportedAtMs = nowMs
    // The server's sizes are estimates; files grow meanwhile.
    const total = Math.max(this.#expectedBytes, this.#doneBytes)
    this.#options.onProgress?.({ phase: 'copy', done: this.#doneBytes, total, unit: 'bytes' })
  }

  #throwIfFailed(): void {
    if (this.#failure) throw this.#failure.error
  }

  #fail(error: unknown): void {
    if (this.#failure) return
    this.#failure = { error }
    this.#slab.fail(error)
    this.#giveUp.abort(error)
  }
}
