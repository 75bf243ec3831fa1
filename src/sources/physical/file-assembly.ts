/**
 * Puts the files of a backup together again: frames come back from the workers in any order, and a file is complete when it
 * was read to its end and every one of its pieces is stored. Memory follows the files in flight, not the backup.
 */
import { assert } from '../../base/errors.ts'
import type { FileRun, FrameRef } from '../../repository/manifest.ts'
import type { FramePiece } from './frame-cutter.ts'

/** What the archive says about a file. */
export interface FileHeader {
  readonly path: string
  readonly mode: number
  readonly modifiedMs: number
}

/** A page whose checksum is wrong, with a fingerprint of what was stored, to tell later whether it changed meanwhile. */
export interface BadPage {
  readonly blockNumber: number
  readonly lsn: bigint
  readonly fingerprint: string
}

export interface AssembledFile extends FileHeader {
  readonly sizeBytes: number
  readonly runs: readonly FileRun[]
  readonly badPages: readonly BadPage[]
}

interface FileInFlight {
  readonly header: FileHeader
  readonly runs: FileRun[]
  readonly badPages: BadPage[]
  /** Known at the end of the file. */
  sizeBytes: number | undefined
  placedBytes: number
}

export class FileAssembly {
  readonly #files = new Map<number, FileInFlight>()
  readonly #complete: (file: AssembledFile) => void
  #next = 0

  /** @param complete called once for each file */
  constructor(complete: (file: AssembledFile) => void) {
    this.#complete = complete
  }

  /** Files that are not complete yet. */
  get inFlight(): number {
    return this.#files.size
  }

  /** Gives the file its number. */
  begin(header: FileHeader): number {
    const number = this.#next++
    this.#files.set(number, { header, runs: [], badPages: [], sizeBytes: undefined, placedBytes: 0 })
    return number
  }

  header(number: number): FileHeader {
    return this.#file(number).header
  }

  /** The whole file was read; its last pieces may still be with a worker. */
  end(number: number, sizeBytes: number): void {
    const file = this.#file(number)
    file.sizeBytes = sizeBytes
    this.#completeIfWhole(number, file)
  }

  /** A piece is stored in `frame`, or is all zeros when there is none. */
  place(piece: FramePiece, frame: FrameRef | undefined, badPages: readonly BadPage[]): void {
    const file = this.#file(piece.file)
    file.runs.push({
      offsetBytes: piece.fileOffsetBytes,
      lengthBytes: piece.lengthBytes,
      frameOffsetBytes: frame ? piece.frameOffsetBytes : 0,
      ...(frame ? { frame } : {}),
    })
    file.badPages.push(...badPages)
    file.placedBytes += piece.lengthBytes
    this.#completeIfWhole(piece.file, file)
  }

  #file(number: number): FileInFlight {
    const file = this.#files.get(number)
    assert(file !== undefined, `file ${number} is in flight`)
    return file
  }

  #completeIfWhole(number: number, file: FileInFlight): void {
    if (file.sizeBytes === undefined || file.placedBytes < file.sizeBytes) return
    assert(file.placedBytes === file.sizeBytes, 'no byte of a file is stored twice')
    this.#files.delete(number)
    const runs = joinZeroRuns(file.runs.sort((a, b) => a.offsetBytes - b.offsetBytes))
    const badPages = file.badPages.sort((a, b) => a.blockNumber - b.blockNumber)
    this.#complete({ ...file.header, sizeBytes: file.sizeBytes, runs, badPages })
  }
}

/** Neighbouring stretches of zeros become one, so that a sparse file of any size stays a few runs. */
export function joinZeroRuns(runs: readonly FileRun[]): FileRun[] {
  const joined: FileRun[] = []
  for (const run of runs) {
    const last = joined.at(-1)
    if (last && !last.frame && !run.frame) {
      joined[joined.length - 1] = { ...last, lengthBytes: last.lengthBytes + run.lengthBytes }
    } else {
      joined.push(run)
    }
  }
  return joined
}
