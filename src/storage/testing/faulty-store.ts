/** A store that fails where a test says so. Every fault that was planned must happen. */
import { assert } from '../../base/errors.ts'
import { bodyPieces } from '../keys.ts'
import type {
  ByteRange,
  DeleteOptions,
  ListOptions,
  ObjectAppender,
  ObjectBody,
  ObjectInfo,
  ObjectStore,
  ObjectWriter,
  StoredVersion,
} from '../object-store.ts'

/** The calls that can fail; those of writers and appenders are counted over all of them. */
export type FaultPoint =
  | 'get'
  | 'head'
  | 'list'
  | 'create'
  | 'openWriter'
  | 'write'
  | 'commit'
  | 'replace'
  | 'delete'
  | 'versions'
  | 'openAppender'
  | 'append'
  | 'sync'

export interface Fault {
  /** Only calls whose key this accepts count. Default: all. */
  readonly matching?: ((key: string) => boolean) | undefined
  /** So many calls go well first. Default 0. */
  readonly after?: number | undefined
  /** Waits before the call. */
  readonly delayMs?: number | undefined
  /** Called before the call; may change the store, abort something, or throw. */
  readonly before?: ((key: string) => void | Promise<void>) | undefined
  /** Of a write or append: so many bytes are written, then it fails with {@link error}. */
  readonly partialBytes?: number | undefined
  /** Thrown instead of the call. */
  readonly error?: unknown
  /** Thrown after the call was made: the caller does not learn that it has happened. */
  readonly errorAfter?: unknown
}

interface PlannedFault extends Fault {
  readonly point: FaultPoint
  left: number
}

export class FaultyStore implements ObjectStore {
  readonly #inner: ObjectStore
  #faults: PlannedFault[] = []
  /** Every call that was made, in order, as `point key`. */
  readonly calls: string[] = []
  readonly openAppender?: (key: string) => Promise<ObjectAppender>

  constructor(inner: ObjectStore, options: { readonly canAppend?: boolean } = {}) {
    this.#inner = inner
    const open = inner.openAppender
    if (open && options.canAppend !== false) this.openAppender = (key) => this.#openAppender(open, key)
  }

  /** The same objects, without faults. */
  get inner(): ObjectStore {
    return this.#inner
  }

  get url(): string {
    return this.#inner.url
  }

  /** Plans one fault; it happens once. Faults of one point happen in the order in which they were planned. */
  plan(point: FaultPoint, fault: Fault): this {
    this.#faults.push({ ...fault, point, left: fault.after ?? 0 })
    return this
  }

  /** @throws Error when a planned fault has not happened: the test then did not test what it says */
  assertAllHit(): void {
    const missed = this.#faults.map(({ point }) => point)
    assert(missed.length === 0, `these planned faults did not happen: ${missed.join(', ')}`)
  }

  get versions(): ((prefix: string) => Promise<readonly StoredVersion[]>) | undefined {
    const versions = this.#inner.versions?.bind(this.#inner)
    return versions && ((prefix) => this.#call('versions', prefix, () => versions(prefix)))
  }

  get(key: string, range?: ByteRange): Promise<Uint8Array | undefined> {
    return this.#call('get', key, () => this.#inner.get(key, range))
  }

  head(key: string): Promise<ObjectInfo | undefined> {
    return this.#call('head', key, () => this.#inner.head(key))
  }

  async *list(prefix: string, options?: ListOptions): AsyncGenerator<ObjectInfo> {
    await this.#call('list', prefix, async () => {})
    yield* this.#inner.list(prefix, options)
  }

  create(key: string, body: ObjectBody): Promise<boolean> {
    return this.#call('create', key, () => this.#inner.create(key, body))
  }

  replace(key: string, body: ObjectBody): Promise<void> {
    return this.#call('replace', key, () => this.#inner.replace(key, body))
  }

  delete(key: string, options?: DeleteOptions): Promise<boolean> {
    return this.#call('delete', key, () => this.#inner.delete(key, options))
  }

  async openWriter(key: string): Promise<ObjectWriter> {
    const writer = await this.#call('openWriter', key, () => this.#inner.openWriter(key))
    return {
      write: (body) =>
        this.#call(
          'write',
          key,
          () => writer.write(body),
          (part) => writer.write(part(body)),
        ),
      commit: () => this.#call('commit', key, () => writer.commit()),
      [Symbol.asyncDispose]: () => Promise.resolve(writer[Symbol.asyncDispose]()),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]()
  }

  async #openAppender(open: (key: string) => Promise<ObjectAppender>, key: string): Promise<ObjectAppender> {
    const appender = await this.#call('openAppender', key, () => open(key))
    return {
      append: (body) =>
        this.#call(
          'append',
          key,
          () => appender.append(body),
          (part) => appender.append(part(body)),
        ),
      sync: () => this.#call('sync', key, () => appender.sync()),
      [Symbol.asyncDispose]: () => Promise.resolve(appender[Symbol.asyncDispose]()),
    }
  }

  async #call<T>(
    point: FaultPoint,
    key: string,
    action: () => Promise<T>,
    partially?: (part: (body: ObjectBody) => ObjectBody) => Promise<void>,
  ): Promise<T> {
    this.calls.push(`${point} ${key}`)
    const fault = this.#take(point, key)
    if (fault === undefined) return await action()
    if (fault.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, fault.delayMs))
    await fault.before?.(key)
    if (fault.partialBytes !== undefined) await partially?.((body) => firstBytes(body, fault.partialBytes ?? 0))
    if (fault.error !== undefined) throw fault.error
    const result = await action()
    if (fault.errorAfter !== undefined) throw fault.errorAfter
    return result
  }

  #take(point: FaultPoint, key: string): PlannedFault | undefined {
    const next = this.#faults.find((fault) => fault.point === point && (fault.matching?.(key) ?? true))
    if (next === undefined) return undefined
    if (next.left > 0) {
      next.left -= 1
      return undefined
    }
    this.#faults = this.#faults.filter((fault) => fault !== next)
    return next
  }
}

function firstBytes(body: ObjectBody, count: number): Uint8Array[] {
  let left = count
  return bodyPieces(body).map((piece) => {
    const part = piece.subarray(0, left)
    left -= part.length
    return part
  })
}
