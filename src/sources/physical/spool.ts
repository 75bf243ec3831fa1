/**
 * Bytes that are written once and looked up by their place: in memory while they are few, in a file without a name beyond that.
 * The file is removed as soon as it is open, so nothing of it is left, whatever ends the process.
 */
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from '../../base/errors.ts'
import { randomId } from '../../base/ids.ts'

const CHUNK_BYTES = 256 * 1024
/** So much stays in memory. */
const DEFAULT_MEMORY_BYTES = 16 * 1024 * 1024

export interface SpoolOptions {
  /** Beyond this a file is used. Default 16 MiB. */
  readonly memoryBytes?: number | undefined
  /** Where the file is made. Default: the system's directory for temporary files. */
  readonly directory?: string | undefined
}

export class Spool implements Disposable {
  readonly #memoryBytes: number
  readonly #directory: string
  /** The chunks in memory, by number; all but the last go once there is a file. */
  readonly #chunks = new Map<number, Buffer>()
  #sizeBytes = 0
  #file: number | undefined

  constructor(options: SpoolOptions = {}) {
    this.#memoryBytes = options.memoryBytes ?? DEFAULT_MEMORY_BYTES
    this.#directory = options.directory ?? tmpdir()
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** The place of the bytes, which are copied. @throws the error of the system when the disk is full */
  append(bytes: Uint8Array): number {
    const place = this.#sizeBytes
    for (let done = 0; done < bytes.length; ) {
      const number = Math.floor(this.#sizeBytes / CHUNK_BYTES)
      const at = this.#sizeBytes % CHUNK_BYTES
      const chunk = this.#chunks.get(number) ?? Buffer.allocUnsafe(CHUNK_BYTES)
      this.#chunks.set(number, chunk)
      const part = bytes.subarray(done, done + CHUNK_BYTES - at)
      chunk.set(part, at)
      done += part.length
      this.#sizeBytes += part.length
      if (this.#sizeBytes % CHUNK_BYTES === 0) this.#spill()
    }
    return place
  }

  /** The bytes at a place; of a length that was appended. */
  read(place: number, length: number): Buffer {
    assert(place >= 0 && place + length <= this.#sizeBytes, 'only what was appended is read')
    const bytes = Buffer.allocUnsafe(length)
    for (let done = 0; done < length; ) {
      const number = Math.floor((place + done) / CHUNK_BYTES)
      const at = (place + done) % CHUNK_BYTES
      const part = Math.min(length - done, CHUNK_BYTES - at)
      const chunk = this.#chunks.get(number)
      if (chunk) chunk.copy(bytes, done, at, at + part)
      else {
        assert(this.#file !== undefined, 'what is not in memory is in the file')
        const got = readSync(this.#file, bytes, done, part, place + done)
        assert(got === part, 'the file holds what was written')
      }
      done += part
    }
    return bytes
  }

  [Symbol.dispose](): void {
    this.#chunks.clear()
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }

  /** Moves full chunks to the file, once there is too much for the memory. */
  #spill(): void {
    if (this.#file === undefined && this.#sizeBytes < this.#memoryBytes) return
    this.#file ??= openUnnamed(this.#directory)
    for (const [number, chunk] of this.#chunks) {
      for (let done = 0; done < chunk.length; ) {
        done += writeSync(this.#file, chunk, done, chunk.length - done, number * CHUNK_BYTES + done)
      }
    }
    this.#chunks.clear()
  }
}

function openUnnamed(directory: string): number {
  const path = join(directory, `retake-${randomId(8)}`)
  const file = openSync(path, 'wx+', 0o600)
  unlinkSync(path)
  return file
}
