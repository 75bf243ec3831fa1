/**
 * Turns file entries of a manifest into reads: frames of one pack together, each frame once for all the places that want it,
 * so that a worker fetches long stretches and unpacks nothing twice.
 */
import type { FileEntry, FrameRef, PackEntry } from '../repository/manifest.ts'

/** A file to be made: whichever thread comes first makes it, with its final size, so that zeros need not be written. */
export interface FileShape {
  /** Absolute path, in a directory that exists. */
  readonly file: string
  readonly sizeBytes: number
  readonly mode: number
}

/** A stretch of a frame's plaintext and where it goes. */
export interface FrameWrite {
  readonly shape: FileShape
  readonly fileOffsetBytes: number
  readonly frameOffsetBytes: number
  readonly lengthBytes: number
}

export interface FrameRead extends Omit<FrameRef, 'pack'> {
  readonly writes: FrameWrite[]
}

/** Frames of one pack, in the order of their offsets. Plain data: it goes to a worker thread. */
export interface RestoreBatch {
  readonly packId: string
  readonly salt: string
  readonly epoch: number
  readonly frames: readonly FrameRead[]
  readonly plainBytes: number
  readonly storedBytes: number
}

export interface RestoredBytes {
  /** Written into files. */
  readonly plainBytes: number
  /** Fetched from the repository. */
  readonly storedBytes: number
}

/** Stored bytes after which a pack's reads are handed out. */
const BATCH_BYTES = 4 * 1024 * 1024
/** So many frames of packs that were begun and not handed out are kept; bounds memory when packs are much interleaved. */
const MAX_PENDING_FRAMES = 4096
/** And so many places where they go: of a hundred thousand equal files there is one frame. */
const MAX_PENDING_WRITES = 8192

interface Pending {
  readonly pack: PackEntry
  readonly frames: Map<number, FrameRead>
  storedBytes: number
  writeCount: number
}

export class BatchBuilder {
  readonly #packs: PackEntry[] = []
  readonly #pending = new Map<number, Pending>()
  #pendingFrames = 0
  #pendingWrites = 0

  addPack(entry: PackEntry): void {
    this.#packs.push(entry)
  }

  /** Adds the reads of a file; gives out what has become long enough. */
  *addFile(entry: FileEntry, shape: FileShape): Generator<RestoreBatch> {
    for (const run of entry.runs) {
      if (!run.frame) continue
      const { frame, frameOffsetBytes, lengthBytes } = run
      const pending = this.#add(frame, { shape, fileOffsetBytes: run.offsetBytes, frameOffsetBytes, lengthBytes })
      if (pending.storedBytes >= BATCH_BYTES) yield this.#take(frame.pack, pending)
      else if (this.#pendingFrames >= MAX_PENDING_FRAMES || this.#pendingWrites >= MAX_PENDING_WRITES)
        yield* this.flush()
    }
  }

  /** Everything that is left. */
  *flush(): Generator<RestoreBatch> {
    for (const [number, pending] of [...this.#pending]) yield this.#take(number, pending)
  }

  #add({ pack: number, ...frame }: FrameRef, write: FrameWrite): Pending {
    const pack = this.#packs[number]
    if (!pack) throw new Error(`assertion failed: the manifest declares pack ${number} before it is referred to`)
    const pending = this.#pending.get(number) ?? { pack, frames: new Map(), storedBytes: 0, writeCount: 0 }
    this.#pending.set(number, pending)
    pending.writeCount += 1
    this.#pendingWrites += 1
    const known = pending.frames.get(frame.index)
    if (known) {
      known.writes.push(write)
    } else {
      pending.frames.set(frame.index, { ...frame, writes: [write] })
      pending.storedBytes += frame.storedBytes
      this.#pendingFrames += 1
    }
    return pending
  }

  #take(number: number, pending: Pending): RestoreBatch {
    this.#pending.delete(number)
    this.#pendingFrames -= pending.frames.size
    this.#pendingWrites -= pending.writeCount
    const frames = [...pending.frames.values()].sort((a, b) => a.offsetBytes - b.offsetBytes)
    const plainBytes = frames.reduce(
      (sum, frame) => sum + frame.writes.reduce((all, one) => all + one.lengthBytes, 0),
      0,
    )
    return {
      packId: pending.pack.packId,
      salt: pending.pack.salt,
      epoch: pending.pack.epoch,
      frames,
      plainBytes,
      storedBytes: pending.storedBytes,
    }
  }
}

export interface FrameGroup {
  readonly offsetBytes: number
  readonly lengthBytes: number
  readonly frames: readonly FrameRead[]
}

/** Frames so near to each other that one read for all is cheaper than one each. */
export function groupAdjacent(
  frames: readonly FrameRead[],
  options: { readonly maxGapBytes: number; readonly maxGroupBytes: number },
): FrameGroup[] {
  const groups: { offsetBytes: number; lengthBytes: number; frames: FrameRead[] }[] = []
  for (const frame of frames) {
    const last = groups.at(-1)
    const end = frame.offsetBytes + frame.storedBytes
    const gap = last ? frame.offsetBytes - (last.offsetBytes + last.lengthBytes) : 0
    if (last && gap >= 0 && gap <= options.maxGapBytes && end - last.offsetBytes <= options.maxGroupBytes) {
      last.lengthBytes = end - last.offsetBytes
      last.frames.push(frame)
    } else groups.push({ offsetBytes: frame.offsetBytes, lengthBytes: frame.storedBytes, frames: [frame] })
  }
  return groups
}
