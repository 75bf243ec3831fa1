import { isRetakeError } from '../../base/errors.ts'
import { fullKey, type S3Place } from './s3-place.ts'
import { abortUpload } from './uploads.ts'

/** What was begun so long ago belongs to nobody any more; a large manifest is open as long as its backup runs. */
export const ABANDONED_MS = 7 * 24 * 60 * 60 * 1000

/** Ends multipart uploads of processes that were killed: they are paid for and never seen. @returns how many it ended */
export async function cleanAbandonedUploads(
  place: S3Place,
  options: { readonly olderThanMs?: number | undefined; readonly now?: Date | undefined } = {},
): Promise<number> {
  const { location, requests } = place
  const before = (options.now ?? new Date()).getTime() - (options.olderThanMs ?? ABANDONED_MS)
  const root = fullKey(place, '')
  let ended = 0
  let marker: { KeyMarker: string; UploadIdMarker: string } | undefined
  try {
    do {
      const page = await requests.run(
        { action: 'Listing', object: 'unfinished uploads', permission: 's3:ListBucketMultipartUploads' },
        ({ client, signal }) =>
          client.listMultipartUploads({ Bucket: location.bucket, Prefix: root, ...marker }, { abortSignal: signal }),
      )
      for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
        if (Key === undefined || UploadId === undefined || Initiated === undefined) continue
        if (Initiated.getTime() > before) continue
        await abortUpload(place, { key: Key.slice(root.length), uploadId: UploadId })
        ended += 1
      }
      const { NextKeyMarker = '', NextUploadIdMarker = '' } = page
      marker = page.IsTruncated ? { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker } : undefined
    } while (marker !== undefined)
  } catch (error) {
    // Tidying is no reason to give up a write; who may not do it leaves it to the rules of the bucket.
    if (!isRetakeError(error, 'storage.denied')) throw error
  }
  return ended
}
