/** The headers that every write of an object carries, and how a write whose answer was lost is recognised afterwards. */
import { createHash, type Hash } from 'node:crypto'
import { randomId } from '../../base/ids.ts'
import { isRetainedKey } from './retained-keys.ts'
import type { S3Location } from './s3-location.ts'

/** Of the object's metadata: a random word per write, so that who finds an object knows whether it is his own. */
export const WRITE_MARK = 'retake-write'
const DAY_MS = 24 * 60 * 60 * 1000

export interface WriteHeaders {
  readonly Metadata: Record<string, string>
  readonly ServerSideEncryption?: 'AES256' | 'aws:kms'
  readonly SSEKMSKeyId?: string
  readonly StorageClass?: never
  readonly ObjectLockMode?: 'COMPLIANCE' | 'GOVERNANCE'
  readonly ObjectLockRetainUntilDate?: Date
}

export interface MarkedWrite {
  readonly mark: string
  readonly headers: WriteHeaders
  /** The service asks for a digest of the body beside its signature (Object Lock). */
  readonly needsDigest: boolean
}

/** @param kept the object is one that stays, if its name is one of those that do */
export function markWrite(location: S3Location, write: { readonly key: string; readonly kept: boolean }): MarkedWrite {
  const mark = randomId(16)
  const lock = write.kept && isRetainedKey(write.key) ? location.objectLock : undefined
  return {
    mark,
    needsDigest: lock !== undefined,
    headers: {
      Metadata: { [WRITE_MARK]: mark },
      ...(location.sse === undefined ? {} : { ServerSideEncryption: location.sse }),
      ...(location.sseKeyId === undefined ? {} : { SSEKMSKeyId: location.sseKeyId }),
      // Whatever class the storage knows: it is the storage that refuses an unknown one.
      ...(location.storageClass === undefined ? {} : { StorageClass: location.storageClass as never }),
      ...(lock === undefined
        ? {}
        : {
            ObjectLockMode: lock.mode === 'compliance' ? 'COMPLIANCE' : 'GOVERNANCE',
            ObjectLockRetainUntilDate: new Date(Date.now() + lock.days * DAY_MS),
          }),
    },
  }
}

/** What HTTP calls Content-MD5; against accidents on the way, not against forgery. */
export function digestOf(bytes: Uint8Array): string {
  return newDigest().update(bytes).digest('base64')
}

export function newDigest(): Hash {
  return createHash('md5')
}
