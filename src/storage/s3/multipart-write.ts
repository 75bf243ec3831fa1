import type { CompletedPart } from '@aws-sdk/client-s3'
import { releaseBackingMemory } from '../../base/memory.ts'
import type { LargeWrite } from './large-write.ts'
import type { S3Place } from './s3-place.ts'
import { retainObject } from './s3-retention.ts'
import { digestOf, type MarkedWrite, markWrite } from './s3-writes.ts'
import { abortUpload, beginUpload, completeUpload, sendPart } from './uploads.ts'

/** Parts on their way at once; one more is being gathered. */
const PARTS_UNDER_WAY = 2
/** So many parts of one size, then they double: 10,000 parts, which is all there may be, hold 8 TiB. */
const PARTS_OF_ONE_SIZE = 1000

/** Size of the part with this number (from 1), given the size of the first. */
export function partBytes(partNumber: number, firstBytes: number): number {
  return firstBytes * 2 ** Math.floor((partNumber - 1) / PARTS_OF_ONE_SIZE)
}

export class MultipartWrite implements LargeWrite {
  readonly #place: S3Place
  readonly #key: string
  readonly #write: MarkedWrite
  readonly #uploadId: string
  readonly #parts: CompletedPart[] = []
  /** A part that could not be sent stays here, for whoever adds next or commits. */
  readonly #underWay = new Map<number, Promise<void>>()
  /** Buffers whose parts have arrived. */
  readonly #spare: Buffer[] = []
  #firstBytes: number | undefined
  #begunParts = 0
  #isDone = false

  private constructor(
    place: S3Place,
    upload: { readonly key: string; readonly write: MarkedWrite; readonly uploadId: string },
  ) {
    this.#place = place
    this.#key = upload.key
    this.#write = upload.write
    this.#uploadId = upload.uploadId
  }

  static async begin(place: S3Place, key: string): Promise<MultipartWrite> {
    const write = markWrite(place.location, { key, kept: true })
    const uploadId = await beginUpload(place, { key, write })
    return new MultipartWrite(place, { key, write, uploadId })
  }

  async add(full: Buffer): Promise<Buffer> {
    this.#firstBytes ??= full.length
    this.#begin(full)
    const nextBytes = partBytes(this.#begunParts + 1, this.#firstBytes)
    while (this.#underWay.size > PARTS_UNDER_WAY) await Promise.race(this.#underWay.values())
    const spare = this.#spare.pop()
    if (spare?.length === nextBytes) return spare
    if (spare) releaseBackingMemory(spare)
    return Buffer.allocUnsafeSlow(nextBytes)
  }

  async commit(last: Buffer): Promise<boolean> {
    this.#begin(last)
    await Promise.all(this.#underWay.values())
    const created = await completeUpload(this.#place, {
      key: this.#key,
      uploadId: this.#uploadId,
      parts: this.#parts,
      mark: this.#write.mark,
    })
    this.#isDone = created
    const until = this.#write.headers.ObjectLockRetainUntilDate
    // Some storages (Ceph RGW 16) do not take over the lock that an upload was begun with.
    if (created && until !== undefined) await retainObject(this.#place, this.#key, until)
    return created
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#underWay.values())
    for (const buffer of this.#spare.splice(0)) releaseBackingMemory(buffer)
    if (this.#isDone) return
    this.#isDone = true
    // Called while an error is on its way; what stays is removed later, see abandoned-uploads.ts.
    await abortUpload(this.#place, { key: this.#key, uploadId: this.#uploadId }).catch(() => {})
  }

  #begin(bytes: Buffer): void {
    this.#begunParts += 1
    const partNumber = this.#begunParts
    const sending = this.#send(bytes, partNumber).then((ETag) => {
      this.#parts[partNumber - 1] = { ETag, PartNumber: partNumber }
      this.#underWay.delete(partNumber)
      this.#spare.push(bytes)
    })
    sending.catch(() => {})
    this.#underWay.set(partNumber, sending)
  }

  async #send(bytes: Uint8Array, partNumber: number): Promise<string> {
    return await sendPart(this.#place, {
      key: this.#key,
      uploadId: this.#uploadId,
      partNumber,
      bytes,
      digest: this.#write.needsDigest ? digestOf(bytes) : undefined,
    })
  }
}
