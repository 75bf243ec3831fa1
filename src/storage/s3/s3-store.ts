/**
 * Objects in an S3-compatible bucket. An object is written by one request that the storage refuses when the name is taken
 * (`If-None-Match: *`); larger ones by a multipart upload whose completion is refused in the same way, or, where the storage does
 * not look at that, by one request from a spool file.
 */
import { RetakeError } from '../../base/errors.ts'
import { assertKeyPrefix, assertObjectKey, bodyPieces, isObjectKey } from '../keys.ts'
import type {
  ByteRange,
  DeleteOptions,
  ListOptions,
  ObjectBody,
  ObjectInfo,
  ObjectStore,
  ObjectWriter,
  StoredVersion,
} from '../object-store.ts'
import type { StorageProbe } from '../storage-probe.ts'
import { LargeWrites } from './large-writes.ts'
import { probeStore } from './probe-store.ts'
import { readVersions } from './read-versions.ts'
import { isRetainedKey } from './retained-keys.ts'
import { type FoundObject, findObject, fullKey, readBody, type S3Place } from './s3-place.ts'
import { putIfAbsent } from './s3-put.ts'
import { retainObject } from './s3-retention.ts'
import { deleteObject, dropOldVersions, KEPT_VERSIONS } from './s3-versions.ts'
import { S3Writer } from './s3-writer.ts'
import { digestOf, markWrite } from './s3-writes.ts'

export class S3Store implements ObjectStore {
  readonly url: string
  readonly #place: S3Place
  readonly #close: () => void
  readonly #large: LargeWrites
  /** The last versions of objects that are replaced, oldest first; they come in handfuls. */
  readonly #versions = new Map<string, readonly string[]>()
  readonly retain?: (key: string, until: Date) => Promise<Date | undefined>
  readonly retainDays: number | undefined

  constructor(place: S3Place, close: () => void) {
    this.url = place.url
    this.#place = place
    this.#close = close
    this.#large = new LargeWrites(place)
    this.retainDays = place.location.objectLock?.days
    if (place.location.objectLock) this.retain = (key, until) => retainObject(place, key, until)
  }

