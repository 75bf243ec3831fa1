/** The one shape of everything sealed: header, frames, footer, trailer. See `docs/design/repository-format.md`. */
import { randomBytes } from 'node:crypto'
import { assert, isRetakeError, RetakeError } from '../base/errors.ts'
import { releaseBackingMemory, releaseMemory } from '../base/memory.ts'
import type { ObjectReader, ObjectStore, ObjectWriter } from '../storage/object-store.ts'
import {
  decodeFooter,
  decodeHeader,
  decodeTrailer,
  encodeFooter,
  encodeHeader,
  HEADER_BYTES,
  TRAILER_BYTES,
} from './container-layout.ts'
import type { FrameLocation } from './frame-location.ts'
import { firstOf, fromAnyCopy } from './other-copies.ts'
import {
  type ContainerKind,
  deriveObjectKey,
  findEpoch,
  openFrameSync,
  SALT_BYTES,
  type SealedFrame,
  type SealFrameOptions,
  type Sealing,
  sealFrame,
} from './sealing.ts'

export interface ContainerName {
  /** The object's key. */
  readonly key: string
  readonly kind: ContainerKind
}

export interface WriteFrameOptions extends SealFrameOptions {
  /** Recorded in the footer. */
  readonly contentId?: string | undefined
}

/** Writes a container frame by frame; nothing is visible before {@link commit}. */
export class ContainerWriter implements AsyncDisposable {
  readonly name: ContainerName
  readonly salt: Uint8Array
  readonly epoch: number
  /** For {@link sealFrame} in a worker thread. Secret. */
  readonly objectKey: Uint8Array
  readonly #header: Uint8Array
  readonly #writer: ObjectWriter
  readonly #frames: FrameLocation[] = []
  #nextIndex = 0
  #sizeBytes = HEADER_BYTES

  private constructor(
    writer: ObjectWriter,
    parts: { name: ContainerName; epoch: number; salt: Uint8Array; objectKey: Uint8Array; header: Uint8Array },
  ) {
    this.#writer = writer
    this.name = parts.name
    this.salt = parts.salt
    this.epoch = parts.epoch
    this.objectKey = parts.objectKey
    this.#header = parts.header
  }

  static async open(store: ObjectStore, sealing: Sealing, name: ContainerName): Promise<ContainerWriter> {
    const salt = randomBytes(SALT_BYTES)
    const { epoch } = sealing
    const header = encodeHeader({ kind: name.kind, epoch, salt })
    const objectKey = deriveObjectKey(sealing, { ...name, epoch, salt })
    const writer = await store.openWriter(name.key)
    try {
      await writer.write(header)
    } catch (error) {
      await writer[Symbol.asyncDispose]()
      throw error
    }
    return new ContainerWriter(writer, { name, epoch, salt, objectKey, header })
  }

  /** Bytes written so far, with the header, without the footer. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get frameCount(): number {
    return this.#nextIndex
  }

  /** Seals and appends a frame. */
  async writeFrame(plain: Uint8Array, options: WriteFrameOptions = {}): Promise<FrameLocation> {
    const sealed = sealFrame(this.objectKey, { index: this.reserveFrame(), plain }, options)
    const location = await this.appendSealed(sealed, { contentId: options.contentId })
    for (const piece of sealed.bytes) releaseBackingMemory(piece)
    return location
  }

  /** Takes the next index, for a frame that is sealed elsewhere with {@link objectKey}. Each must be appended before the commit. */
  reserveFrame(): number {
    return this.#nextIndex++
  }

  /** Appends a frame whose index was reserved; in any order, one at a time. */
  async appendSealed(
    sealed: SealedFrame,
    options: { readonly contentId?: string | undefined } = {},
  ): Promise<FrameLocation> {
    const { index, storedBytes, plainBytes, codec } = sealed
    assert(
      index < this.#nextIndex && this.#frames[index] === undefined,
      'a frame is appended once, at its reserved index',
    )
    const location = {
      index,
      offsetBytes: this.#sizeBytes,
      storedBytes,
      plainBytes,
      codec,
      contentId: options.contentId,
    }
    this.#frames[index] = location
    this.#sizeBytes += storedBytes
    await this.#writer.write(sealed.bytes)
    return location
  }

