/**
 * How objects are written that are too large for one request from memory: by a multipart upload where the storage refuses its
 * completion when the name is taken; else from a spool file by one request, which it does refuse. Found out once per opened store.
 */
import { cleanAbandonedUploads } from './abandoned-uploads.ts'
import { MultipartWrite } from './multipart-write.ts'
import { probeCompletion } from './probe-completion.ts'
import type { S3Place } from './s3-place.ts'
import { SpoolWrite } from './spool-write.ts'

/** A large object on its way. Disposing it takes back what was not committed. */
export interface LargeWrite extends AsyncDisposable {
  /** Takes a full part over; resolves with a buffer for the next one, when there is room for it. */
  add(full: Buffer): Promise<Buffer>
  /** @param last the rest, not empty; taken over too. @returns false when the name was taken */
  commit(last: Buffer): Promise<boolean>
}

export class LargeWrites {
  readonly #place: S3Place
  #way: Promise<'multipart' | 'spool'> | undefined

  constructor(place: S3Place) {
    this.#place = place
  }

  async begin(key: string): Promise<LargeWrite> {
    this.#way ??= this.#choose().catch((error: unknown) => {
      this.#way = undefined
      throw error
    })
    const way = await this.#way
    return way === 'multipart' ? await MultipartWrite.begin(this.#place, key) : await SpoolWrite.begin(this.#place, key)
  }

  async #choose(): Promise<'multipart' | 'spool'> {
    if ((await probeCompletion(this.#place)) === 'ignored') return 'spool'
    await cleanAbandonedUploads(this.#place)
    return 'multipart'
  }
}
