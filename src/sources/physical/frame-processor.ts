/**
 * What happens to a frame, in a worker or in the thread of the caller: page checksums, zeros left out, content id,
 * compression, sealing, and its place in a pack.
 */
import { findBadPages } from '../../postgres/page.ts'
import { contentId, type Sealing } from '../../repository/sealing.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import type { BadPage } from './file-assembly.ts'
import { type PackFacts, PackSeries, type StoredFrame } from './pack-series.ts'
import { FRAME_BYTES } from './slab.ts'

export interface FrameProcessorOptions {
  readonly store: ObjectStore
  readonly sealing: Sealing
  readonly backupId: string
  readonly compressionLevel: number
  readonly blockSizeBytes: number
  readonly packTargetBytes?: number | undefined
}

/** A stretch of a frame whose pages are to be checked; the others carry no checksums. */
export interface CheckedStretch {
  /** Position in the frame's list of pieces. */
  readonly piece: number
  readonly frameOffsetBytes: number
  readonly lengthBytes: number
  /** Of its first page, counted over all segments of the relation, as the checksum wants it. */
  readonly firstBlockNumber: number
}

export interface FrameOutcome {
  /** Absent: the frame is all zeros and needs no place. */
  readonly frame?: StoredFrame | undefined
  /** By piece; pieces without bad pages are absent. */
  readonly badPages: readonly { readonly piece: number; readonly pages: readonly BadPage[] }[]
}

const ZEROS = Buffer.alloc(FRAME_BYTES)

export class FrameProcessor implements AsyncDisposable {
  readonly #options: FrameProcessorOptions
  readonly #packs: PackSeries

  constructor(options: FrameProcessorOptions, packOpened: (pack: PackFacts) => void) {
    this.#options = options
    this.#packs = new PackSeries({ ...options, targetBytes: options.packTargetBytes }, packOpened)
  }

  get storedBytes(): number {
    return this.#packs.storedBytes
  }

  /** One frame at a time: the order of calls is the order in the pack. */
  async process(bytes: Uint8Array, checked: readonly CheckedStretch[]): Promise<FrameOutcome> {
    if (isAllZero(bytes)) return { badPages: [] }
    const badPages = checked.flatMap((stretch) => this.#check(bytes, stretch))
    const id = contentId(this.#options.sealing, bytes)
    return { frame: await this.#packs.write(bytes, id), badPages }
  }

  finish(): Promise<void> {
    return this.#packs.finish()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#packs[Symbol.asyncDispose]()
  }

  #check(bytes: Uint8Array, stretch: CheckedStretch): FrameOutcome['badPages'] {
    const { blockSizeBytes, sealing } = this.#options
    const { firstBlockNumber, frameOffsetBytes, lengthBytes, piece } = stretch
    const whole = lengthBytes - (lengthBytes % blockSizeBytes)
    const part = bytes.subarray(frameOffsetBytes, frameOffsetBytes + whole)
    const found = findBadPages(part, { firstBlockNumber, blockSizeBytes })
    if (found.length === 0) return []
    const pages = found.map(({ blockNumber, lsn }) => {
      const start = (blockNumber - firstBlockNumber) * blockSizeBytes
      return { blockNumber, lsn, fingerprint: contentId(sealing, part.subarray(start, start + blockSizeBytes)) }
    })
    return [{ piece, pages }]
  }
}

/** Compares with zeros in native code, which ends at the first other byte. */
export function isAllZero(bytes: Uint8Array): boolean {
  return ZEROS.subarray(0, bytes.length).equals(bytes)
}
