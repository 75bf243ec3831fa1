/**
 * Which backups refer to which packs, and where pages of relations lie in them. Pages are remembered as four numbers each
 * stretch; a large repository is gone through in several passes, each with a share of the packs, so that memory stays bounded.
 */
import { isRelationFile } from '../../postgres/relation-path.ts'
import type { FileEntry } from '../manifest.ts'

/** Stretches remembered in one pass: 64 MiB. */
export const MAX_STRETCHES_PER_PASS = 4 * 1024 * 1024

/** `[frame index, offset in the frame, length, first block]` one after the other. */
export const STRETCH_FIELDS = 4

export interface PackUse {
  readonly packId: string
  /** Of the manifest that declared it. */
  readonly salt: string
  readonly epoch: number
  readonly cluster: string
  readonly backups: string[]
}

/** A growing list of numbers that can be handed to a worker thread without copying. */
export class StretchList {
  #numbers = new Uint32Array(64 * STRETCH_FIELDS)
  #length = 0

  get count(): number {
    return this.#length / STRETCH_FIELDS
  }

  add(stretch: {
    readonly frame: number
    readonly offsetBytes: number
    readonly lengthBytes: number
    readonly firstBlock: number
  }): void {
    if (this.#length === this.#numbers.length) {
      const larger = new Uint32Array(this.#numbers.length * 2)
      larger.set(this.#numbers)
      this.#numbers = larger
    }
    this.#numbers.set([stretch.frame, stretch.offsetBytes, stretch.lengthBytes, stretch.firstBlock], this.#length)
    this.#length += STRETCH_FIELDS
  }

  get numbers(): Uint32Array {
    return this.#numbers.subarray(0, this.#length)
  }
}

export interface PageStretch {
  /** Index into the manifest's packs. */
  readonly pack: number
  readonly frame: number
  readonly offsetBytes: number
  readonly lengthBytes: number
  readonly firstBlock: number
}

/** A file segment of a relation has 1 GiB in every build that is in use. */
const RELATION_SEGMENT_BYTES = 1024 * 1024 * 1024

/**
 * The stretches of a file that are whole pages with a checksum, without the blocks that are known to be torn or corrupt.
 * Block numbers count from the beginning of the relation, over all its files.
 */
export function* pageStretches(entry: FileEntry, blockSizeBytes: number): Generator<PageStretch> {
  const relation = isRelationFile(entry.path)
  if (relation === undefined) return
  const fileFirstBlock = relation.segmentNumber * (RELATION_SEGMENT_BYTES / blockSizeBytes)
  const exempt = [...(entry.tornBlocks ?? []), ...(entry.corruptBlocks ?? [])].sort((left, right) => left - right)
  for (const run of entry.runs) {
    const { frame } = run
    if (frame === undefined) continue
    // Only whole blocks: a run that begins inside one has no page of its own there.
    const begin = Math.ceil(run.offsetBytes / blockSizeBytes)
    const end = Math.floor((run.offsetBytes + run.lengthBytes) / blockSizeBytes)
    let block = begin
    for (const stop of [...exempt.map((one) => one - fileFirstBlock).filter((one) => one >= begin && one < end), end]) {
      if (stop > block) {
        yield {
          pack: frame.pack,
          frame: frame.index,
          offsetBytes: run.frameOffsetBytes + block * blockSizeBytes - run.offsetBytes,
          lengthBytes: (stop - block) * blockSizeBytes,
          firstBlock: fileFirstBlock + block,
        }
      }
      block = stop + 1
    }
  }
}
