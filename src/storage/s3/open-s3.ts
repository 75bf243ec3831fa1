import type { ObjectStore } from '../object-store.ts'
import { DEFAULT_CLAIM_LIMITS } from './claimed-put.ts'
import { openS3Client } from './s3-client.ts'
import { formatS3Url, parseS3Url } from './s3-location.ts'
import type { ClaimLimits, S3Place } from './s3-place.ts'
import { DEFAULT_LIMITS, type RequestLimits, S3Requests } from './s3-requests.ts'
import { S3Store } from './s3-store.ts'

export interface OpenS3Options {
  readonly limits?: Partial<RequestLimits> | undefined
  readonly claims?: ClaimLimits | undefined
}

/**
 * Opens `s3://bucket/prefix?…`; the bucket must exist. One listing of one name shows that address, credentials and permission
 * are right, before anything relies on them.
 * @throws RetakeError `config.invalid`, `repo.missing` when there is no such bucket, `storage.denied`, `storage.unreachable`
 */
export async function openS3Store(url: string, options: OpenS3Options = {}): Promise<ObjectStore> {
  const place = await openS3Place(url, options)
  await using undo = new AsyncDisposableStack()
  undo.defer(place.close)
  await place.requests.run(
    { action: 'Opening', object: 'the bucket', permission: 's3:ListBucket' },
    ({ client, signal }) =>
      client.listObjectsV2(
        { Bucket: place.location.bucket, Prefix: place.location.prefix, MaxKeys: 1 },
        { abortSignal: signal },
      ),
  )
  undo.move()
  return new S3Store(place, place.close)
}

/** The same without the first look. */
export async function openS3Place(
  url: string,
  options: OpenS3Options = {},
): Promise<S3Place & { readonly close: () => void }> {
  const location = parseS3Url(url)
  const client = await openS3Client(location)
  const canonical = formatS3Url(location)
  const requests = new S3Requests({
    client,
    url: canonical,
    bucket: location.bucket,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
  })
  const claims = options.claims ?? DEFAULT_CLAIM_LIMITS
  return { location, url: canonical, requests, claims, close: () => client.destroy() }
}
