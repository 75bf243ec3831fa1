/**
 * What earlier backups hold, for the length of one backup: files of the parent by path, and stretches of frames by the content id
 * of what is in them. Facts lie in a spool, so memory does not follow the size of the database: 20 bytes for a file or a frame.
 */
import { assert } from '../../base/errors.ts'
import type { FileEntry, FrameRef } from '../../repository/manifest.ts'
import { decodeEntry } from '../../repository/manifest-lines.ts'
import type { PackFacts, StoredFrame } from './pack-series.ts'
import { PlaceTable } from './place-table.ts'
import { Spool, type SpoolOptions } from './spool.ts'

/** Frames and small files that are remembered; what comes later is not recognised, only stored again. About 2 TiB in frames. */
export const MAX_KNOWN_CONTENTS = 2_000_000

/** A stretch of a stored frame. */
export interface KnownStretch {
  readonly frame: StoredFrame
  readonly frameOffsetBytes: number
  readonly lengthBytes: number
}

/** A file of the parent, and the packs that its runs name by number. */
export interface KnownFile {
  readonly entry: FileEntry
  readonly packs: readonly PackFacts[]
}

export interface KnownContentOptions extends SpoolOptions {
  /** Default {@link MAX_KNOWN_CONTENTS}. */
  readonly maxContents?: number | undefined
}

const LENGTH_BYTES = 4
/** id, id of the frame, pack, index, offset, stored, plain, offset in the frame, length, codec. */
const CONTENT_BYTES = 32 + 32 + 4 + 4 + 8 + 4 + 4 + 4 + 4 + 4

export class KnownContent implements Disposable {
  readonly #spool: Spool
  readonly #maxContents: number
  readonly #files = new PlaceTable()
  readonly #contents = new PlaceTable()
  readonly #packs: PackFacts[] = []
  readonly #packNumbers = new Map<string, number>()
  #parentPacks: readonly PackFacts[] = []

  constructor(options: KnownContentOptions = {}) {
    this.#spool = new Spool(options)
    this.#maxContents = options.maxContents ?? MAX_KNOWN_CONTENTS
  }

  /** Those that the files name. */
  get parentPacks(): readonly PackFacts[] {
    return this.#parentPacks
  }

  get fileCount(): number {
    return this.#files.count
  }

  get contentCount(): number {
    return this.#contents.count
  }

  /** Adds a file of the parent. @param line its line in the manifest @param packs the packs of that manifest, in its order */
  addFile(path: string, line: string, packs: readonly PackFacts[]): void {
    this.#parentPacks = packs
    const bytes = Buffer.from(line)
    const length = Buffer.alloc(LENGTH_BYTES)
    length.writeUInt32LE(bytes.length)
    const place = this.#spool.append(length)
    this.#spool.append(bytes)
    this.#files.add(digestOf(path), place)
  }

  file(path: string): KnownFile | undefined {
    for (const place of this.#files.find(digestOf(path))) {
      const length = this.#spool.read(place, LENGTH_BYTES).readUInt32LE()
      const line = this.#spool.read(place + LENGTH_BYTES, length).toString('utf8')
      const entry = decodeEntry(line, this.#parentPacks.length)
      assert(entry?.type === 'file', 'a line that was decoded once is decoded again')
      if (entry.path === path) return { entry, packs: this.#parentPacks }
    }
    return undefined
  }

  /** Remembers where a content lies, unless it is known already or there are too many. */
  addContent(contentId: string, stretch: KnownStretch, pack: PackFacts): void {
    if (this.#contents.count >= this.#maxContents || this.content(contentId)) return
    const { frame, frameOffsetBytes, lengthBytes } = stretch
    const record = Buffer.alloc(CONTENT_BYTES)
    record.write(contentId, 0, 'base64url')
    record.write(frame.contentId, 32, 'base64url')
    record.writeUInt32LE(this.#packNumber(pack), 64)
    record.writeUInt32LE(frame.index, 68)
    record.writeDoubleLE(frame.offsetBytes, 72)
    record.writeUInt32LE(frame.storedBytes, 80)
    record.writeUInt32LE(frame.plainBytes, 84)
    record.writeUInt32LE(frameOffsetBytes, 88)
    record.writeUInt32LE(lengthBytes, 92)
    record.writeUInt32LE(frame.codec === 'zstd' ? 0 : 1, 96)
    this.#contents.add(digestOfId(contentId), this.#spool.append(record))
  }

  content(contentId: string): KnownStretch | undefined {
    for (const place of this.#contents.find(digestOfId(contentId))) {
      const record = this.#spool.read(place, CONTENT_BYTES)
      if (record.toString('base64url', 0, 32) === contentId) return this.#decode(record)
    }
    return undefined
  }

  /** What a manifest needs to name a pack that a found content lies in. */
  pack(packId: string): PackFacts | undefined {
    const number = this.#packNumbers.get(packId)
    return number === undefined ? undefined : this.#packs[number]
  }

  [Symbol.dispose](): void {
    this.#spool[Symbol.dispose]()
  }

  #decode(record: Buffer): KnownStretch {
    const pack = this.#packs[record.readUInt32LE(64)]
    assert(pack !== undefined, 'a record names a pack')
    const frame = {
      packId: pack.packId,
      index: record.readUInt32LE(68),
      offsetBytes: record.readDoubleLE(72),
      storedBytes: record.readUInt32LE(80),
      plainBytes: record.readUInt32LE(84),
      codec: record.readUInt32LE(96) === 0 ? ('zstd' as const) : ('raw' as const),
      contentId: record.toString('base64url', 32, 64),
    }
    return { frame, frameOffsetBytes: record.readUInt32LE(88), lengthBytes: record.readUInt32LE(92) }
  }

  #packNumber(pack: PackFacts): number {
    const known = this.#packNumbers.get(pack.packId)
    if (known !== undefined) return known
    this.#packNumbers.set(pack.packId, this.#packs.length)
    return this.#packs.push(pack) - 1
  }
}

/** A frame of a manifest with its pack's id instead of a number. */
export function storedFrame({ pack: _, ...frame }: FrameRef, pack: PackFacts): StoredFrame {
  return { packId: pack.packId, ...frame }
}

/** FNV-1a; paths are compared afterwards, so it only has to spread. */
function digestOf(text: string): number {
  let digest = 0x811c9dc5
  for (let at = 0; at < text.length; at++) digest = Math.imul(digest ^ text.charCodeAt(at), 0x01000193)
  return digest ^ (digest >>> 15)
}

/** Content ids are random already; six digits of base64url are 36 bits. */
function digestOfId(contentId: string): number {
  return Buffer.from(contentId.slice(0, 6), 'base64url').readUInt32LE()
}
