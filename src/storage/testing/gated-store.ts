/** A store whose place can be cut off, or made to hang, and come back. */
import { RetakeError } from '../../base/errors.ts'
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

export class GatedStore implements ObjectStore {
  /** `down`: every call fails at once. `hanging`: none is ever answered. */
  state: 'up' | 'down' | 'hanging' = 'up'
  /** Calls that were made while it was not up. */
  refused = 0
  readonly openAppender?: (key: string) => Promise<ObjectAppender>
  readonly #inner: ObjectStore

  constructor(inner: ObjectStore) {
    this.#inner = inner
    const open = inner.openAppender
    if (open) this.openAppender = (key) => this.#pass(async () => this.#appender(await open(key)))
  }

  get url(): string {
    return this.#inner.url
  }

  get versions(): ((prefix: string) => Promise<readonly StoredVersion[]>) | undefined {
    const versions = this.#inner.versions?.bind(this.#inner)
    return versions && ((prefix) => this.#pass(() => versions(prefix)))
  }

  get(key: string, range?: ByteRange): Promise<Uint8Array | undefined> {
    return this.#pass(() => this.#inner.get(key, range))
  }

  head(key: string): Promise<ObjectInfo | undefined> {
    return this.#pass(() => this.#inner.head(key))
  }

  async *list(prefix: string, options?: ListOptions): AsyncGenerator<ObjectInfo> {
    for await (const info of this.#inner.list(prefix, options)) yield await this.#pass(async () => info)
    await this.#pass(async () => {})
  }

  create(key: string, body: ObjectBody): Promise<boolean> {
    return this.#pass(() => this.#inner.create(key, body))
  }

  replace(key: string, body: ObjectBody): Promise<void> {
    return this.#pass(() => this.#inner.replace(key, body))
  }

  delete(key: string, options?: DeleteOptions): Promise<boolean> {
    return this.#pass(() => this.#inner.delete(key, options))
  }

  async openWriter(key: string): Promise<ObjectWriter> {
    const writer = await this.#pass(() => this.#inner.openWriter(key))
    return {
      write: (body) => this.#pass(() => writer.write(body)),
      commit: () => this.#pass(() => writer.commit()),
      [Symbol.asyncDispose]: async () => writer[Symbol.asyncDispose](),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]()
  }

  #appender(appender: ObjectAppender): ObjectAppender {
    return {
      append: (body) => this.#pass(() => appender.append(body)),
      sync: () => this.#pass(() => appender.sync()),
      [Symbol.asyncDispose]: async () => appender[Symbol.asyncDispose](),
    }
  }

  async #pass<T>(action: () => Promise<T>): Promise<T> {
    if (this.state === 'up') return await action()
    this.refused++
    if (this.state === 'hanging') return await new Promise<T>(() => {})
    throw new RetakeError('storage.failed', `${this.url} cannot be reached.`)
  }
}
