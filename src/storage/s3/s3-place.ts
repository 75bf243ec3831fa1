/** What every part of the S3 store works with: where objects are, how requests are made, what stands in their names. */
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3'
import type { S3Location } from './s3-location.ts'
import type { S3Requests } from './s3-requests.ts'
import { WRITE_MARK } from './s3-writes.ts'

/** How long claims count; see `claimed-put.ts`. */
export interface ClaimLimits {
  /** A holder begins to write no later than this after it began to claim, and its write takes no longer either. */
  readonly freshMs: number
  /** A claim that is so much older than another one belongs to a dead process. */
  readonly deadMs: number
}

export interface S3Place {
  readonly location: S3Location
  readonly url: string
  readonly requests: S3Requests
  readonly claims: ClaimLimits
}

/** The name of an object in the bucket. */
export function fullKey({ location }: S3Place, key: string): string {
  return location.prefix === '' ? key : `${location.prefix}/${key}`
}

export interface FoundObject {
  readonly sizeBytes: number
  readonly mark: string | undefined
  /** Undefined when the bucket keeps no versions. */
  readonly versionId: string | undefined
  /** Undefined when it is not locked, or these credentials may not see it. */
  readonly lockedUntil: Date | undefined
  readonly lockMode: string | undefined
  readonly hasLegalHold: boolean
}

export async function findObject(place: S3Place, key: string): Promise<FoundObject | undefined> {
  const { location, requests } = place
  const outcome = await requests.expect(
    { action: 'Reading', object: key, permission: 's3:GetObject' },
    {
      expected: ['no-object'],
      send: ({ client, signal }) =>
        client.headObject({ Bucket: location.bucket, Key: fullKey(place, key) }, { abortSignal: signal }),
    },
  )
  if ('failed' in outcome) return undefined
  const { value } = outcome
  return {
    sizeBytes: value.ContentLength ?? 0,
    mark: value.Metadata?.[WRITE_MARK],
    versionId: value.VersionId,
    lockedUntil: value.ObjectLockRetainUntilDate,
    lockMode: value.ObjectLockMode,
    hasLegalHold: value.ObjectLockLegalHoldStatus === 'ON',
  }
}

/**
 * All bytes of an answer. Each piece shows that the connection lives; an end before the announced length is an error, because a
 * connection that breaks in the middle looks like an end to HTTP/1.0 and to some proxies.
 */
export async function readBody(answer: GetObjectCommandOutput, alive: () => void): Promise<Buffer> {
  const expected = answer.ContentLength
  const pieces: Uint8Array[] = []
  const whole = expected === undefined ? undefined : Buffer.allocUnsafe(expected)
  let length = 0
  for await (const piece of (answer.Body ?? []) as AsyncIterable<Uint8Array>) {
    alive()
    if (whole === undefined) pieces.push(piece)
    else if (length + piece.length <= whole.length) whole.set(piece, length)
    length += piece.length
  }
  if (expected !== undefined && length !== expected) {
    throw Object.assign(new Error(`the answer ended after ${length} of ${expected} bytes`), {
      code: 'ERR_STREAM_PREMATURE_CLOSE',
    })
  }
  return whole ?? Buffer.concat(pieces, length)
}
