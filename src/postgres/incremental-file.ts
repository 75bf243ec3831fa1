/**
 * The `INCREMENTAL.*` files of an incremental base backup (PostgreSQL 17 and later): which blocks of a relation's file changed, how
 * short the file was meanwhile, and the changed blocks. Layout: src/include/backup/basebackup_incremental.h, sendFile in basebackup.c.
 */
import { RetakeError } from '../base/errors.ts'

const MAGIC = 0xd3ae1f0d
const PREFIX = 'INCREMENTAL.'
/** A relation's file has no more blocks than this, in any build. */
const MAX_BLOCKS = 1 << 24

/** The path of the file that such an entry stands for; undefined when it is an ordinary file. */
export function incrementalPath(path: string): string | undefined {
  const at = path.lastIndexOf('/') + 1
  return path.startsWith(PREFIX, at) ? path.slice(0, at) + path.slice(at + PREFIX.length) : undefined
}

export interface IncrementalHeader {
  /** Counted within the file, ascending. Their contents follow, one after the other. */
  readonly blocks: Uint32Array
  /** Blocks from here on that are not in the list are not those of the earlier backup: they are zeros, if the file reaches so far. */
  readonly truncationBlocks: number
  /** What the file has now. */
  readonly lengthBlocks: number
}

export type IncrementalEvent =
  | { readonly type: 'header'; readonly header: IncrementalHeader }
  /** A view on what was pushed. */
  | { readonly type: 'blocks'; readonly bytes: Buffer }

/** Reads one such file, pushed in pieces of any size. @throws RetakeError `postgres.protocol` */
export class IncrementalFileReader {
  readonly #blockSizeBytes: number
  #begun: Buffer = Buffer.alloc(0)
  #header: IncrementalHeader | undefined
  #remainingBytes = 0

  constructor(blockSizeBytes: number) {
    this.#blockSizeBytes = blockSizeBytes
  }

  push(bytes: Buffer): IncrementalEvent[] {
    if (this.#header) return this.#contents(bytes)
    this.#begun = Buffer.concat([this.#begun, bytes])
    const needed = this.#headerBytes()
    if (needed === undefined || this.#begun.length < needed) return []
    const header = decodeHeader(this.#begun)
    this.#header = header
    this.#remainingBytes = header.blocks.length * this.#blockSizeBytes
    return [{ type: 'header', header }, ...this.#contents(this.#begun.subarray(needed))]
  }

  /** @throws RetakeError `postgres.protocol` when the file ended too soon */
  finish(): void {
    if (!this.#header || this.#remainingBytes > 0) throw invalid('it ends too soon')
  }

  #contents(bytes: Buffer): IncrementalEvent[] {
    if (bytes.length > this.#remainingBytes) throw invalid('something follows its last block')
    this.#remainingBytes -= bytes.length
    return bytes.length > 0 ? [{ type: 'blocks', bytes }] : []
  }

  /** Once it can be told. The blocks begin at a multiple of their size; without blocks there is no padding. */
  #headerBytes(): number | undefined {
    if (this.#begun.length < 12) return undefined
    if (this.#begun.readUInt32LE(0) !== MAGIC) throw invalid('it does not begin as one')
    const count = this.#begun.readUInt32LE(4)
    if (count > MAX_BLOCKS) throw invalid(`it lists ${count} blocks`)
    const bare = 12 + 4 * count
    return count === 0 ? bare : Math.ceil(bare / this.#blockSizeBytes) * this.#blockSizeBytes
  }
}

function decodeHeader(bytes: Buffer): IncrementalHeader {
  const count = bytes.readUInt32LE(4)
  const truncationBlocks = bytes.readUInt32LE(8)
  const blocks = new Uint32Array(count)
  for (let index = 0; index < count; index++) {
    const block = bytes.readUInt32LE(12 + 4 * index)
    if (block >= MAX_BLOCKS || (index > 0 && block <= (blocks[index - 1] ?? 0)))
      throw invalid('its blocks do not ascend')
    blocks[index] = block
  }
  if (truncationBlocks > MAX_BLOCKS) throw invalid('its length is impossible')
  const lengthBlocks = Math.max(truncationBlocks, count > 0 ? (blocks[count - 1] ?? 0) + 1 : 0)
  return { blocks, truncationBlocks, lengthBlocks }
}

function invalid(why: string): RetakeError {
  return new RetakeError('postgres.protocol', `An incremental file of the server cannot be read: ${why}.`, {
    hint: 'Run the backup again; if it repeats, switch summarize_wal off, and report it.',
  })
}
