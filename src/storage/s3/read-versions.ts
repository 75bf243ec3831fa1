/** What is stored below a prefix, version by version, and what keeps each from being deleted. */
import { isRetakeError } from '../../base/errors.ts'
import { isObjectKey } from '../keys.ts'
import type { ObjectInfo, StoredVersion } from '../object-store.ts'
import { saysNoObjectLock, saysNotImplemented } from './s3-failure.ts'
import { fullKey, type S3Place } from './s3-place.ts'
import { versionPages } from './s3-versions.ts'

interface Stored {
  readonly key: string
  readonly versionId?: string | undefined
}

/**
 * Each version is asked about by requests of their own: a `HEAD` leaves locks out, without a word, for who may not see them.
 * @param options `list`: the objects as they are to be seen, for a storage that knows no versions
 * @throws RetakeError `storage.denied`
 */
export async function readVersions(
  place: S3Place,
  prefix: string,
  options: { readonly list: () => AsyncIterable<ObjectInfo> },
): Promise<StoredVersion[]> {
  const found: StoredVersion[] = []
  const stored: readonly Stored[] = (await listVersions(place, prefix)) ?? (await Array.fromAsync(options.list()))
  for (const version of stored) {
    const { key, versionId } = version
    const lockedUntil = await retentionOf(place, version)
    found.push({ key, versionId, lockedUntil, hasLegalHold: await hasLegalHold(place, version) })
  }
  return found
}

/** Undefined where the storage knows no versions. */
async function listVersions(place: S3Place, prefix: string): Promise<Stored[] | undefined> {
  const rootBytes = fullKey(place, '').length
  const found: Stored[] = []
  try {
    for await (const { Versions } of versionPages(place, prefix)) {
      for (const { Key = '', VersionId } of Versions ?? []) {
        const key = Key.slice(rootBytes)
        if (isObjectKey(key)) found.push({ key, versionId: VersionId })
      }
    }
  } catch (error) {
    if (isRetakeError(error) && saysNotImplemented(error.cause)) return undefined
    throw error
  }
  return found
}

async function retentionOf(place: S3Place, version: Stored): Promise<Date | undefined> {
  const outcome = await place.requests.expect(
    { action: 'Reading', object: version.key, permission: 's3:GetObjectRetention' },
    {
      // No retention, or the object is gone by now.
      expected: ['no-object'],
      send: ({ client, signal }) =>
        whereLocksAre(client.getObjectRetention(nameOf(place, version), { abortSignal: signal })),
    },
  )
  return 'failed' in outcome ? undefined : outcome.value?.Retention?.RetainUntilDate
}

async function hasLegalHold(place: S3Place, version: Stored): Promise<boolean> {
  const outcome = await place.requests.expect(
    { action: 'Reading', object: version.key, permission: 's3:GetObjectLegalHold' },
    {
      expected: ['no-object'],
      send: ({ client, signal }) =>
        whereLocksAre(client.getObjectLegalHold(nameOf(place, version), { abortSignal: signal })),
    },
  )
  return !('failed' in outcome) && outcome.value?.LegalHold?.Status === 'ON'
}

function nameOf(place: S3Place, { key, versionId }: Stored) {
  return {
    Bucket: place.location.bucket,
    Key: fullKey(place, key),
    ...(versionId === undefined ? {} : { VersionId: versionId }),
  }
}

/** Undefined where there is no Object Lock. */
async function whereLocksAre<T>(asking: Promise<T>): Promise<T | undefined> {
  try {
    return await asking
  } catch (error) {
    if (saysNoObjectLock(error)) return undefined
    throw error
  }
}
