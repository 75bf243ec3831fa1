/**
 * Takes the incremental files of the server's stream: what is listed is stored, everything else is where the parent has it.
 *
 * Visibility maps are an exception. PostgreSQL clears their bits without naming the map's block in the log, so its summaries do not
 * tell (seen on 17.10 and 18.4), and a stale bit gives wrong answers to index-only scans. They are read whole, through SQL.
 */
import { RetakeError } from '../../base/errors.ts'
import { IncrementalFileReader, type IncrementalHeader } from '../../postgres/incremental-file.ts'
import { isRelationFile } from '../../postgres/relation-path.ts'
import type { FileHeader } from './file-assembly.ts'

/** Bytes of a file of the server; fewer at its end, undefined when there is no such file. */
export type ReadServerFile = (
  path: string,
  range: { readonly offsetBytes: number; readonly lengthBytes: number },
) => Promise<Uint8Array | undefined>

/** Where the files go. */
export interface IncrementTarget {
  /** A file of pages that come in any order, some of them not at all. */
  beginPages(header: FileHeader): void
  /** These blocks are not sent: they are as the parent has them, or zeros. */
  placePages(blocks: { readonly first: number; readonly count: number }, source: 'parent' | 'zeros'): void
  /** The next data is for this block and those that follow it. */
  seekPage(block: number): void
  endPages(lengthBlocks: number): void
  beginFile(header: FileHeader, sizeBytes: number | undefined): void
  data(bytes: Uint8Array): void | Promise<void>
  endFile(): void
}

export interface IncrementOptions {
  readonly blockSizeBytes: number
  readonly readServerFile: ReadServerFile
  /** The size of a file of the parent; undefined when it has none. */
  readonly parentSizeBytes: (path: string) => number | undefined
}

const READ_BYTES = 1024 * 1024

/** One file of the stream, from its header to its end. */
export class Increment {
  readonly #header: FileHeader
  readonly #target: IncrementTarget
  readonly #options: IncrementOptions
  readonly #reader: IncrementalFileReader
  readonly #isMap: boolean
  #found: IncrementalHeader | undefined
  /** Position in the list of blocks. */
  #next = 0
  /** Of the neighbouring blocks that are being received. */
  #openBytes = 0

  constructor(header: FileHeader, target: IncrementTarget, options: IncrementOptions) {
    this.#header = header
    this.#target = target
    this.#options = options
    this.#reader = new IncrementalFileReader(options.blockSizeBytes)
    this.#isMap = isRelationFile(header.path)?.fork === 'vm'
    if (!this.#isMap) target.beginPages(header)
  }

  async push(bytes: Buffer): Promise<void> {
    for (const event of this.#reader.push(bytes)) {
      if (this.#isMap) continue
      if (event.type === 'header') this.#placeUnlisted(event.header)
      else await this.#write(event.bytes)
    }
  }

  async end(): Promise<void> {
    this.#reader.finish()
    if (this.#isMap) await this.#readMap()
    else this.#target.endPages(this.#found?.lengthBlocks ?? 0)
  }

  #placeUnlisted(header: IncrementalHeader): void {
    this.#found = header
    const sizeBytes = this.#options.parentSizeBytes(this.#header.path)
    if (sizeBytes === undefined) {
      throw new RetakeError(
        'postgres.protocol',
        `The server sent changes of ${this.#header.path}, which its parent does not have.`,
        {
          hint: 'Run: retake backup --type full',
        },
      )
    }
    const parentBlocks = Math.min(header.truncationBlocks, Math.floor(sizeBytes / this.#options.blockSizeBytes))
    let first = 0
    const fill = (end: number) => {
      const held = Math.max(first, Math.min(end, parentBlocks))
      if (held > first) this.#target.placePages({ first, count: held - first }, 'parent')
      if (end > held) this.#target.placePages({ first: held, count: end - held }, 'zeros')
    }
    for (const block of header.blocks) {
      fill(block)
      first = block + 1
    }
    fill(header.lengthBlocks)
  }

  async #write(bytes: Buffer): Promise<void> {
    let rest = bytes
    while (rest.length > 0) {
      if (this.#openBytes === 0) this.#openStretch()
      const part = rest.subarray(0, this.#openBytes)
      this.#openBytes -= part.length
      rest = rest.subarray(part.length)
      await this.#target.data(part)
    }
  }

  #openStretch(): void {
    const { blocks } = this.#found ?? { blocks: new Uint32Array(0) }
    const first = blocks[this.#next] ?? 0
    let count = 1
    while (blocks[this.#next + count] === first + count) count += 1
    this.#next += count
    this.#openBytes = count * this.#options.blockSizeBytes
    this.#target.seekPage(first)
  }

  async #readMap(): Promise<void> {
    const { path } = this.#header
    let offsetBytes = 0
    for (;;) {
      const bytes = await this.#options.readServerFile(path, { offsetBytes, lengthBytes: READ_BYTES })
      // Gone with its table: the log says so too.
      if (bytes === undefined && offsetBytes === 0) return
      const length = bytes?.length ?? 0
      if (offsetBytes === 0) this.#target.beginFile(this.#header, length < READ_BYTES ? length : undefined)
      if (bytes && length > 0) await this.#target.data(bytes)
      offsetBytes += length
      if (length < READ_BYTES) break
    }
    this.#target.endFile()
  }
}
