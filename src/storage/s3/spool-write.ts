/**
 * For a storage that completes a multipart upload although the name is taken: the object is gathered in a file of the system's
 * temporary directory (sealed, as everything that is stored) and sent by one request, which that storage refuses.
 */
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RetakeError } from '../../base/errors.ts'
import { randomId } from '../../base/ids.ts'
import { FILE_MODE, writeFully } from '../directory-files.ts'
import { storageError } from '../storage-errors.ts'
import type { LargeWrite } from './large-write.ts'
import type { S3Place } from './s3-place.ts'
import { putMarked } from './s3-put.ts'
import { markWrite, newDigest } from './s3-writes.ts'

/** More than this no S3 takes in one request. */
const MOST_BYTES = 5 * 1024 ** 3

export class SpoolWrite implements LargeWrite {
  readonly #place: S3Place
  readonly #key: string
  readonly #file: FileHandle
  readonly #digest = newDigest()
  #sizeBytes = 0
  #isOpen = true

  private constructor(place: S3Place, spool: { readonly key: string; readonly file: FileHandle }) {
    this.#place = place
    this.#key = spool.key
    this.#file = spool.file
  }

  static async begin(place: S3Place, key: string): Promise<SpoolWrite> {
    const path = join(tmpdir(), `retake-spool-${randomId(8)}`)
    const file = await guarded(path, () => open(path, 'wx+', FILE_MODE))
    // Without a name it vanishes with its process, however that ends.
    await guarded(path, () => unlink(path))
    return new SpoolWrite(place, { key, file })
  }

  async add(full: Buffer): Promise<Buffer> {
    await this.#append(full)
    return full
  }

  async commit(last: Uint8Array): Promise<boolean> {
    await this.#append(last)
    return await putMarked(this.#place, {
      key: this.#key,
      write: markWrite(this.#place.location, { key: this.#key, kept: true }),
      sizeBytes: this.#sizeBytes,
      digest: this.#digest.digest('base64'),
      body: () => this.#file.createReadStream({ start: 0, autoClose: false, highWaterMark: 256 * 1024 }),
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    // Called while an error is on its way: it must not be hidden by a second one.
    await this.#file.close().catch(() => {})
  }

  async #append(bytes: Uint8Array): Promise<void> {
    if (this.#sizeBytes + bytes.length > MOST_BYTES) throw this.#tooLarge()
    await guarded(tmpdir(), () => writeFully(this.#file, [bytes]))
    this.#digest.update(bytes)
    this.#sizeBytes += bytes.length
  }

  #tooLarge(): RetakeError {
    return new RetakeError(
      'storage.unsupported',
      `${this.#key} is larger than the 5 GiB that ${this.#place.url} takes in one request, and it would complete larger uploads over existing objects.`,
      { hint: 'Use a storage that honours If-None-Match when a multipart upload is completed.' },
    )
  }
}

async function guarded<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    throw storageError(error, { action: 'Writing', object: 'a spool file', url: path })
  }
}
