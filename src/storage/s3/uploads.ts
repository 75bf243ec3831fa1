/** The requests of a multipart upload. https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html */
import type { CompletedPart } from '@aws-sdk/client-s3'
import { RetakeError } from '../../base/errors.ts'
import { findObject, fullKey, type S3Place } from './s3-place.ts'
import { isOurs } from './s3-put.ts'
import type { MarkedWrite } from './s3-writes.ts'

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
