/**
 * Puts the files of a backup together again: frames come back from the workers in any order, and a file is complete when it was
 * read to its end, every one of its bytes has a place, and everything was said about it. Memory follows the files in flight.
 */
import { assert } from '../../base/errors.ts'
import type { FramePiece } from './frame-cutter.ts'
import type { BadPage, FrameOutcome, PieceFindings, Placement } from './frame-task.ts'

/** What the archive says about a file. */
export interface FileHeader {
  readonly path: string
  readonly mode: number
  readonly modifiedMs: number
}

export interface AssembledFile extends FileHeader {
  readonly file: number
  readonly sizeBytes: number
  /** In the order of the file; they adjoin and cover it. */
  readonly placements: readonly Placement[]
  readonly findings: readonly PieceFindings[]
  readonly badPages: readonly BadPage[]
}

interface FileInFlight {
  readonly header: FileHeader
  readonly placements: Placement[]
  readonly findings: PieceFindings[]
  readonly badPages: BadPage[]
  /** Known at the end of the file. */
  sizeBytes: number | undefined
  placedBytes: number
  /** Bytes of pieces that the workers have answered; a bundle may place them before or after. */
  answeredBytes: number
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
    const counts = { sizeBytes: undefined, placedBytes: 0, answeredBytes: 0 }
    this.#files.set(number, { header, placements: [], findings: [], badPages: [], ...counts })
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

  /** A worker is done with these pieces; what it put into a bundle is placed apart. */
  answered(pieces: readonly FramePiece[], outcome: FrameOutcome): void {
    for (const { file, pages } of outcome.badPages) this.#file(file).badPages.push(...pages)
    for (const findings of outcome.facts) this.#file(findings.file).findings.push(findings)
    for (const { file, lengthBytes } of pieces) this.#file(file).answeredBytes += lengthBytes
    this.place(outcome.placements)
    for (const file of new Set(pieces.map((piece) => piece.file))) {
      const inFlight = this.#files.get(file)
      if (inFlight) this.#completeIfWhole(file, inFlight)
    }
  }

  /** Stretches that did not pass through a worker, because the parent is known to have them or they are zeros. */
  placeDirectly(placement: Placement): void {
    this.#file(placement.file).answeredBytes += placement.lengthBytes
    this.place([placement])
  }

  place(placements: readonly Placement[]): void {
    for (const placement of placements) {
      const file = this.#file(placement.file)
      file.placements.push(placement)
      file.placedBytes += placement.lengthBytes
      this.#completeIfWhole(placement.file, file)
    }
  }

  #file(number: number): FileInFlight {
    const file = this.#files.get(number)
    assert(file !== undefined, `file ${number} is in flight`)
    return file
  }

  #completeIfWhole(number: number, file: FileInFlight): void {
    const { header, sizeBytes, placedBytes, answeredBytes } = file
    if (sizeBytes === undefined || placedBytes < sizeBytes || answeredBytes < sizeBytes) return
    assert(placedBytes === sizeBytes && answeredBytes === sizeBytes, 'no byte of a file is stored twice')
    this.#files.delete(number)
    const placements = file.placements.sort((a, b) => a.fileOffsetBytes - b.fileOffsetBytes)
    const badPages = file.badPages.sort((a, b) => a.blockNumber - b.blockNumber)
    this.#complete({ ...header, file: number, sizeBytes, placements, findings: file.findings, badPages })
  }
}
