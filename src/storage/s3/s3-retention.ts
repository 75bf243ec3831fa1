import { findObject, fullKey, type S3Place } from './s3-place.ts'

/**
 * Keeps an object locked at least until a moment; never shortens.
 * @returns until when it is locked now; undefined when there is no such object
 */
export async function retainObject(place: S3Place, key: string, until: Date): Promise<Date | undefined> {
  const { location, requests } = place
  const found = await findObject(place, key)
  if (found === undefined) return undefined
  if (found.lockedUntil !== undefined && found.lockedUntil >= until) return found.lockedUntil
  const mode =
    location.objectLock?.mode === 'governance' && found.lockMode !== 'COMPLIANCE' ? 'GOVERNANCE' : 'COMPLIANCE'
  await requests.run({ action: 'Writing', object: key, permission: 's3:PutObjectRetention' }, ({ client, signal }) =>
    client.putObjectRetention(
      {
        Bucket: location.bucket,
        Key: fullKey(place, key),
        ...(found.versionId === undefined ? {} : { VersionId: found.versionId }),
        Retention: { Mode: mode, RetainUntilDate: until },
      },
      { abortSignal: signal },
    ),
  )
  return until
}
