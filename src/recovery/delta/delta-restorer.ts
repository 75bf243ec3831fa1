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
      const differing = file.runs.filter((run) => !this.#isEqual(descriptor, file, run))
      for (const run of file.runs) comparedBytes += run.lengthBytes
      for (const batch of wanted.addFile(entryOf(differing), file.shape)) fetchedBytes += await this.#fetch(batch)
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

  /** Zeros are made equal at once. A part of a frame has no content id of its own, so the frame is fetched to compare. */
  #isEqual(descriptor: number, file: DeltaFile, run: FileRun): boolean {
    if (!run.frame) {
      this.#makeZeros(descriptor, file, run)
      return true
    }
    const { frame, lengthBytes, offsetBytes } = run
    if (frame.plainBytes !== lengthBytes || offsetBytes + lengthBytes > file.presentBytes) return false
    return contentId(this.#sealing, this.#read(descriptor, offsetBytes, lengthBytes)) === frame.contentId
  }

  #makeZeros(descriptor: number, file: DeltaFile, run: FileRun): void {
    const end = Math.min(run.offsetBytes + run.lengthBytes, file.presentBytes)
    for (let at = run.offsetBytes; at < end; at += CHUNK_BYTES) {
      this.#writeChanged(descriptor, this.#zeros.subarray(0, Math.min(CHUNK_BYTES, end - at)), at)
    }
  }

  #read(descriptor: number, position: number, length: number): Buffer {
    let read = 0
    while (read < length) {
      const count = readSync(descriptor, this.#chunk, read, length - read, position + read)
      if (count === 0) break
      read += count
    }
    return this.#chunk.subarray(0, read)
  }

  readonly #writeChanged = (descriptor: number, bytes: Uint8Array, position: number): void => {
    const present = this.#read(descriptor, position, bytes.length)
    this.#writtenBytes += writeChanged(present, bytes, (piece, offset) => {
      for (let written = 0; written < piece.length; ) {
        written += writeSync(descriptor, piece, written, piece.length - written, position + offset + written)
      }
    })
  }
}

/** Only the runs count here. */
function entryOf(runs: readonly FileRun[]): FileEntry {
  return { type: 'file', path: '', sizeBytes: 0, mode: 0, modifiedMs: 0, runs }
}
