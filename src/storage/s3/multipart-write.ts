import type { CompletedPart } from '@aws-sdk/client-s3'
import { RetakeError } from '../../base/errors.ts'
import { releaseBackingMemory } from '../../base/memory.ts'
import type { LargeWrite } from './large-writes.ts'
import { findObject, fullKey, type S3Place } from './s3-place.ts'
import { isOurs } from './s3-put.ts'
import { retainObject } from './s3-retention.ts'
import { digestOf, type MarkedWrite, markWrite } from './s3-writes.ts'

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

interface Upload {
  readonly key: string
  readonly uploadId: string
}

export async function beginUpload(
  place: S3Place,
  object: { readonly key: string; readonly write: MarkedWrite },
): Promise<string> {
  const { key, write } = object
  const { UploadId } = await place.requests.run(
    { action: 'Writing', object: key, permission: 's3:PutObject' },
    ({ client, signal }) =>
      client.createMultipartUpload(
        { Bucket: place.location.bucket, Key: fullKey(place, key), ...write.headers },
        { abortSignal: signal },
      ),
  )
  if (UploadId !== undefined) return UploadId
  throw new RetakeError('storage.failed', `Writing ${key} in ${place.url} failed: the storage named no upload.`)
}

export async function sendPart(
  place: S3Place,
  part: Upload & {
    readonly partNumber: number
    readonly bytes: Uint8Array
    readonly digest: string | undefined
  },
): Promise<string> {
  const { key, uploadId, partNumber, bytes, digest } = part
  const { ETag } = await place.requests.run(
    { action: 'Writing', object: key, permission: 's3:PutObject', bodyBytes: bytes.length },
    ({ client, signal }) =>
      client.uploadPart(
        {
          Bucket: place.location.bucket,
          Key: fullKey(place, key),
          UploadId: uploadId,
          PartNumber: partNumber,
          Body: bytes,
          ...(digest === undefined ? {} : { ContentMD5: digest }),
        },
        { abortSignal: signal },
      ),
  )
  if (ETag !== undefined) return ETag
  throw new RetakeError('storage.failed', `Writing ${key} in ${place.url} failed: the storage did not confirm a part.`)
}

/** @returns false when the name was taken by another write */
export async function completeUpload(
  place: S3Place,
  upload: Upload & { readonly parts: readonly CompletedPart[]; readonly mark: string },
): Promise<boolean> {
  const { key, uploadId, parts, mark } = upload
  const outcome = await place.requests.expect(
    { action: 'Writing', object: key, permission: 's3:PutObject' },
    {
      expected: ['precondition', 'no-upload', 'no-object'],
      send: ({ client, signal }) =>
        client.completeMultipartUpload(
          {
            Bucket: place.location.bucket,
            Key: fullKey(place, key),
            UploadId: uploadId,
            IfNoneMatch: '*',
            MultipartUpload: { Parts: [...parts] },
          },
          { abortSignal: signal },
        ),
    },
  )
  if ('value' in outcome || (await isOurs(place, { key, mark }))) return true
  if (outcome.failed === 'precondition' || (await findObject(place, key))) return false
  throw new RetakeError(
    'storage.failed',
    `Writing ${key} in ${place.url} failed: its upload was ended by somebody else. What was committed before is safe.`,
    { hint: 'Check the rules of the bucket for unfinished uploads, then run the command again.' },
  )
}

export async function abortUpload(place: S3Place, upload: Upload): Promise<void> {
  const { key, uploadId } = upload
  await place.requests.expect(
    { action: 'Deleting', object: key, permission: 's3:AbortMultipartUpload' },
    {
      expected: ['no-upload', 'no-object'],
      send: ({ client, signal }) =>
        client.abortMultipartUpload(
          { Bucket: place.location.bucket, Key: fullKey(place, key), UploadId: uploadId },
          { abortSignal: signal },
        ),
    },
  )
}
