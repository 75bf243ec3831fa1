/**
 * Writes an object only if its name is free. The storage decides; when it says that the name is taken, a mark in the metadata tells
 * whether by an earlier attempt of ours whose answer was lost.
 */
import type { Readable } from 'node:stream'
import { putClaimed } from './claimed-put.ts'
import { findObject, fullKey, type S3Place } from './s3-place.ts'
import { digestOf, type MarkedWrite, markWrite } from './s3-writes.ts'

/** @returns false when the name was taken */
export async function putIfAbsent(
  place: S3Place,
  object: { readonly key: string; readonly bytes: Uint8Array },
): Promise<boolean> {
  const { key, bytes } = object
  const write = markWrite(place.location, { key, kept: true })
  return await putMarked(place, {
    key,
    write,
    sizeBytes: bytes.length,
    digest: write.needsDigest ? digestOf(bytes) : undefined,
    body: () => bytes,
  })
}

export interface MarkedBody {
  readonly key: string
  readonly write: MarkedWrite
  readonly sizeBytes: number
  /** Content-MD5; needed for a stream, whose bytes are not in the signature. */
  readonly digest: string | undefined
  /** Called for every attempt. */
  readonly body: () => Uint8Array | Readable
}

export async function putMarked(place: S3Place, object: MarkedBody): Promise<boolean> {
  const { key, write } = object
  if (place.location.claims) {
    const put = async (patienceMs: number) => void (await sendObject(place, { ...object, patienceMs, condition: {} }))
    return await putClaimed(place, { key, mark: write.mark, put })
  }
  const outcome = await sendObject(place, { ...object, condition: { IfNoneMatch: '*' } })
  return 'value' in outcome || (await isOurs(place, { key, mark: write.mark }))
}

function sendObject(
  place: S3Place,
  object: MarkedBody & { readonly condition: { readonly IfNoneMatch?: '*' }; readonly patienceMs?: number },
) {
  const { key, write, sizeBytes, patienceMs } = object
  return place.requests.expect(
    { action: 'Writing', object: key, permission: 's3:PutObject', bodyBytes: sizeBytes, patienceMs },
    {
      expected: ['precondition'],
      send: ({ client, signal }) =>
        client.putObject(
          {
            Bucket: place.location.bucket,
            Key: fullKey(place, key),
            Body: object.body(),
            ContentLength: sizeBytes,
            ...object.condition,
            ...(object.digest === undefined ? {} : { ContentMD5: object.digest }),
            ...write.headers,
          },
          { abortSignal: signal },
        ),
    },
  )
}

/** Whether the object under this name is what this very write has put there. */
export async function isOurs(
  place: S3Place,
  written: { readonly key: string; readonly mark: string },
): Promise<boolean> {
  return (await findObject(place, written.key))?.mark === written.mark
}
