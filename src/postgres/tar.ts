/**
 * Reads the tar archives of BASE_BACKUP as they arrive, in pieces of any size, without copying content.
 * ustar as the server writes it (https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-BASE-BACKUP,
 * src/port/tar.c), with base-256 sizes beyond 8 GiB, and the long names of GNU and pax archives.
 *
 * Invariant: no path that leaves the archive's root is ever handed out.
 */
import { RetakeError } from '../base/errors.ts'

export interface TarEntry {
  /** Relative, `/`-separated, without a slash at the end. */
  readonly path: string
  readonly type: 'file' | 'directory' | 'symlink'
  /** Permission bits. */
  readonly mode: number
  /** Bytes of content that follow; 0 for all but files. */
  readonly sizeBytes: number
  /** Seconds since 1970. */
  readonly modifiedAtSeconds: number
  /** Of a symlink: where it points. It may be absolute (a tablespace) and is for the caller to judge. */
  readonly linkTarget: string | undefined
}

export type TarEvent =
  | { readonly type: 'entry'; readonly entry: TarEntry }
  /** A view on what was pushed, valid as long as that is. */
  | { readonly type: 'content'; readonly bytes: Buffer }
  /** All content of the entry was given. */
  | { readonly type: 'entry-end' }

const BLOCK_BYTES = 512
/** A pax header or a long name beyond this is not a path. */
const MAX_EXTENSION_BYTES = 1024 * 1024

/**
 * An incremental reader: iterate over `push(bytes)` to its end before pushing more, and call `finish` after the last.
 *
 *     for (const event of reader.push(bytes)) …
 *
 * @throws RetakeError `postgres.protocol` when it is not a tar archive, or a path is not safe
 */
export class TarReader {
  readonly #header = Buffer.alloc(BLOCK_BYTES)
  #headerFilled = 0
  #contentRemaining = 0
  #paddingRemaining = 0
  #emptyBlocks = 0
  /** The content of a header that describes the next entry. */
  #extension: { readonly type: string; readonly bytes: Buffer; filled: number } | undefined
  #overrides: { path?: string | undefined; linkTarget?: string | undefined; sizeBytes?: number | undefined } = {}
  #inEntry = false;

