/**
 * Turns the stream of a base backup into a manifest: tar entries in, frames out to the workers, entries into the manifest as
 * soon as everything they refer to is stored.
 */
import { assert } from '../../base/errors.ts'
import { isRelationFile } from '../../postgres/relation-path.ts'
import { type TarEntry, type TarEvent, TarReader } from '../../postgres/tar.ts'
import type { ManifestEntry, PackEntry } from '../../repository/manifest.ts'
import { type AssembledFile, FileAssembly, type FileHeader } from './file-assembly.ts'
import { FrameCutter, type FrameJob, type FramePiece } from './frame-cutter.ts'
import type { CheckedStretch, FrameOutcome } from './frame-processor.ts'
import type { PackFacts } from './pack-series.ts'
import type { PageVerdict, SuspectFile } from './page-judgement.ts'
import type { Slab } from './slab.ts'

/** Entries that wait to be written to the manifest before the stream is held back. */
const ENTRY_BACKLOG = 2_000

export interface BackupCollectorOptions {
  readonly slab: Slab
  readonly submit: (job: FrameJob) => void
  readonly addEntry: (entry: ManifestEntry) => Promise<void>
  readonly judge: (file: SuspectFile) => Promise<PageVerdict>
  readonly failed: (error: unknown) => void
  readonly checksums: boolean
  readonly blockSizeBytes: number
  readonly relationSegmentBlocks: number
}

export interface BackupTotals {
  fileCount: number
  totalBytes: number
  packCount: number
  tornBlockCount: number
  corruptBlockCount: number
}

export class BackupCollector {
  readonly totals: BackupTotals = { fileCount: 0, totalBytes: 0, packCount: 0, tornBlockCount: 0, corruptBlockCount: 0 }
  readonly #options: BackupCollectorOptions
  readonly #cutter: FrameCutter
  readonly #assembly: FileAssembly
  readonly #packNumbers = new Map<string, number>()
  #file: { readonly number: number; sizeBytes: number } | undefined
  #tar = new TarReader()
  #prefix = ''
  #entries: Promise<void> = Promise.resolve()
  #entriesWaiting = 0

  constructor(options: BackupCollectorOptions) {
    this.#options = options
    this.#cutter = new FrameCutter(options.slab, options.submit)
    this.#assembly = new FileAssembly((file) => this.#completed(file))
  }

  /** A tar archive begins: of PGDATA itself, or of one tablespace. */
  beginArchive(name: string): void {
    const oid = /^(\d+)\.tar/.exec(name)?.[1]
    this.#prefix = oid === undefined ? '' : `pg_tblspc/${oid}/`
  }

  /** Bytes of the archive; a returned promise means that no slot is free, or that entries wait to be written. */
  archiveBytes(bytes: Buffer): void | Promise<void> {
    return this.#consume(this.#tar.push(bytes))
  }

  endArchive(): void {
    this.#tar.finish()
    this.#tar = new TarReader()
  }

  #consume(events: Iterator<TarEvent>): void | Promise<void> {
    for (;;) {
      const next = events.next()
      if (next.done) return
      const waiting = this.#handle(next.value)
      if (waiting) return waiting.then(() => this.#consume(events))
    }
  }

  #handle(event: TarEvent): void | Promise<void> {
    if (event.type === 'content') return this.data(event.bytes)
    if (event.type === 'entry') return this.#entry(event.entry)
    if (this.#file) this.endFile()
  }

  #entry(entry: TarEntry): void | Promise<void> {
    const path = this.#prefix + entry.path
    if (entry.type === 'directory') {
      this.#add({ type: 'directory', path, mode: entry.mode })
    } else if (entry.type === 'symlink') {
      // The links of tablespaces are in the summary: a restore may place them elsewhere.
      if (!/^pg_tblspc\/\d+$/.test(path)) this.#add({ type: 'link', path, target: entry.linkTarget ?? '' })
    } else {
      this.beginFile({ path, mode: entry.mode, modifiedMs: entry.modifiedAtSeconds * 1000 }, entry.sizeBytes)
    }
    if (this.#entriesWaiting > ENTRY_BACKLOG) return this.#entries
  }

