/**
 * Turns the stream of a base backup into a manifest: tar entries in, frames out to the workers, entries into the manifest as
 * soon as everything they refer to is stored.
 */
import { assert } from '../../base/errors.ts'
import { incrementalPath } from '../../postgres/incremental-file.ts'
import { isRelationFile, type RelationFile } from '../../postgres/relation-path.ts'
import { type TarEntry, type TarEvent, TarReader } from '../../postgres/tar.ts'
import type { FileEntry, ManifestEntry } from '../../repository/manifest.ts'
import { type AssembledFile, FileAssembly, type FileHeader } from './file-assembly.ts'
import { fileEntry } from './file-entry.ts'
import { FrameCutter, type FrameJob, type FramePiece, isLargeFile } from './frame-cutter.ts'
import type { FrameOutcome, Placement, TaskPiece } from './frame-task.ts'
import { Increment, type IncrementTarget, type ReadServerFile } from './increment-intake.ts'
import type { KnownStretch } from './known-content.ts'
import { LABEL_PATH, LabelIntake } from './label-intake.ts'
import type { PackFacts } from './pack-series.ts'
import type { PageVerdict, SuspectFile } from './page-judgement.ts'
import type { ParentView } from './parent-view.ts'
import type { Slab } from './slab.ts'

/** Entries that wait to be written to the manifest before the stream is held back. */
const ENTRY_BACKLOG = 2_000

export interface BackupCollectorOptions {
  readonly slab: Slab
  readonly submit: (job: FrameJob) => void
  readonly addEntry: (entry: ManifestEntry) => Promise<void>
  readonly judge: (file: SuspectFile) => Promise<PageVerdict>
  readonly failed: (error: unknown) => void
  readonly parent: ParentView
  readonly readServerFile: ReadServerFile
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
  /** See `FrameOutcome.changedBytes`. */
  changedBytes: number
}

interface FileFacts {
  readonly relation: RelationFile | undefined
  readonly wholeFile: boolean
  /** Not all of it is sent: what is not is as the parent has it. */
  readonly increment: boolean
}

export class BackupCollector implements IncrementTarget {
  readonly totals: BackupTotals = {
    fileCount: 0,
    totalBytes: 0,
    packCount: 0,
    tornBlockCount: 0,
    corruptBlockCount: 0,
    changedBytes: 0,
  }
  readonly #options: BackupCollectorOptions
  readonly #cutter: FrameCutter
  readonly #assembly: FileAssembly
  readonly #packNumbers = new Map<string, number>()
  readonly #facts = new Map<number, FileFacts>()
  #file: { readonly number: number; sizeBytes: number } | undefined
  #tar = new TarReader()
  /** What comes is not stored as it comes. */
  #intake: Increment | LabelIntake | undefined
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
    if (event.type === 'entry') return this.#streamed(event.entry)
    const intake = this.#intake
    if (event.type === 'content') return intake ? intake.push(event.bytes) : this.data(event.bytes)
    if (intake) {
      this.#intake = undefined
      return intake.end()
    }
    if (this.#file) this.endFile()
  }

  /** An entry of the server's archive, which has files that mean something else than their content. */
  #streamed(entry: TarEntry): void | Promise<void> {
    const path = this.#prefix + entry.path
    const changed = entry.type === 'file' ? incrementalPath(path) : undefined
    if (changed !== undefined) this.#intake = this.#beginIncrement({ path: changed, ...timesOf(entry) })
    else if (path === LABEL_PATH && entry.sizeBytes > 0)
      this.#intake = new LabelIntake({ path, ...timesOf(entry) }, this)
    else return this.entry(entry)
    if (this.#entriesWaiting > ENTRY_BACKLOG) return this.#entries
  }

