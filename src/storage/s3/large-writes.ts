/**
 * How objects are written that are too large for one request from memory: by a multipart upload where the storage refuses its
 * completion when the name is taken; else from a spool file by one request, which it does refuse. Found out once per opened store.
 */
import { cleanAbandonedUploads } from './abandoned-uploads.ts'
import type { LargeWrite } from './large-write.ts'
import { MultipartWrite } from './multipart-write.ts'
import { probeCompletion } from './probe-completion.ts'
import type { S3Place } from './s3-place.ts'
import { SpoolWrite } from './spool-write.ts'

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
    // A completion would not see a claim.
    if (this.#place.location.claims || (await probeCompletion(this.#place)) === 'ignored') return 'spool'
    await cleanAbandonedUploads(this.#place)
    return 'multipart'
  }
}
