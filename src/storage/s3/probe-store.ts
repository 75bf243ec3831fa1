import { randomId } from '../../base/ids.ts'
import type { StorageProbe } from '../storage-probe.ts'
import { PROBE_PREFIX, probeCompletion } from './probe-completion.ts'
import { findObject, fullKey, type S3Place } from './s3-place.ts'
import { putIfAbsent } from './s3-put.ts'
import { deleteObject } from './s3-versions.ts'

/** Tries everything that a repository relies on, with objects of its own that are gone afterwards. */
export async function probeStore(place: S3Place): Promise<StorageProbe> {
  const key = `${PROBE_PREFIX}${randomId(16)}`
  const objectLock = await probeLock(place)
  await putIfAbsent(place, { key, bytes: Buffer.from('0123456789') })
  try {
    const found = await findObject(place, key)
    const second = await putIfAbsent(place, { key, bytes: Buffer.from('second') })
    const listsWhatWasWritten = await isListed(place, key)
    const readsRanges = second || (await readsRange(place, key))
    const isSpooled = place.location.claims || (await probeCompletion(place)) === 'ignored'
    await deleteObject(place, key)
    return {
      refusesSecondCreate: !second,
      listsWhatWasWritten,
      readsRanges,
      deletes: !(await isListed(place, key)) && (await findObject(place, key)) === undefined,
      largeObjects: isSpooled ? 'spool' : 'multipart',
      keepsVersions: found?.versionId !== undefined,
      objectLock,
    }
  } finally {
    await deleteObject(place, key)
  }
}

async function isListed(place: S3Place, key: string): Promise<boolean> {
  const { location, requests } = place
  const page = await requests.run(
    { action: 'Listing', object: PROBE_PREFIX, permission: 's3:ListBucket' },
    ({ client, signal }) =>
      client.listObjectsV2({ Bucket: location.bucket, Prefix: fullKey(place, key) }, { abortSignal: signal }),
  )
  return page.Contents?.some(({ Key }) => Key === fullKey(place, key)) ?? false
}

async function readsRange(place: S3Place, key: string): Promise<boolean> {
  const { location, requests } = place
  const answer = await requests.run(
    { action: 'Reading', object: key, permission: 's3:GetObject' },
    async ({ client, signal }) => {
      const { Body, ContentRange } = await client.getObject(
        { Bucket: location.bucket, Key: fullKey(place, key), Range: 'bytes=3-5' },
        { abortSignal: signal },
      )
      return { text: await Body?.transformToString(), range: ContentRange }
    },
  )
  return answer.text === '345' && answer.range !== undefined
}

async function probeLock(place: S3Place): Promise<StorageProbe['objectLock']> {
  const { location, requests } = place
  if (location.objectLock === undefined) return 'not asked for'
  const outcome = await requests.expect(
    { action: 'Reading', object: 'the lock of the bucket', permission: 's3:GetBucketObjectLockConfiguration' },
    {
      expected: ['no-object', 'rejected'],
      send: ({ client, signal }) =>
        client.getObjectLockConfiguration({ Bucket: location.bucket }, { abortSignal: signal }),
    },
  )
  if ('failed' in outcome) return 'missing'
  return outcome.value.ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled' ? 'enabled' : 'missing'
}
