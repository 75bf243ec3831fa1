/**
 * Buckets that keep versions (Object Lock needs one). There a plain deletion only hides an object, which then is paid for ever, and
 * a replacement leaves the former content behind. So versions are deleted by their ids, oldest first: a former content never
 * comes to light again. What is locked is not touched at all.
 */
import type { ListObjectVersionsCommandOutput } from '@aws-sdk/client-s3'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { type FoundObject, findObject, fullKey, type S3Place } from './s3-place.ts'

/**
 * @param options `alsoHidden`: versions of an object that only a mark of deletion hides go as well
 * @returns false when there was no such object
 * @throws RetakeError `storage.locked` with `details.until`
 */
export async function deleteObject(
  place: S3Place,
  key: string,
  options: { readonly alsoHidden?: boolean | undefined } = {},
): Promise<boolean> {
  const found = await findObject(place, key)
  if (found === undefined) return options.alsoHidden === true && (await deleteHidden(place, key))
  const isLocked = found.lockedUntil !== undefined && found.lockedUntil.getTime() > Date.now()
  if (isLocked || found.hasLegalHold) throw lockedError(place, { key, found })
  if (found.versionId === undefined) {
    await deleteVersion(place, key)
    return true
  }
  try {
    for (const versionId of await versionsOf(place, key)) await deleteVersion(place, key, versionId)
  } catch (error) {
    if (!isRetakeError(error, 'storage.denied')) throw error
    // Who may not see locks learns of one only by the refusal; hiding a locked object would make a deletion of nothing.
    if (/object.?lock|retention|WORM/i.test(String(error.cause))) throw lockedError(place, { key, found, cause: error })
    // Versions may not be deleted here, by a policy: the object is hidden, and its bytes stay until the bucket's rules end them.
    await deleteVersion(place, key)
  }
  return true
}

async function deleteHidden(place: S3Place, key: string): Promise<boolean> {
  const versions = await versionsOf(place, key)
  for (const versionId of versions) await deleteVersion(place, key, versionId)
  return versions.length > 0
}

/** So many former versions stay: a reader may have been told of one a moment ago, and would find nothing. */
export const KEPT_VERSIONS = 8

/**
 * After a replacement: deletes versions that are older than the last few.
 * @param former what this process knows of older versions, oldest first; undefined the first time, when what others left is looked up
 * @returns what is left of them, with the one that was just written
 */
export async function dropOldVersions(
  place: S3Place,
  key: string,
  versions: {
    readonly written: string
    readonly former: readonly string[] | undefined
    /** How many former ones stay; none of what was sealed anew, because it is replaced to be rid of it. */
    readonly kept: number
  },
): Promise<string[]> {
  const { written, kept } = versions
  const former = versions.former ?? (await versionsOf(place, key)).filter((version) => version !== written)
  const left = [...former, written]
  for (const versionId of left.splice(0, Math.max(0, left.length - 1 - kept))) {
    try {
      await deleteVersion(place, key, versionId)
    } catch (error) {
      // The replacement has happened. What may not be deleted stays until the bucket's own rules remove it.
      if (!isRetakeError(error, 'storage.denied') && !isRetakeError(error, 'storage.locked')) throw error
    }
  }
  return left
}

/** Oldest first; marks of deletion are among them. */
async function versionsOf(place: S3Place, key: string): Promise<string[]> {
  const name = fullKey(place, key)
  const found: { id: string; atMs: number; isLatest: boolean }[] = []
  for await (const { Versions, DeleteMarkers } of versionPages(place, key)) {
    const entries = [...(Versions ?? []), ...(DeleteMarkers ?? [])]
    for (const { Key, VersionId, LastModified, IsLatest } of entries) {
      if (Key !== name || VersionId === undefined) continue
      found.push({ id: VersionId, atMs: LastModified?.getTime() ?? 0, isLatest: IsLatest ?? false })
    }
    // Names that only begin like this one come after it; all of this one's versions were seen then.
    if (entries.some(({ Key }) => Key !== undefined && Key > name)) break
  }
  return found
    .sort((left, right) => Number(left.isLatest) - Number(right.isLatest) || left.atMs - right.atMs)
    .map(({ id }) => id)
}

/** All versions of the objects whose names begin like this, page by page. */
export async function* versionPages(place: S3Place, prefix: string): AsyncGenerator<ListObjectVersionsCommandOutput> {
  const { location, requests } = place
  let marker: { KeyMarker: string; VersionIdMarker: string } | undefined
  do {
    const page = await requests.run(
      { action: 'Listing', object: prefix, permission: 's3:ListBucketVersions' },
      ({ client, signal }) =>
        client.listObjectVersions(
          { Bucket: location.bucket, Prefix: fullKey(place, prefix), ...marker },
          { abortSignal: signal },
        ),
    )
    yield page
    const { NextKeyMarker = '', NextVersionIdMarker = '' } = page
    marker = page.IsTruncated ? { KeyMarker: NextKeyMarker, VersionIdMarker: NextVersionIdMarker } : undefined
  } while (marker !== undefined)
}

/** Deletes one version, or without one what is to be seen. */
export async function deleteVersion(place: S3Place, key: string, versionId?: string): Promise<void> {
  const { location, requests } = place
  const permission = versionId === undefined ? 's3:DeleteObject' : 's3:DeleteObjectVersion'
  await requests.expect(
    { action: 'Deleting', object: key, permission },
    {
      // An earlier attempt whose answer was lost has done it.
      expected: ['no-object'],
      send: ({ client, signal }) =>
        client.deleteObject(
          {
            Bucket: location.bucket,
            Key: fullKey(place, key),
            ...(versionId === undefined ? {} : { VersionId: versionId }),
          },
          { abortSignal: signal },
        ),
    },
  )
}

function lockedError(
  place: S3Place,
  object: { readonly key: string; readonly found: FoundObject; readonly cause?: unknown },
): RetakeError {
  const { key, found, cause } = object
  const until = found.lockedUntil?.toISOString()
  const how = found.hasLegalHold
    ? 'under a legal hold'
    : `locked until ${until ?? 'a time that these credentials may not see'}`
  return new RetakeError('storage.locked', `${key} in ${place.url} is ${how}; it was not deleted.`, {
    hint: 'Wait until then: Retake never bypasses a lock. What could not be deleted is tried again by the next run.',
    details: { object: key, until, mode: found.lockMode?.toLowerCase() },
    cause,
  })
}
