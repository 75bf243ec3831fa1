import { randomId } from '../../base/ids.ts'
import { fullKey, type S3Place } from './s3-place.ts'
import { putIfAbsent } from './s3-put.ts'
import { deleteObject } from './s3-versions.ts'
import { markWrite } from './s3-writes.ts'
import { abortUpload, beginUpload, sendPart } from './uploads.ts'

/** Objects that only try what the storage does; a name that begins with a dot is none of the repository's. */
export const PROBE_PREFIX = '.probe/'

/**
 * Whether the storage refuses to complete a multipart upload whose name is taken. Amazon does; elsewhere it is tried once on an
 * object of its own.
 */
export async function probeCompletion(place: S3Place): Promise<'refused' | 'ignored'> {
  if (place.location.endpoint === undefined) return 'refused'
  const key = `${PROBE_PREFIX}${randomId(16)}`
  await putIfAbsent(place, { key, bytes: Buffer.from('first') })
  try {
    return await probeUpload(place, key)
  } finally {
    await deleteObject(place, key)
  }
}

async function probeUpload(place: S3Place, key: string): Promise<'refused' | 'ignored'> {
  const { location, requests } = place
  const uploadId = await beginUpload(place, { key, write: markWrite(location, { key, kept: false }) })
  const ETag = await sendPart(place, { key, uploadId, partNumber: 1, bytes: Buffer.from('second'), digest: undefined })
  const outcome = await requests.expect(
    { action: 'Writing', object: key, permission: 's3:PutObject' },
    {
      expected: ['precondition', 'rejected'],
      send: ({ client, signal }) =>
        client.completeMultipartUpload(
          {
            Bucket: location.bucket,
            Key: fullKey(place, key),
            UploadId: uploadId,
            IfNoneMatch: '*',
            MultipartUpload: { Parts: [{ ETag, PartNumber: 1 }] },
          },
          { abortSignal: signal },
        ),
    },
  )
  if ('value' in outcome) return 'ignored'
  await abortUpload(place, { key, uploadId })
  return outcome.failed === 'precondition' ? 'refused' : 'ignored'
}
