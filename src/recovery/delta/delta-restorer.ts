/**
 * Makes files that are there already equal to those of a backup: what is equal by its content id is left alone, the other frames are
 * fetched, and of these only the pages that differ are written. Runs in the threads of a delta restore.
 */
import { readSync, writeSync } from 'node:fs'
import type { ServerAccount } from '../../postgres/server/account.ts'
import type { FileEntry, FileRun } from '../../repository/manifest.ts'
import { contentId, importSealing, type SealingData } from '../../repository/sealing.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { BatchRestorer } from '../batch-restorer.ts'
import { OpenFiles } from '../open-files.ts'
import { BatchBuilder } from '../restore-batches.ts'
import { writeError } from '../write-error.ts'
import type { DeltaFile, DeltaTask } from './delta-tasks.ts'
import { writeChanged } from './write-changed.ts'

export interface DeltaDone {
  readonly comparedBytes: number
  readonly fetchedBytes: number
  readonly writtenBytes: number
}

const CHUNK_BYTES = 1024 * 1024

export class DeltaRestorer {
  readonly #sealing: ReturnType<typeof importSealing>
  readonly #files: OpenFiles
  readonly #batches: BatchRestorer
  readonly #frame = Buffer.allocUnsafe(CHUNK_BYTES)
  readonly #chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  readonly #zeros = Buffer.alloc(CHUNK_BYTES)
  #writtenBytes = 0

  /** @param options `account` owns the files; undefined: this process */
  constructor(
    store: ObjectStore,
    options: { readonly sealing: SealingData; readonly account: ServerAccount | undefined },
  ) {
    this.#sealing = importSealing(options.sealing)
    this.#files = new OpenFiles(options.account)
    this.#batches = new BatchRestorer(store, { ...options, write: this.#writeChanged })
  }

  /** @throws RetakeError `repo.damaged` naming the pack, `storage.full` */
  async restore(task: DeltaTask): Promise<DeltaDone> {
    try {
      return await this.#restore(task)
    } catch (error) {
      throw writeError(error)
    }
  }

  close(): void {
    this.#files.closeAll()
    this.#batches.close()
  }

  async #restore({ packs, files }: DeltaTask): Promise<DeltaDone> {
    const wanted = new BatchBuilder()
    for (const pack of packs) wanted.addPack(pack)
    let comparedBytes = 0
    let fetchedBytes = 0
    for (const file of files) {
      // Makes the file when it is missing, and gives it its length: what is then beyond the old end is zeros.
      const descriptor = this.#files.get(file.shape)
      for (const run of file.runs) {
        comparedBytes += run.lengthBytes
        if (!run.frame) this.#makeZeros(descriptor, file, run)
      }
    }
    for (const pieces of piecesByFrame(files)) {
      if (this.#isEqual(pieces)) continue
      for (const { file, run } of pieces) {
        for (const batch of wanted.addFile(entryOf(run), file.shape)) fetchedBytes += await this.#fetch(batch)
      }
    }
    for (const batch of wanted.flush()) fetchedBytes += await this.#fetch(batch)
    // Two tasks may be under way in one thread: each takes what was written since the last one ended.
    const writtenBytes = this.#writtenBytes
    this.#writtenBytes = 0
    return { comparedBytes, fetchedBytes, writtenBytes }
  }

  async #fetch(batch: Parameters<BatchRestorer['restore']>[0]): Promise<number> {
    await this.#batches.restore(batch)
    return batch.storedBytes
  }

  /**
   * Whether what is here makes up the frame: its pieces, joined, have its content id. Where the backup uses only parts of a frame,
   * the rest is unknown here, and it has to be fetched to compare.
   */
  #isEqual(pieces: readonly FramePiece[]): boolean {
    let at = 0
    for (const { file, run } of pieces) {
      if (run.frameOffsetBytes !== at || run.offsetBytes + run.lengthBytes > file.presentBytes) return false
      at += run.lengthBytes
    }
    const frame = pieces[0]?.run.frame
    if (!frame || at !== frame.plainBytes) return false
    for (const { file, run } of pieces) {
      const here = this.#frame.subarray(run.frameOffsetBytes, run.frameOffsetBytes + run.lengthBytes)
      if (readFully(this.#files.get(file.shape), here, run.offsetBytes) < here.length) return false
    }
    return contentId(this.#sealing, this.#frame.subarray(0, at)) === frame.contentId
  }

  #makeZeros(descriptor: number, file: DeltaFile, run: FileRun): void {
    const end = Math.min(run.offsetBytes + run.lengthBytes, file.presentBytes)
    for (let at = run.offsetBytes; at < end; at += CHUNK_BYTES) {
      this.#writeChanged(descriptor, this.#zeros.subarray(0, Math.min(CHUNK_BYTES, end - at)), at)
    }
  }

  readonly #writeChanged = (descriptor: number, bytes: Uint8Array, position: number): void => {
    const read = readFully(descriptor, this.#chunk.subarray(0, bytes.length), position)
    this.#writtenBytes += writeChanged(this.#chunk.subarray(0, read), bytes, (piece, offset) => {
      for (let written = 0; written < piece.length; ) {
        written += writeSync(descriptor, piece, written, piece.length - written, position + offset + written)
      }
    })
  }
}

interface FramePiece {
  readonly file: DeltaFile
  readonly run: FileRun
}

/** A run that is a whole frame stands alone; small files that share one are joined, in the order in which they lie in it. */
function piecesByFrame(files: readonly DeltaFile[]): FramePiece[][] {
  const whole: FramePiece[][] = []
  const shared = new Map<string, FramePiece[]>()
  for (const file of files) {
    for (const run of file.runs) {
      if (!run.frame) continue
      const key = `${run.frame.pack}/${run.frame.index}`
      if (run.lengthBytes === run.frame.plainBytes) whole.push([{ file, run }])
      else if (!shared.get(key)?.push({ file, run })) shared.set(key, [{ file, run }])
    }
  }
  const inOrder = [...shared.values()].map((pieces) =>
    pieces.sort((left, right) => left.run.frameOffsetBytes - right.run.frameOffsetBytes),
  )
  return [...whole, ...inOrder]
}

/** How much there was to read. */
function readFully(descriptor: number, into: Uint8Array, position: number): number {
  let read = 0
  while (read < into.length) {
    const count = readSync(descriptor, into, read, into.length - read, position + read)
    if (count === 0) break
    read += count
  }
  return read
}

/** Only its run counts here. */
function entryOf(run: FileRun): FileEntry {
  return { type: 'file', path: '', sizeBytes: 0, mode: 0, modifiedMs: 0, runs: [run] }
}