  async get(key: string, range?: ByteRange): Promise<Uint8Array | undefined> {
    assertObjectKey(key)
    // HTTP cannot ask for nothing.
    if (range?.lengthBytes === 0) return (await this.#find(key)) && new Uint8Array(0)
    const outcome = await this.#getRange(key, range && { header: headerOf(range), lengthBytes: range.lengthBytes })
    if (typeof outcome === 'string') return outcome === 'range' ? new Uint8Array(0) : undefined
    const { bytes, contentRange } = outcome
    if (range === undefined) return bytes
    return stretchOf(bytes, { range, contentRange, key, url: this.url })
  }

  readonly getEnd = async (key: string, lengthBytes: number) => {
    assertObjectKey(key)
    const outcome = await this.#getRange(key, { header: `bytes=-${lengthBytes}`, lengthBytes })
    // Of an object without bytes there is no last one.
    if (typeof outcome === 'string')
      return outcome === 'range' ? { sizeBytes: 0, ending: new Uint8Array(0) } : undefined
    return endOf(outcome.bytes, { ...outcome, lengthBytes, key, url: this.url })
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    assertObjectKey(key)
    const found = await this.#find(key)
    return found && { key, sizeBytes: found.sizeBytes }
  }

  /** The bytes, or why there are none. */
  async #getRange(key: string, range?: { readonly header: string; readonly lengthBytes: number }) {
    const { location, requests } = this.#place
    const outcome = await requests.expect(
      { action: 'Reading', object: key, permission: 's3:GetObject', bodyBytes: range?.lengthBytes },
      {
        expected: ['no-object', 'range'],
        send: async ({ client, signal, alive }) => {
          const answer = await client.getObject(
            { Bucket: location.bucket, Key: fullKey(this.#place, key), ...(range ? { Range: range.header } : {}) },
            { abortSignal: signal },
          )
          return { bytes: await readBody(answer, alive), contentRange: answer.ContentRange }
        },
      },
    )
    return 'failed' in outcome ? outcome.failed : outcome.value
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    assertKeyPrefix(prefix)
    const { location, requests } = this.#place
    const rootBytes = fullKey(this.#place, '').length
    let last = options.startAfter ?? ''
    let token: string | undefined
    do {
      const page = await requests.run(
        { action: 'Listing', object: prefix || '/', permission: 's3:ListBucket' },
        ({ client, signal }) =>
          client.listObjectsV2(
            {
              Bucket: location.bucket,
              Prefix: fullKey(this.#place, prefix),
              ...(token === undefined ? {} : { ContinuationToken: token }),
              ...(token === undefined && last !== '' ? { StartAfter: fullKey(this.#place, last) } : {}),
            },
            { abortSignal: signal },
          ),
      )
      for (const { Key = '', Size = 0 } of page.Contents ?? []) {
        const key = Key.slice(rootBytes)
        // What others have put there, such as a console's marks of folders, is none of ours.
        if (!isObjectKey(key)) continue
        if (!Key.startsWith(fullKey(this.#place, prefix)) || key <= last) throw this.#badListing(prefix, Key)
        last = key
        yield { key, sizeBytes: Size }
      }
      if (page.IsTruncated && (page.NextContinuationToken ?? token) === token) throw this.#badListing(prefix, last)
      token = page.IsTruncated ? page.NextContinuationToken : undefined
    } while (token !== undefined)
  }

  async create(key: string, body: ObjectBody): Promise<boolean> {
    assertObjectKey(key)
    return await putIfAbsent(this.#place, { key, bytes: joined(body) })
  }

  async openWriter(key: string): Promise<ObjectWriter> {
    assertObjectKey(key)
    return new S3Writer(this.#place, { key, large: this.#large })
  }

  async replace(key: string, body: ObjectBody): Promise<void> {
    assertObjectKey(key)
    const { location, requests } = this.#place
    const bytes = joined(body)
    // What stays and is sealed anew is locked anew.
    const { headers } = markWrite(location, { key, kept: true })
    const { VersionId } = await requests.run(
      { action: 'Writing', object: key, permission: 's3:PutObject', bodyBytes: bytes.length },
      ({ client, signal }) =>
        client.putObject(
          {
            Bucket: location.bucket,
            Key: fullKey(this.#place, key),
            Body: bytes,
            ContentMD5: digestOf(bytes),
            ...headers,
          },
          { abortSignal: signal },
        ),
    )
    if (VersionId === undefined) return
    const former = this.#versions.get(key)
    const isRetained = isRetainedKey(key)
    const kept = isRetained ? 0 : KEPT_VERSIONS
    const left = await dropOldVersions(this.#place, key, { written: VersionId, former, kept })
    // What stays locked is looked up again each time, so that it goes when its lock is over.
    if (!isRetained) this.#versions.set(key, left)
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<boolean> {
    assertObjectKey(key)
    this.#versions.delete(key)
    return await deleteObject(this.#place, key, options)
  }

  async versions(prefix: string): Promise<readonly StoredVersion[]> {
    assertKeyPrefix(prefix)
    return await readVersions(this.#place, prefix, { list: () => this.list(prefix) })
  }

  readonly probe = (): Promise<StorageProbe> => probeStore(this.#place)

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close()
  }

  #find(key: string): Promise<FoundObject | undefined> {
    return findObject(this.#place, key)
  }

  /** A listing that is out of order or goes round in circles would make objects look missing, or be read twice. */
  #badListing(prefix: string, key: string): RetakeError {
    return new RetakeError(
      'storage.failed',
      `Listing ${prefix || '/'} in ${this.url} failed: the storage's answer is out of order at ${key}.`,
      { retry: 'later', hint: 'Run the command again; if it goes on, this storage does not do what S3 says.' },
    )
  }
}

function headerOf({ offsetBytes, lengthBytes }: ByteRange): string {
  return `bytes=${offsetBytes}-${offsetBytes + lengthBytes - 1}`
}

interface Asked {
  readonly contentRange: string | undefined
  readonly key: string
  readonly url: string
}

/** @throws RetakeError `storage.failed` when the answer is about another stretch than was asked for */
function stretchOf(bytes: Buffer, asked: Asked & { readonly range: ByteRange }): Uint8Array {
  const { offsetBytes, lengthBytes } = asked.range
  // Who does not know ranges sends everything.
  if (asked.contentRange === undefined) return bytes.subarray(offsetBytes, offsetBytes + lengthBytes)
  const begin = /^bytes (\d+)-/.exec(asked.contentRange)?.[1]
  if (Number(begin) === offsetBytes && bytes.length <= lengthBytes) return bytes
  throw otherStretch(asked)
}

/** @throws RetakeError as {@link stretchOf} */
function endOf(
  bytes: Buffer,
  asked: Asked & { readonly lengthBytes: number },
): { readonly sizeBytes: number; readonly ending: Uint8Array } {
  const { contentRange, lengthBytes } = asked
  if (contentRange === undefined)
    return { sizeBytes: bytes.length, ending: bytes.subarray(Math.max(0, bytes.length - lengthBytes)) }
  const [, begin, last, total] = (/^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange) ?? []).map(Number)
  const isEnd = begin !== undefined && last !== undefined && last + 1 === total && last + 1 - begin === bytes.length
  if (isEnd && bytes.length === Math.min(lengthBytes, total)) return { sizeBytes: total, ending: bytes }
  throw otherStretch(asked)
}

function otherStretch({ key, url, contentRange }: Asked): RetakeError {
  return new RetakeError(
    'storage.failed',
    `Reading ${key} in ${url} failed: the storage answered with another stretch (${contentRange}).`,
    { hint: 'Run the command again; if it goes on, look for a proxy or cache in front of the storage.' },
  )
}

/** One piece is sent as it is. */
function joined(body: ObjectBody): Uint8Array {
  const pieces = bodyPieces(body)
  const [only] = pieces
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces)
}