  /** A directory, a link, or a file, whose content follows. A returned promise means that entries wait to be written. */
  entry(entry: TarEntry): void | Promise<void> {
    const path = this.#prefix + entry.path
    if (entry.type === 'directory') {
      this.#add({ type: 'directory', path, mode: entry.mode })
    } else if (entry.type === 'symlink') {
      // The links of tablespaces are in the summary: a restore may place them elsewhere.
      if (!/^pg_tblspc\/\d+$/.test(path)) this.#add({ type: 'link', path, target: entry.linkTarget ?? '' })
    } else {
      this.beginFile({ path, ...timesOf(entry) }, entry.sizeBytes)
    }
    if (this.#entriesWaiting > ENTRY_BACKLOG) return this.#entries
  }

  #beginIncrement(header: FileHeader): Increment {
    const { blockSizeBytes, readServerFile, parent } = this.#options
    const parentSizeBytes = (path: string) => parent.file(path)?.entry.sizeBytes
    return new Increment(header, this, { blockSizeBytes, readServerFile, parentSizeBytes })
  }

  beginPages(header: FileHeader): void {
    const number = this.#assembly.begin(header)
    this.#file = { number, sizeBytes: 0 }
    this.#facts.set(number, { relation: isRelationFile(header.path), wholeFile: false, increment: true })
    this.#cutter.beginPages(number)
  }

