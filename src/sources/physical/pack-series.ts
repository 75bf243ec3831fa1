/**
 * The packs that one writer fills, one after the other. A full pack is made durable and visible while the next is being
 * filled, so that the disk's barrier costs no time; no more than one is under way, which bounds what the disk owes us.
 */

import { RetakeError } from '../../base/errors.ts'
import { randomId } from '../../base/ids.ts'
import { releaseBackingMemory } from '../../base/memory.ts'
import { ContainerWriter } from '../../repository/container.ts'
import { packKey } from '../../repository/layout.ts'
import type { FrameRef } from '../../repository/manifest.ts'
import { type Sealing, sealFrame } from '../../repository/sealing.ts'
import type { ObjectStore } from '../../storage/object-store.ts'

/** Packs aim at this size: large enough that there are few, small enough that garbage collection rewrites little. */
export const PACK_TARGET_BYTES = 64 * 1024 * 1024

export interface PackSeriesOptions {
  readonly store: ObjectStore
  readonly sealing: Sealing
  /** The backup that the packs belong to; its last eight digits begin every pack's id. */
  readonly backupId: string
  /** zstd level. */
  readonly compressionLevel: number
  readonly targetBytes?: number | undefined
}

/** A pack's name and what a reader needs to derive its key. */
export interface PackFacts {
  readonly packId: string
  /** base64url */
  readonly salt: string
  readonly epoch: number
}

/** A frame in a pack that is known by its id; the manifest later refers to it by number. */
export interface StoredFrame extends Omit<FrameRef, 'pack'> {
  readonly packId: string
}

interface OpenPack extends PackFacts {
  readonly writer: ContainerWriter
}

export class PackSeries implements AsyncDisposable {
  readonly #options: PackSeriesOptions
  readonly #opened: (pack: PackFacts) => void
  #open: OpenPack | undefined
  #committing: Promise<void> | undefined
  #storedBytes = 0

  /** @param opened called before the first frame of a pack is returned */
  constructor(options: PackSeriesOptions, opened: (pack: PackFacts) => void) {
    this.#options = options
    this.#opened = opened
  }

  /** Bytes of all packs that are durable. */
  get storedBytes(): number {
    return this.#storedBytes
  }

  /** Compresses, seals and appends a frame. It is durable only when {@link finish} has resolved. */
  async write(plain: Uint8Array, contentId: string): Promise<StoredFrame> {
    this.#open ??= await this.#begin()
    const pack = this.#open
    const { writer } = pack
    const sealed = sealFrame(
      writer.objectKey,
      { index: writer.reserveFrame(), plain },
      { codec: 'zstd', level: this.#options.compressionLevel },
    )
    const location = await writer.appendSealed(sealed, { contentId })
    for (const piece of sealed.bytes) releaseBackingMemory(piece)
    if (pack.writer.sizeBytes >= (this.#options.targetBytes ?? PACK_TARGET_BYTES)) await this.#close(pack)
    return {
      packId: pack.packId,
      index: location.index,
      offsetBytes: location.offsetBytes,
      storedBytes: location.storedBytes,
      plainBytes: location.plainBytes,
      codec: location.codec,
      contentId,
    }
  }

  /** Commits what is open; when it resolves, every frame that was written is durable. */
  async finish(): Promise<void> {
    if (this.#open) await this.#close(this.#open)
    await this.#committing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = this.#open
    this.#open = undefined
    try {
      await this.#committing
    } catch {
      // Whoever wrote or finished was told already; disposing must not hide that.
    }
    await open?.writer[Symbol.asyncDispose]()
  }

  async #begin(): Promise<OpenPack> {
    const { store, sealing, backupId } = this.#options
    const packId = backupId.slice(-8) + randomId(12)
    const writer = await ContainerWriter.open(store, sealing, { key: packKey(packId), kind: 'pack' })
    const facts = { packId, salt: Buffer.from(writer.salt).toString('base64url'), epoch: writer.epoch }
    this.#opened(facts)
    return { ...facts, writer }
  }

  async #close(pack: OpenPack): Promise<void> {
    await this.#committing
    this.#open = undefined
    this.#committing = this.#commit(pack)
    // A failure is thrown by the next write or by finish; until then it must not count as unhandled.
    this.#committing.catch(() => {})
  }

  async #commit(pack: OpenPack): Promise<void> {
    await using writer = pack.writer
    const committed = await writer.commit({ backupId: this.#options.backupId })
    if (!committed) {
      throw new RetakeError(
        'repo.conflict',
        `A pack named ${pack.packId} exists already; the backup was not committed.`,
        {
          hint: 'Run the backup again: it draws new names.',
        },
      )
    }
    this.#storedBytes += writer.sizeBytes
  }
}
