/** Gathers small files and changed pages of many files into one frame. */
import { assert } from '../../base/errors.ts'
import type { Placement } from './frame-task.ts'
import type { StoredFrame } from './pack-series.ts'
import { FRAME_BYTES } from './slab.ts'

type Waiting = Omit<Placement, 'source'> & { readonly frameOffsetBytes: number }

/** Stores a full bundle; `place` says where everything in it is, once it has a frame. */
export type StoreBundle = (bytes: Buffer, place: (frame: StoredFrame) => Placement[]) => Promise<void>

export class Bundle {
  readonly #blockSizeBytes: number
  readonly #store: StoreBundle
  #buffer: Buffer | undefined
  #waiting: Waiting[] = []
  #lengthBytes = 0

  constructor(blockSizeBytes: number, store: StoreBundle) {
    this.#blockSizeBytes = blockSizeBytes
    this.#store = store
  }

  /** Adds bytes that stay together. One call at a time. */
  async add(bytes: Uint8Array, stretch: Omit<Placement, 'source'>): Promise<void> {
    assert(bytes.length <= FRAME_BYTES, 'a bundle is a frame')
    if (this.#lengthBytes + bytes.length > FRAME_BYTES) await this.flush()
    this.#buffer ??= Buffer.allocUnsafeSlow(FRAME_BYTES)
    this.#buffer.set(bytes, this.#lengthBytes)
    this.#waiting.push({ ...stretch, frameOffsetBytes: this.#lengthBytes })
    this.#lengthBytes += bytes.length
    if (this.#lengthBytes === FRAME_BYTES) await this.flush()
  }

  /** Adds neighbouring pages, which may end up in two bundles. */
  async addPages(bytes: Uint8Array, at: { readonly file: number; readonly fileOffsetBytes: number }): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const room = FRAME_BYTES - this.#lengthBytes
      const fitting = room - (room % this.#blockSizeBytes)
      if (fitting === 0) await this.flush()
      const part = bytes.subarray(done, done + (fitting === 0 ? FRAME_BYTES : fitting))
      const fileOffsetBytes = at.fileOffsetBytes + done
      await this.add(part, { file: at.file, fileOffsetBytes, lengthBytes: part.length })
      done += part.length
    }
  }

  /** Stores what has been gathered, if there is anything. */
  async flush(): Promise<void> {
    const waiting = this.#waiting
    const { buffer, bytes } = { buffer: this.#buffer, bytes: this.#lengthBytes }
    if (buffer === undefined || bytes === 0) return
    this.#waiting = []
    this.#lengthBytes = 0
    await this.#store(buffer.subarray(0, bytes), (frame) =>
      waiting.map(({ frameOffsetBytes, ...stretch }) => ({ ...stretch, source: { frame, frameOffsetBytes } })),
    )
  }
}