  /** @param sizeBytes undefined when it is not known beforehand */
  beginFile(header: FileHeader, sizeBytes: number | undefined): void {
    const number = this.#assembly.begin(header)
    this.#file = { number, sizeBytes: 0 }
    this.#cutter.beginFile(number, sizeBytes)
  }

  data(bytes: Uint8Array): void | Promise<void> {
    assert(this.#file !== undefined, 'data belongs to a file')
    this.#file.sizeBytes += bytes.length
    return this.#cutter.write(bytes)
  }

  endFile(): void {
    const file = this.#file
    assert(file !== undefined, 'a file is open')
    this.#file = undefined
    this.#cutter.endFile()
    this.#assembly.end(file.number, file.sizeBytes)
  }

  /** Nothing more comes; what is left in the open frame goes out. */
  endStream(): void {
    assert(this.#file === undefined, 'the stream ends between files')
    this.#cutter.flush()
  }

  /** Resolves when every entry is in the manifest; call it after all frames are stored. */
  async settle(): Promise<void> {
    await this.#entries
    assert(this.#assembly.inFlight === 0, 'every file is complete when every frame is stored')
  }

  packOpened(pack: PackFacts): void {
    this.#packNumbers.set(pack.packId, this.totals.packCount++)
    const entry: PackEntry = { type: 'pack', packId: pack.packId, salt: pack.salt, epoch: pack.epoch }
    this.#add(entry)
  }

  frameStored(job: FrameJob, outcome: FrameOutcome): void {
    const { frame, badPages } = outcome
    const bad = new Map(badPages.map((found) => [found.piece, found.pages]))
    const ref = frame && refTo(frame, this.#packNumber(frame.packId))
    for (const [index, piece] of job.pieces.entries()) this.#assembly.place(piece, ref, bad.get(index) ?? [])
  }

  /** The stretches of a frame that belong to relation files, whose pages carry checksums. */
  checkedStretches(job: FrameJob): CheckedStretch[] {
    return job.pieces.flatMap((piece, index) => this.#checked(piece, index))
  }

  #checked(piece: FramePiece, index: number): CheckedStretch[] {
    const { frameOffsetBytes, lengthBytes, fileOffsetBytes } = piece
    const first = this.#options.checksums ? this.#firstBlock(this.#assembly.header(piece.file).path) : undefined
    if (first === undefined) return []
    const firstBlockNumber = first + fileOffsetBytes / this.#options.blockSizeBytes
    return [{ piece: index, frameOffsetBytes, lengthBytes, firstBlockNumber }]
  }

  /** The number of a file's first block in its relation; undefined when its pages carry no checksums. */
  #firstBlock(path: string): number | undefined {
    const relation = isRelationFile(path)
    return relation && relation.segmentNumber * this.#options.relationSegmentBlocks
  }

  #packNumber(packId: string): number {
    const number = this.#packNumbers.get(packId)
    assert(number !== undefined, 'a pack is declared before it is referred to')
    return number
  }

  #completed(file: AssembledFile): void {
    this.totals.fileCount++
    this.totals.totalBytes += file.sizeBytes
    const { badPages, ...rest } = file
    const entry = { type: 'file' as const, ...rest }
    if (badPages.length === 0) {
      this.#add(entry)
      return
    }
    this.#enqueue(async () => {
      const firstBlockNumber = this.#firstBlock(file.path) ?? 0
      const { tornBlocks, corruptBlocks } = await this.#options.judge({ path: file.path, firstBlockNumber, badPages })
      this.totals.tornBlockCount += tornBlocks.length
      this.totals.corruptBlockCount += corruptBlocks.length
      await this.#options.addEntry({
        ...entry,
        ...(tornBlocks.length > 0 ? { tornBlocks } : {}),
        ...(corruptBlocks.length > 0 ? { corruptBlocks } : {}),
      })
    })
  }

  #add(entry: ManifestEntry): void {
    this.#enqueue(() => this.#options.addEntry(entry))
  }

  /** Entries are written one after the other, in the order in which they became complete. */
  #enqueue(work: () => Promise<void>): void {
    this.#entriesWaiting++
    this.#entries = this.#entries.then(work)
    this.#entries = this.#entries.finally(() => this.#entriesWaiting--)
    this.#entries.catch(this.#options.failed)
  }
}

function refTo({ packId: _, ...frame }: FrameOutcome['frame'] & object, pack: number) {
  return { pack, ...frame }
}
