/**
 * The headers of a record's parts (src/include/access/xlogrecord.h, the same from 15 to 18): which blocks it changes, and how
 * long its main data is, which is the last part.
 */
import { u16, u32 } from './bytes.ts'

/** `id` of XLogRecordBlockHeader and its relatives. */
const PART = { lastBlock: 32, topTransaction: 252, origin: 253, dataLong: 254, dataShort: 255 } as const
/** `fork_flags`; the lower half is the fork. */
const BLOCK = { hasImage: 0x10, hasData: 0x20, willInit: 0x40, sameRelation: 0x80 } as const
/** `bimg_info` */
export const IMAGE = { hasHole: 0x01, apply: 0x02, pglz: 0x04, lz4: 0x08, compressed: 0x04 | 0x08 | 0x10 } as const

const FORK_MASK = 0x0f
const LAST_FORK = 3
const BLOCK_LIMIT = PART.lastBlock + 1

/** More than the headers of all 33 possible blocks, origin, transaction and main data can take. */
export const PART_HEADERS_LIMIT_BYTES = 1024

/** A relation's files are named by these, whatever its name and its oid; catalogs that are shared have database 0. */
export interface RelationFile {
  readonly tablespace: number
  readonly database: number
  readonly relfilenode: number
}

export interface BlockReference {
  /** Names the block within the record; numbers may be left out. */
  readonly id: number
  readonly file: RelationFile
  readonly fork: 'main' | 'fsm' | 'vm' | 'init'
  readonly block: number
  readonly dataBytes: number
  readonly willInit: boolean
  /** The page as it was written whole, if it was. */
  readonly image?: {
    /** As stored: compressed, and without the hole. */
    readonly bytes: number
    /** False where it is there only to be compared. */
    readonly isApplied: boolean
    readonly isCompressed: boolean
  }
}

const FORKS = ['main', 'fsm', 'vm', 'init'] as const

export interface RecordBody {
  readonly begin: number
  /** How much is at hand; all part headers must be. */
  readonly end: number
  readonly bodyBytes: number
}

/** Read anew for each record, so that a log of many small ones leaves no objects behind: the columns are indexed by block. */
export class RecordParts {
  blockCount = 0
  readonly ids = new Uint8Array(BLOCK_LIMIT)
  readonly flags = new Uint8Array(BLOCK_LIMIT)
  readonly tablespaces = new Uint32Array(BLOCK_LIMIT)
  readonly databases = new Uint32Array(BLOCK_LIMIT)
  readonly relfilenodes = new Uint32Array(BLOCK_LIMIT)
  readonly blocks = new Uint32Array(BLOCK_LIMIT)
  readonly dataBytes = new Uint16Array(BLOCK_LIMIT)
  readonly imageBytes = new Uint16Array(BLOCK_LIMIT)
  readonly imageFlags = new Uint8Array(BLOCK_LIMIT)
  /** Where the part of the page begins that was left out of the image; its length is written only where that does not follow from the image's. */
  readonly holeOffsets = new Uint16Array(BLOCK_LIMIT)
  readonly holeBytes = new Uint16Array(BLOCK_LIMIT)
  /** The transaction that the record's own is a part of; 0 when it is not said. It is, once, with `wal_level = logical`. */
  topXid = 0
  /** Where the change came from by replication; 0: it was made here. */
  origin = 0
  mainBytes = 0
  #announcedBytes = 0

  /** False when the headers do not decode: then nothing here holds. */
  read(bytes: Uint8Array, { begin, end, bodyBytes }: RecordBody): boolean {
    this.blockCount = 0
    this.topXid = 0
    this.origin = 0
    this.mainBytes = 0
    this.#announcedBytes = 0
    const bodyEnd = begin + bodyBytes
    let at = begin
    // The headers end where what they announce fills the rest of the body.
    while (bodyEnd - at > this.#announcedBytes) {
      if (this.mainBytes > 0) return false
      at = this.#readHeader(bytes, at, end)
      if (at < 0) return false
    }
    return bodyEnd - at === this.#announcedBytes
  }

  /** An object of its own, to be kept. */
  reference(index: number): BlockReference {
    const flags = this.flags[index] as number
    const imageFlags = this.imageFlags[index] as number
    return {
      id: this.ids[index] as number,
      file: this.file(index),
      fork: FORKS[flags & FORK_MASK] ?? 'main',
      block: this.blocks[index] as number,
      dataBytes: this.dataBytes[index] as number,
      willInit: (flags & BLOCK.willInit) !== 0,
      ...((flags & BLOCK.hasImage) !== 0 && {
        image: {
          bytes: this.imageBytes[index] as number,
          isApplied: (imageFlags & IMAGE.apply) !== 0,
          isCompressed: (imageFlags & IMAGE.compressed) !== 0,
        },
      }),
    }
  }