  /** Writes the footer and makes the container visible; false when the key already exists. */
  async commit(meta: object): Promise<boolean> {
    for (let index = 0; index < this.#nextIndex; index++)
      assert(this.#frames[index], 'every reserved frame was appended')
    const footer = encodeFooter({ frames: this.#frames, meta }, { objectKey: this.objectKey, header: this.#header })
    await this.#writer.write(footer)
    this.#sizeBytes += footer.reduce((sum, piece) => sum + piece.length, 0)
    return await this.#writer.commit()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }
}

/** A container whose header and footer are authentic. */
export interface Container extends ContainerName {
  readonly epoch: number
  readonly salt: Uint8Array
  /** For {@link openFrameSync}. Secret. */
  readonly objectKey: Uint8Array
  readonly meta: unknown
  readonly frames: readonly FrameLocation[]
  readonly sizeBytes: number
  /** @throws RetakeError `repo.damaged` when the frame is not what was written */
  readFrame(index: number): Promise<Uint8Array>
  /** Frames that lie one after the other, with one request. Undefined: one of them is not what was written; each has to be read alone. */
  readRun(first: number, count: number): Promise<readonly Uint8Array[] | undefined>
}

/** Footers of most objects fit into one read of this size. */
const FIRST_READ_BYTES = 16 * 1024

/**
 * Opens a container and authenticates everything but its frames; undefined when there is no such object.
 * @throws RetakeError `repo.damaged` when it is cut short, altered, or not the object that was written under this key
 */
export async function openContainer(
  reader: ObjectReader,
  sealing: Sealing,
  name: ContainerName,
): Promise<Container | undefined> {
  return await fromAnyCopy(reader, name.key, (copy) => openOneContainer(copy, sealing, name))
}

async function openOneContainer(
  reader: ObjectReader,
  sealing: Sealing,
  name: ContainerName,
): Promise<Container | undefined> {
  let container: Container | undefined
  try {
    container = await readContainer(reader, sealing, name)
  } catch (error) {
    if (!isRetakeError(error, 'repo.damaged')) throw error
    // Several reads: it may have been sealed anew between them. What is damaged is so again.
    container = await readContainer(reader, sealing, name)
  }
  return container && replaceable(container, () => readContainer(reader, sealing, name))
}

/** Reads frames also when the object is sealed anew meanwhile, which changes its key and none of its places. */
function replaceable(opened: Container, reopen: () => Promise<Container | undefined>): Container {
  let current = opened
  return {
    ...opened,
    readRun: (first, count) => current.readRun(first, count),
    async readFrame(index) {
      try {
        return await current.readFrame(index)
      } catch (error) {
        const now = isRetakeError(error, 'repo.damaged') ? await reopen() : undefined
        if (now === undefined || Buffer.from(now.salt).equals(current.salt)) throw error
        current = now
        return await current.readFrame(index)
      }
    },
  }
}

async function readContainer(
  reader: ObjectReader,
  sealing: Sealing,
  name: ContainerName,
): Promise<Container | undefined> {
  const [found, beginning] = await readEdges(reader, name.key)
  if (found === undefined) return undefined
  const { sizeBytes, ending } = found
  const read = async (offsetBytes: number, lengthBytes: number) => {
    const bytes = await reader.get(name.key, { offsetBytes, lengthBytes })
    if (bytes?.length === lengthBytes) return bytes
    throw damaged(name, bytes ? 'it is shorter than the storage says' : 'it was removed while it was read')
  }
  const readElsewhere = <T>(offsetBytes: number, lengthBytes: number, open: (bytes: Uint8Array) => T) =>
    firstOf(reader, name.key, async (copy) => {
      const bytes = await copy.get(name.key, { offsetBytes, lengthBytes })
      return bytes?.length === lengthBytes ? open(bytes) : undefined
    })
  return await decodeContainer({ name, sealing, sizeBytes, ending, beginning, read, readElsewhere })
}

/** The end of an object and its header, at once where the storage can say how long it is with the end: each request to a bucket takes its time. */
async function readEdges(
  reader: ObjectReader,
  key: string,
): Promise<[{ sizeBytes: number; ending: Uint8Array } | undefined, Uint8Array | undefined]> {
  const readHeader = () => reader.get(key, { offsetBytes: 0, lengthBytes: HEADER_BYTES })
  if (reader.getEnd) return await Promise.all([reader.getEnd(key, FIRST_READ_BYTES), readHeader()])
  const info = await reader.head(key)
  if (info === undefined) return [undefined, undefined]
  const { sizeBytes } = info
  const lengthBytes = Math.min(sizeBytes, FIRST_READ_BYTES)
  const isWhole = lengthBytes === sizeBytes
  const [ending, beginning] = await Promise.all([
    reader.get(key, { offsetBytes: sizeBytes - lengthBytes, lengthBytes }),
    isWhole ? undefined : readHeader(),
  ])
  if (ending?.length === lengthBytes) return [{ sizeBytes, ending }, beginning]
  throw damaged({ key }, ending ? 'it is shorter than the storage says' : 'it was removed while it was read')
}

interface ContainerSource {
  readonly name: ContainerName
  readonly sealing: Sealing
  readonly sizeBytes: number
  /** The last bytes of the object, or all of it. */
  readonly ending: Uint8Array
  /** The header, where it was read already. */
  readonly beginning?: Uint8Array | undefined
  read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array>
  /** What `open` makes of the same bytes in another copy. */
  readonly readElsewhere?: <T>(
    offsetBytes: number,
    lengthBytes: number,
    open: (bytes: Uint8Array) => T,
  ) => Promise<NonNullable<T> | undefined>
}

async function decodeContainer(source: ContainerSource): Promise<Container> {
  const { name, sealing, sizeBytes, ending, beginning, read } = source
  if (sizeBytes < HEADER_BYTES + TRAILER_BYTES) throw damaged(name, `it has ${sizeBytes} bytes, too few to be whole`)
  const isHeader = beginning?.length === HEADER_BYTES
  const headerBytes =
    ending.length === sizeBytes ? ending.subarray(0, HEADER_BYTES) : isHeader ? beginning : await read(0, HEADER_BYTES)
  const header = decodeHeader(headerBytes)
  if (header === undefined) throw damaged(name, 'its header is not one of Retake')
  if (header.kind !== name.kind) throw damaged(name, 'it is an object of another kind')
  const trailerBytes = ending.subarray(ending.length - TRAILER_BYTES)
  const trailer = decodeTrailer(trailerBytes)
  const footerEnd = sizeBytes - TRAILER_BYTES
  const footerStart = footerEnd - (trailer?.footerBytes ?? 0)
  if (trailer === undefined || footerStart < HEADER_BYTES) throw damaged(name, 'its end is missing or altered')
  const endingStart = sizeBytes - ending.length
  const footerBytes =
    footerStart >= endingStart
      ? ending.subarray(footerStart - endingStart, footerEnd - endingStart)
      : await read(footerStart, trailer.footerBytes)
  const objectKey = await keyOfObject(sealing, name, header)
  const footer = decodeFooter(footerBytes, { objectKey, header: headerBytes, trailer: trailerBytes })
  if (footer === undefined) throw damaged(name, 'its footer is not authentic')
  if (!tiles(footer.frames, footerStart)) throw damaged(name, 'its frames do not fill it exactly')
  return {
    ...name,
    ...footer,
    epoch: header.epoch,
    salt: header.salt,
    objectKey,
    sizeBytes,
    async readFrame(index) {
      const frame = footer.frames[index]
      assert(frame, `the container has a frame ${index}`)
      const open = (bytes: Uint8Array) => openFrameSync(objectKey, frame, bytes)
      const stored = await read(frame.offsetBytes, frame.storedBytes)
      const plain = open(stored)
      releaseMemory(stored)
      const found = plain ?? (await source.readElsewhere?.(frame.offsetBytes, frame.storedBytes, open))
      if (found === undefined) throw damaged(name, `its frame ${index} is not authentic`)
      return found
    },
    async readRun(first, count) {
      const run = footer.frames.slice(first, first + count)
      const [begin, last] = [run[0], run.at(-1)]
      assert(begin && last && run.length === count, `the container has ${count} frames from ${first} on`)
      const stored = await read(begin.offsetBytes, last.offsetBytes + last.storedBytes - begin.offsetBytes)
      const plain = run.flatMap((frame) => {
        const at = frame.offsetBytes - begin.offsetBytes
        return openFrameSync(objectKey, frame, stored.subarray(at, at + frame.storedBytes)) ?? []
      })
      releaseMemory(stored)
      return plain.length === count ? plain : undefined
    },
  }
}

/** @throws RetakeError `repo.damaged` when the header names an epoch that does not exist */
export async function keyOfObject(
  sealing: Sealing,
  name: ContainerName,
  header: { readonly epoch: number; readonly salt: Uint8Array },
): Promise<Uint8Array> {
  const { epoch, salt } = header
  if (!(await findEpoch(sealing, epoch)))
    throw damaged(name, `it names the key epoch ${epoch}, whose key is not in the repository`)
  return deriveObjectKey(sealing, { ...name, epoch, salt })
}

/** Frames lie one after the other from header to footer, in any order: no byte of the object is outside what is authenticated. */
function tiles(frames: readonly FrameLocation[], endBytes: number): boolean {
  let position = HEADER_BYTES
  for (const frame of frames.toSorted((left, right) => left.offsetBytes - right.offsetBytes)) {
    if (frame.offsetBytes !== position) return false
    position += frame.storedBytes
  }
  return position === endBytes
}

export interface SmallObject extends ContainerName {
  readonly meta: object
}

/** Writes a container without frames; false when the key already exists. */
export async function putSmall(store: ObjectStore, sealing: Sealing, object: SmallObject): Promise<boolean> {
  return await store.create(object.key, encodeSmall(sealing, object))
}

/** Overwrites a container without frames; only for the objects that may change. */
export async function replaceSmall(store: ObjectStore, sealing: Sealing, object: SmallObject): Promise<void> {
  await store.replace(object.key, encodeSmall(sealing, object))
}

function encodeSmall(sealing: Sealing, object: SmallObject): Uint8Array[] {
  const salt = randomBytes(SALT_BYTES)
  const { epoch } = sealing
  const header = encodeHeader({ kind: object.kind, epoch, salt })
  const objectKey = deriveObjectKey(sealing, { kind: object.kind, key: object.key, epoch, salt })
  return [header, ...encodeFooter({ frames: [], meta: object.meta }, { objectKey, header })]
}

/**
 * The data of a container without frames, or undefined when there is no such object. Read at once, so that an object which is
 * being replaced is seen as it was before or after.
 * @throws RetakeError `repo.damaged`
 */
export async function getSmall(reader: ObjectReader, sealing: Sealing, name: ContainerName): Promise<unknown> {
  return await fromAnyCopy(reader, name.key, (copy) => getOneSmall(copy, sealing, name))
}

async function getOneSmall(reader: ObjectReader, sealing: Sealing, name: ContainerName): Promise<unknown> {
  const bytes = await reader.get(name.key)
  if (bytes === undefined) return undefined
  const container = await decodeContainer({
    name,
    sealing,
    sizeBytes: bytes.length,
    ending: bytes,
    read: async (offsetBytes, lengthBytes) => bytes.subarray(offsetBytes, offsetBytes + lengthBytes),
  })
  if (container.frames.length > 0) throw damaged(name, 'it has frames where none belong')
  return container.meta
}

/** The error for a stored object that is not what was written. */
export function damaged(object: { readonly key: string }, reason: string, cause?: unknown): RetakeError {
  return new RetakeError('repo.damaged', `${object.key} is damaged: ${reason}.`, {
    hint: 'Run `retake verify` to see which backups and moments this costs.',
    details: { object: object.key },
    cause,
  })
}
