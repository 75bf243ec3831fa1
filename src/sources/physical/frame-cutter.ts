/**
 * Cuts the files of a backup into frames. A file of {@link LARGE_FILE_BYTES} or more begins a frame of its own and is cut at
 * every MiB, so its pages stay aligned and equal files give equal frames; smaller files share a frame and are never split.
 */
import { assert } from '../../base/errors.ts'
import { FRAME_BYTES, type Slab } from './slab.ts'

/** From this size on, a file has frames of its own. */
export const LARGE_FILE_BYTES = 128 * 1024

/** Whether a file has frames of its own. */
export function isLargeFile(sizeBytes: number): boolean {
  return sizeBytes >= LARGE_FILE_BYTES
}

/** A stretch of one file inside a frame. */
export interface FramePiece {
  /** The caller's number of the file. */
  readonly file: number
  readonly fileOffsetBytes: number
  readonly frameOffsetBytes: number
  readonly lengthBytes: number
  /** Set when the bytes are not in the slot yet: whoever stores the frame reads them from this open file. */
  readonly descriptor?: number | undefined
}

/** One frame of plaintext, waiting in a slot of the slab. */
export interface FrameJob {
  readonly slot: number
  readonly lengthBytes: number
  readonly pieces: readonly FramePiece[]
}

interface OpenFrame {
  readonly slot: number
  readonly view: Uint8Array
  readonly pieces: FramePiece[]
  lengthBytes: number
}

interface OpenFile {
  readonly number: number
  readonly large: boolean
  writtenBytes: number
  /** What of this file is in the open frame, and not yet noted as a piece. */
  pieceBytes: number
  /** Where its bytes are read from, when they are not written. */
  descriptor?: number | undefined
}

export class FrameCutter {
  readonly #slab: Slab
  readonly #emit: (job: FrameJob) => void
  #frame: OpenFrame | undefined
  #file: OpenFile | undefined

  /** @param emit takes over a full frame; it must release the slot when the frame is done with */
  constructor(slab: Slab, emit: (job: FrameJob) => void) {
    this.#slab = slab
    this.#emit = emit
  }

  /** @param sizeBytes undefined when it is not known beforehand; then the file is treated as large */
  beginFile(number: number, sizeBytes: number | undefined): void {
    assert(this.#file === undefined, 'one file at a time')
    const large = sizeBytes === undefined || isLargeFile(sizeBytes)
    const room = FRAME_BYTES - (this.#frame?.lengthBytes ?? 0)
    if (large || sizeBytes > room) this.flush()
    this.#file = { number, large, writtenBytes: 0, pieceBytes: 0 }
  }

  /** A file of which only some pages come, each after a {@link seek}; it shares frames with others whatever its size. */
  beginPages(number: number): void {
    assert(this.#file === undefined, 'one file at a time')
    this.#file = { number, large: false, writtenBytes: 0, pieceBytes: 0 }
  }

  /** The next bytes are from this place of the file on. They begin at a multiple of the alignment, so that no page is in two frames. */
  seek(fileOffsetBytes: number, alignmentBytes: number): void {
    this.#notePiece()
    const file = this.#file
    assert(file !== undefined, 'a file is open')
    file.writtenBytes = fileOffsetBytes
    const frame = this.#frame
    if (frame === undefined) return
    const aligned = Math.ceil(frame.lengthBytes / alignmentBytes) * alignmentBytes
    if (aligned >= FRAME_BYTES) {
      this.flush()
    } else {
      frame.view.fill(0, frame.lengthBytes, aligned)
      frame.lengthBytes = aligned
    }
  }

  /** Copies the bytes of the open file into slots; a returned promise means that no slot is free yet. */
  write(bytes: Uint8Array): void | Promise<void> {
    let rest = bytes
    while (rest.length > 0) {
      if (this.#frame === undefined) {
        const slot = this.#slab.acquire()
        if (typeof slot !== 'number') return this.#writeLater(slot, rest)
        this.#openFrame(slot)
      }
      rest = this.#copy(rest)
    }
  }

  /** As {@link write}, for the next bytes of an open file, which whoever stores the frame reads. A file is either written or reserved. */
  reserve(descriptor: number, lengthBytes: number): void | Promise<void> {
    assert(this.#file !== undefined, 'a file is open')
    this.#file.descriptor = descriptor
    let rest = lengthBytes
    while (rest > 0) {
      if (this.#frame === undefined) {
        const slot = this.#slab.acquire()
        if (typeof slot !== 'number') return this.#reserveLater(slot, { descriptor, lengthBytes: rest })
        this.#openFrame(slot)
      }
      rest -= this.#advance(rest)
    }
  }

  endFile(): void {
    const file = this.#file
    assert(file !== undefined, 'a file is open')
    this.#notePiece()
    this.#file = undefined
    if (file.large) this.flush()
  }

  /** Hands over the frame that is being filled, if it holds anything. */
  flush(): void {
    this.#notePiece()
    const frame = this.#frame
    if (frame === undefined) return
    this.#frame = undefined
    this.#emit({ slot: frame.slot, lengthBytes: frame.lengthBytes, pieces: frame.pieces })
  }

  async #writeLater(slot: Promise<number>, bytes: Uint8Array): Promise<void> {
    this.#openFrame(await slot)
    await this.write(bytes)
  }

  async #reserveLater(
    slot: Promise<number>,
    rest: { readonly descriptor: number; readonly lengthBytes: number },
  ): Promise<void> {
    this.#openFrame(await slot)
    await this.reserve(rest.descriptor, rest.lengthBytes)
  }

  #openFrame(slot: number): void {
    this.#frame = { slot, view: this.#slab.view(slot), pieces: [], lengthBytes: 0 }
  }

  #copy(bytes: Uint8Array): Uint8Array {
    const frame = this.#frame
    assert(frame !== undefined, 'a frame is open')
    const part = bytes.subarray(0, FRAME_BYTES - frame.lengthBytes)
    frame.view.set(part, frame.lengthBytes)
    return bytes.subarray(this.#advance(part.length))
  }

  /** Counts the next bytes of the file as being in the open frame, as many as fit. */
  #advance(lengthBytes: number): number {
    const frame = this.#frame
    const file = this.#file
    assert(frame !== undefined && file !== undefined, 'a frame and a file are open')
    const taken = Math.min(lengthBytes, FRAME_BYTES - frame.lengthBytes)
    frame.lengthBytes += taken
    file.pieceBytes += taken
    file.writtenBytes += taken
    if (frame.lengthBytes === FRAME_BYTES) this.flush()
    return taken
  }

  #notePiece(): void {
    const { frame, file } = { frame: this.#frame, file: this.#file }
    if (frame === undefined || file === undefined || file.pieceBytes === 0) return
    frame.pieces.push({
      file: file.number,
      fileOffsetBytes: file.writtenBytes - file.pieceBytes,
      frameOffsetBytes: frame.lengthBytes - file.pieceBytes,
      lengthBytes: file.pieceBytes,
      ...(file.descriptor === undefined ? {} : { descriptor: file.descriptor }),
    })
    file.pieceBytes = 0
  }
}