  file(index: number): RelationFile {
    return {
      tablespace: this.tablespaces[index] as number,
      database: this.databases[index] as number,
      relfilenode: this.relfilenodes[index] as number,
    }
  }

  /** Of all blocks together: images and data, which stand behind the headers and before the main data. */
  get blocksBytes(): number {
    return this.#announcedBytes - this.mainBytes
  }

  isMainFork(index: number): boolean {
    return ((this.flags[index] as number) & FORK_MASK) === 0
  }

  /** Where the next header begins; -1 when this one does not decode or is not all at hand. */
  #readHeader(bytes: Uint8Array, at: number, end: number): number {
    if (at + 2 > end) return -1
    const id = bytes[at] as number
    if (id <= PART.lastBlock) return this.#readBlock(bytes, at, end)
    if (id === PART.dataShort) return this.#announceMain(bytes[at + 1] as number, at + 2)
    if (at + 5 > end && (id !== PART.origin || at + 3 > end)) return -1
    if (id === PART.dataLong) return this.#announceMain(u32(bytes, at + 1), at + 5)
    if (id === PART.topTransaction) {
      this.topXid = u32(bytes, at + 1)
      return at + 5
    }
    if (id !== PART.origin) return -1
    this.origin = u16(bytes, at + 1)
    return at + 3
  }

  #announceMain(mainBytes: number, next: number): number {
    this.mainBytes = mainBytes
    this.#announcedBytes += mainBytes
    return next
  }

  #readBlock(bytes: Uint8Array, begin: number, end: number): number {
    const index = this.blockCount
    const id = bytes[begin] as number
    const flags = bytes[begin + 1] as number
    if (begin + 8 > end || (index > 0 && id <= (this.ids[index - 1] as number))) return -1
    const dataBytes = u16(bytes, begin + 2)
    if ((flags & FORK_MASK) > LAST_FORK || ((flags & BLOCK.hasData) !== 0) !== dataBytes > 0) return -1
    this.imageBytes[index] = 0
    this.imageFlags[index] = 0
    let at = begin + 4
    if ((flags & BLOCK.hasImage) !== 0) {
      at = this.#readImage(bytes, at, end)
      if (at < 0) return -1
    }
    at = this.#readPlace(bytes, at, { end, isSame: (flags & BLOCK.sameRelation) !== 0 })
    if (at < 0) return -1
    this.ids[index] = id
    this.flags[index] = flags
    this.dataBytes[index] = dataBytes
    this.#announcedBytes += dataBytes + (this.imageBytes[index] as number)
    this.blockCount = index + 1
    return at
  }

  #readImage(bytes: Uint8Array, at: number, end: number): number {
    const index = this.blockCount
    if (at + 5 > end) return -1
    const imageFlags = bytes[at + 4] as number
    this.imageBytes[index] = u16(bytes, at)
    this.imageFlags[index] = imageFlags
    this.holeOffsets[index] = u16(bytes, at + 2)
    const saysHole = (imageFlags & IMAGE.hasHole) !== 0 && (imageFlags & IMAGE.compressed) !== 0
    if (saysHole && at + 7 > end) return -1
    this.holeBytes[index] = saysHole ? u16(bytes, at + 5) : 0
    return saysHole ? at + 7 : at + 5
  }

  #readPlace(
    bytes: Uint8Array,
    at: number,
    { end, isSame }: { readonly end: number; readonly isSame: boolean },
  ): number {
    const index = this.blockCount
    if (at + (isSame ? 4 : 16) > end || (isSame && index === 0)) return -1
    if (isSame) {
      this.tablespaces[index] = this.tablespaces[index - 1] as number
      this.databases[index] = this.databases[index - 1] as number
      this.relfilenodes[index] = this.relfilenodes[index - 1] as number
      this.blocks[index] = u32(bytes, at)
      return at + 4
    }
    this.tablespaces[index] = u32(bytes, at)
    this.databases[index] = u32(bytes, at + 4)
    this.relfilenodes[index] = u32(bytes, at + 8)
    this.blocks[index] = u32(bytes, at + 12)
    return at + 16
  }
}