  placePages(blocks: { readonly first: number; readonly count: number }, source: 'parent' | 'zeros'): void {
    const { blockSizeBytes } = this.#options
    assert(this.#file !== undefined, 'pages belong to a file')
    this.#assembly.placeDirectly({
      file: this.#file.number,
      fileOffsetBytes: blocks.first * blockSizeBytes,
      lengthBytes: blocks.count * blockSizeBytes,
      source,
    })
  }

  seekPage(block: number): void {
    const { blockSizeBytes } = this.#options
    this.#cutter.seek(block * blockSizeBytes, blockSizeBytes)
  }

  endPages(lengthBlocks: number): void {
    assert(this.#file !== undefined, 'a file is open')
    this.#file.sizeBytes = lengthBlocks * this.#options.blockSizeBytes
    this.endFile()
  }

  /** @param sizeBytes undefined when it is not known beforehand */
  beginFile(header: FileHeader, sizeBytes: number | undefined): void {
    const number = this.#assembly.begin(header)
    this.#file = { number, sizeBytes: 0 }
    const wholeFile = sizeBytes !== undefined && !isLargeFile(sizeBytes)
    this.#facts.set(number, { relation: isRelationFile(header.path), wholeFile, increment: false })
    this.#cutter.beginFile(number, sizeBytes)
  }

  data(bytes: Uint8Array): void | Promise<void> {
    assert(this.#file !== undefined, 'data belongs to a file')
    this.#file.sizeBytes += bytes.length
    return this.#cutter.write(bytes)
  }

  /** As {@link data}, for bytes that whoever stores them reads from an open file. */
  dataFrom(descriptor: number, lengthBytes: number): void | Promise<void> {
    assert(this.#file !== undefined, 'data belongs to a file')
    this.#file.sizeBytes += lengthBytes
    return this.#cutter.reserve(descriptor, lengthBytes)
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
    this.#options.parent.opened(pack)
    this.#packNumber(pack)
  }

  frameStored(job: FrameJob, outcome: FrameOutcome): void {
    this.totals.changedBytes += outcome.changedBytes
    this.#remember(outcome.placements)
    this.#assembly.answered(job.pieces, outcome)
  }

  /** What had waited in a bundle is stored. */
  bundled(placements: readonly Placement[]): void {
    this.#remember(placements)
    this.#assembly.place(placements)
  }

  /** Where contents are held already; the packs of what is found are declared, because it will be referred to. */
  lookUp(contentIds: readonly string[]): (KnownStretch | undefined)[] {
    return contentIds.map((id) => this.#options.parent.content(id))
  }

  /** What the workers need to know about the pieces of a frame. */
  pieces(job: FrameJob): TaskPiece[] {
    return job.pieces.map((piece) => this.#describe(piece))
  }

  #describe(piece: FramePiece): TaskPiece {
    const { parent, checksums, blockSizeBytes } = this.#options
    const { path } = this.#assembly.header(piece.file)
    const { relation, wholeFile, increment } = this.#factsOf(piece.file)
    const first = relation && this.#firstBlock(relation)
    return {
      ...piece,
      firstBlockNumber: first === undefined ? undefined : first + piece.fileOffsetBytes / blockSizeBytes,
      checked: checksums && relation !== undefined,
      mainFork: relation?.fork === 'main',
      wholeFile,
      known:
        relation?.fork === 'main' && !increment ? parent.pages(path, piece, this.#firstBlock(relation)) : undefined,
      knownContentId: wholeFile ? parent.contentIdOf(path) : undefined,
    }
  }

  #factsOf(number: number): FileFacts {
    const facts = this.#facts.get(number)
    assert(facts !== undefined, `file ${number} is in flight`)
    return facts
  }

  /** The number of a file's first block in its relation. */
  #firstBlock(relation: RelationFile): number {
    return relation.segmentNumber * this.#options.relationSegmentBlocks
  }

  /** What is stored now can be referred to later in the same backup. */
  #remember(placements: readonly Placement[]): void {
    for (const { contentId, source, lengthBytes } of placements) {
      if (contentId === undefined || typeof source === 'string') continue
      this.#options.parent.remember(contentId, { ...source, lengthBytes })
    }
  }

  #packNumber(pack: PackFacts): number {
    const known = this.#packNumbers.get(pack.packId)
    if (known !== undefined) return known
    const number = this.totals.packCount++
    this.#packNumbers.set(pack.packId, number)
    this.#add({ type: 'pack', packId: pack.packId, salt: pack.salt, epoch: pack.epoch })
    return number
  }

  #entryOf(file: AssembledFile): FileEntry {
    const { blockSizeBytes, parent } = this.#options
    const { relation, increment } = this.#factsOf(file.file)
    this.#facts.delete(file.file)
    return fileEntry(file, {
      blockSizeBytes,
      increment,
      firstBlockNumber: relation ? this.#firstBlock(relation) : 0,
      parent: file.placements.some(({ source }) => source === 'parent') ? parent.file(file.path) : undefined,
      packNumber: (pack) => this.#packNumber(pack),
      packOf(packId) {
        const pack = parent.pack(packId)
        assert(pack !== undefined, 'a pack is ours or was named by an earlier backup')
        return pack
      },
    })
  }

  #completed(file: AssembledFile): void {
    this.totals.fileCount++
    this.totals.totalBytes += file.sizeBytes
    const { badPages } = file
    const { relation } = this.#factsOf(file.file)
    const entry = this.#entryOf(file)
    if (badPages.length === 0) {
      this.#countBad(entry)
      this.#add(entry)
      return
    }
    this.#enqueue(async () => {
      const firstBlockNumber = relation ? this.#firstBlock(relation) : 0
      const verdict = await this.#options.judge({ path: file.path, firstBlockNumber, badPages })
      const judged = withBadBlocks(entry, verdict)
      this.#countBad(judged)
      await this.#options.addEntry(judged)
    })
  }

  #countBad({ tornBlocks = [], corruptBlocks = [] }: FileEntry): void {
    this.totals.tornBlockCount += tornBlocks.length
    this.totals.corruptBlockCount += corruptBlocks.length
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

function timesOf({ mode, modifiedAtSeconds }: TarEntry): Omit<FileHeader, 'path'> {
  return { mode, modifiedMs: modifiedAtSeconds * 1000 }
}

/** What was found now beside what the parent knew of pages that were not read. */
function withBadBlocks(entry: FileEntry, verdict: PageVerdict): FileEntry {
  const join = (left: readonly number[] = [], right: readonly number[] = []) =>
    [...left, ...right].sort((a, b) => a - b)
  const tornBlocks = join(entry.tornBlocks, verdict.tornBlocks)
  const corruptBlocks = join(entry.corruptBlocks, verdict.corruptBlocks)
  return {
    ...entry,
    ...(tornBlocks.length > 0 ? { tornBlocks } : {}),
    ...(corruptBlocks.length > 0 ? { corruptBlocks } : {}),
  }
}