  *push(bytes: Buffer): Generator<TarEvent, void, undefined> {
    let position = 0
    while (position < bytes.length) {
      const available = bytes.length - position
      if (this.#contentRemaining > 0) {
        const taken = Math.min(this.#contentRemaining, available)
        const piece = bytes.subarray(position, position + taken)
        position += taken
        this.#contentRemaining -= taken
        if (this.#extension) this.#collect(piece)
        else yield { type: 'content', bytes: piece }
        if (this.#contentRemaining === 0 && this.#inEntry) yield this.#endEntry()
      } else if (this.#paddingRemaining > 0) {
        const taken = Math.min(this.#paddingRemaining, available)
        position += taken
        this.#paddingRemaining -= taken
      } else {
        const taken = Math.min(BLOCK_BYTES - this.#headerFilled, available)
        bytes.copy(this.#header, this.#headerFilled, position, position + taken)
        position += taken
        this.#headerFilled += taken
        if (this.#headerFilled < BLOCK_BYTES) return
        this.#headerFilled = 0
        const entry = this.#readHeader()
        if (entry) {
          yield { type: 'entry', entry }
          if (entry.sizeBytes === 0) yield this.#endEntry()
        }
      }
    }
  }

  /** @throws RetakeError `postgres.protocol` when the archive ended in the middle of something */
  finish(): void {
    const open = this.#contentRemaining + this.#paddingRemaining + this.#headerFilled
    if (open > 0 || this.#extension) throw invalid('it ends in the middle of an entry')
  }

  #endEntry(): TarEvent {
    this.#inEntry = false
    return { type: 'entry-end' }
  }

  #readHeader(): TarEntry | undefined {
    const header = this.#header
    if (isEmptyBlock(header)) {
      this.#emptyBlocks++
      return undefined
    }
    if (this.#emptyBlocks >= 2) throw invalid('something follows after its end')
    this.#emptyBlocks = 0
    checkHeaderSum(header)
    const typeFlag = String.fromCharCode(header[156] ?? 0)
    const sizeBytes = readNumber(header, { offset: 124, length: 12 })
    if (['x', 'g', 'L', 'K'].includes(typeFlag)) {
      if (sizeBytes > MAX_EXTENSION_BYTES) throw invalid('a header extension is too long')
      this.#extension = { type: typeFlag, bytes: Buffer.alloc(sizeBytes), filled: 0 }
      this.#expectContent(sizeBytes)
      if (sizeBytes === 0) this.#extension = undefined
      return undefined
    }
    const entry = this.#describe(header, { typeFlag, sizeBytes })
    this.#overrides = {}
    this.#inEntry = true
    this.#expectContent(entry.sizeBytes)
    return entry
  }

  #expectContent(sizeBytes: number): void {
    this.#contentRemaining = sizeBytes
    this.#paddingRemaining = (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES
  }

  #describe(
    header: Buffer,
    { typeFlag, sizeBytes }: { readonly typeFlag: string; readonly sizeBytes: number },
  ): TarEntry {
    const name = this.#overrides.path ?? readName(header)
    const type = entryTypes[typeFlag]
    if (!type) throw invalid(`"${name}" is of a kind that a backup does not have (type "${typeFlag}")`)
    return {
      path: safePath(name),
      type,
      mode: readNumber(header, { offset: 100, length: 8 }) & 0o7777,
      sizeBytes: type === 'file' ? (this.#overrides.sizeBytes ?? sizeBytes) : 0,
      modifiedAtSeconds: readNumber(header, { offset: 136, length: 12 }),
      linkTarget:
        type === 'symlink' ? (this.#overrides.linkTarget ?? readText(header, { offset: 157, length: 100 })) : undefined,
    }
  }

  #collect(piece: Buffer): void {
    const extension = this.#extension
    if (!extension) return
    piece.copy(extension.bytes, extension.filled)
    extension.filled += piece.length
    if (extension.filled < extension.bytes.length) return
    this.#extension = undefined
    if (extension.type === 'L') this.#overrides.path = trimNul(extension.bytes)
    else if (extension.type === 'K') this.#overrides.linkTarget = trimNul(extension.bytes)
    else if (extension.type === 'x') this.#applyPax(extension.bytes)
    // A global pax header ('g') says nothing that a restore needs.
  }

  /** Records of "<length> <key>=<value>\n", the length counting itself. */
  #applyPax(bytes: Buffer): void {
    let position = 0
    while (position < bytes.length) {
      const space = bytes.indexOf(0x20, position)
      const length = space < 0 ? Number.NaN : Number(bytes.toString('latin1', position, space))
      if (!Number.isInteger(length) || length <= space - position + 1 || position + length > bytes.length)
        throw invalid('a pax header cannot be read')
      const record = bytes.toString('utf8', space + 1, position + length - 1)
      const equals = record.indexOf('=')
      const [key, value] = [record.slice(0, equals), record.slice(equals + 1)]
      if (key === 'path') this.#overrides.path = value
      else if (key === 'linkpath') this.#overrides.linkTarget = value
      else if (key === 'size') this.#overrides.sizeBytes = readSize(value)
      position += length
    }
  }
}

const entryTypes: Readonly<Record<string, TarEntry['type'] | undefined>> = {
  '0': 'file',
  '\0': 'file',
  '2': 'symlink',
  '5': 'directory',
}

interface Field {
  readonly offset: number
  readonly length: number
}

function isEmptyBlock(block: Buffer): boolean {
  return block[0] === 0 && block.every((byte) => byte === 0)
}

function checkHeaderSum(header: Buffer): void {
  let sum = 0
  for (let index = 0; index < BLOCK_BYTES; index++) sum += index >= 148 && index < 156 ? 0x20 : (header[index] ?? 0)
  if (sum !== readNumber(header, { offset: 148, length: 8 })) throw invalid('the checksum of a header does not match')
}

/** Octal digits; or, with the top bit of the first byte set, a big-endian number in the rest. */
function readNumber(header: Buffer, { offset, length }: Field): number {
  const first = header[offset] ?? 0
  if ((first & 0x80) !== 0) {
    let value = BigInt(first & 0x7f)
    for (let index = 1; index < length; index++) value = (value << 8n) | BigInt(header[offset + index] ?? 0)
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid('a number in a header is too large')
    return Number(value)
  }
  const digits = header
    .toString('latin1', offset, offset + length)
    .replace(/\0.*$/s, '')
    .trim()
  if (digits === '') return 0
  if (!/^[0-7]+$/.test(digits)) throw invalid('a number in a header cannot be read')
  return Number.parseInt(digits, 8)
}

function readSize(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw invalid('a size in a pax header cannot be read')
  return value
}

function readText(header: Buffer, { offset, length }: Field): string {
  return trimNul(header.subarray(offset, offset + length))
}

function trimNul(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end)
}

/** The prefix field is ustar's; GNU's own magic ("ustar  ") uses those bytes otherwise. */
function readName(header: Buffer): string {
  const name = readText(header, { offset: 0, length: 100 })
  const posix = header.toString('latin1', 257, 263) === 'ustar\0'
  const prefix = posix ? readText(header, { offset: 345, length: 155 }) : ''
  return prefix === '' ? name : `${prefix}/${name}`
}

function safePath(name: string): string {
  const path = name.replace(/^(?:\.\/)+/, '').replace(/\/+$/, '')
  const parts = path.split('/')
  if (path === '' || name.startsWith('/') || parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw invalid(`"${name}" is not a safe path`)
  }
  return path
}

function invalid(why: string): RetakeError {
  return new RetakeError('postgres.protocol', `The server's backup stream is not a valid tar archive: ${why}.`, {
    hint: 'Run the backup again; if it repeats, check what lies between this machine and the server.',
  })
}
