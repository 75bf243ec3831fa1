/** Fetches frames, proves them, and writes their plaintext where it belongs. Runs in the threads of a restore. */
import { writeSync } from 'node:fs'
import { releaseMemory } from '../base/memory.ts'
import type { ServerAccount } from '../postgres/server/account.ts'
import { damaged } from '../repository/container.ts'
import { contentId, importSealing, type SealingData } from '../repository/sealing.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { OpenFiles } from './open-files.ts'
import { frameDamaged, openPackFrame, type PackKey, packKeyOf, readFrameElsewhere } from './pack-frames.ts'
import { type FrameGroup, type FrameRead, groupAdjacent, type RestoreBatch } from './restore-batches.ts'

const GROUPING = { maxGapBytes: 64 * 1024, maxGroupBytes: 4 * 1024 * 1024 }

type WriteBytes = (descriptor: number, bytes: Uint8Array, position: number) => void

export class BatchRestorer {
  readonly #store: ObjectStore
  readonly #sealing: ReturnType<typeof importSealing>
  readonly #files: OpenFiles
  readonly #packs = new Map<string, PackKey>()
  readonly #writeBytes: WriteBytes

  /** @param options `account` owns the files; undefined: this process. `write` puts bytes into an open file; default: all of them */
  constructor(
    store: ObjectStore,
    options: {
      readonly sealing: SealingData
      readonly account: ServerAccount | undefined
      readonly write?: WriteBytes | undefined
    },
  ) {
    this.#writeBytes = options.write ?? writeAll
    this.#store = store
    this.#sealing = importSealing(options.sealing)
    this.#files = new OpenFiles(options.account)
  }

  /** @throws RetakeError `repo.damaged` naming the pack, `storage.full` */
  async restore(batch: RestoreBatch): Promise<void> {
    const pack = this.#pack(batch)
    const groups = groupAdjacent(batch.frames, GROUPING)
    let next = this.#fetch(pack, groups[0])
    for (const [index, group] of groups.entries()) {
      const bytes = await next
      // The next read is on its way while this one is unpacked.
      next = this.#fetch(pack, groups[index + 1])
      // Its failure belongs to the next round, also when this round fails first.
      next.catch(() => {})
      for (const frame of group.frames) {
        const plain = this.#open(pack, frame, bytes.subarray(frame.offsetBytes - group.offsetBytes))
        this.#write(pack, frame, plain ?? (await this.#openElsewhere(pack, frame)))
      }
      releaseMemory(bytes)
    }
    await next
  }

  close(): void {
    this.#files.closeAll()
  }

  #pack(batch: RestoreBatch): PackKey {
    const known = this.#packs.get(batch.packId)
    if (known) return known
    const pack = packKeyOf(this.#sealing, batch)
    if (this.#packs.size > 1000) this.#packs.clear()
    this.#packs.set(batch.packId, pack)
    return pack
  }

  async #fetch(pack: PackKey, group: FrameGroup | undefined): Promise<Uint8Array> {
    if (!group) return new Uint8Array(0)
    const { offsetBytes, lengthBytes, frames } = group
    const bytes = await this.#store.get(pack.key, { offsetBytes, lengthBytes })
    if (bytes?.length === lengthBytes) return bytes
    // Another copy may have the rest; each frame that is not whole here is then read there.
    if (this.#store.alternatives) return Buffer.concat([bytes ?? new Uint8Array(0)], lengthBytes)
    throw bytes ? frameDamaged(pack, frames.at(-1) ?? { index: 0 }) : damaged(pack, 'it is missing')
  }

  /** Undefined when it is not what was written. */
  #open(pack: PackKey, frame: FrameRead, stored: Uint8Array): Uint8Array | undefined {
    const plain = openPackFrame(pack, frame, stored.subarray(0, frame.storedBytes))
    return plain && contentId(this.#sealing, plain) === frame.contentId ? plain : undefined
  }

  async #openElsewhere(pack: PackKey, frame: FrameRead): Promise<Uint8Array> {
    return await readFrameElsewhere({ store: this.#store, sealing: this.#sealing }, pack, frame)
  }

  #write(pack: PackKey, frame: FrameRead, plain: Uint8Array): void {
    for (const write of frame.writes) {
      const piece = plain.subarray(write.frameOffsetBytes, write.frameOffsetBytes + write.lengthBytes)
      if (piece.length !== write.lengthBytes) throw frameDamaged(pack, frame)
      this.#writeBytes(this.#files.get(write.shape), piece, write.fileOffsetBytes)
    }
    releaseMemory(plain)
  }
}

function writeAll(descriptor: number, bytes: Uint8Array, position: number): void {
  let written = 0
  while (written < bytes.length) {
    written += writeSync(descriptor, bytes, written, bytes.length - written, position + written)
  }
}
