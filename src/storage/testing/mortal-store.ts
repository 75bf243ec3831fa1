/** A store whose process dies: from one call on, every call fails, also those of cleaning up. What was done by then is durable. */
import type { ByteRange, ListOptions, ObjectBody, ObjectInfo, ObjectStore, ObjectWriter } from '../object-store.ts'

export class MortalStore implements ObjectStore {
  readonly #inner: ObjectStore
  readonly #diesAt: number
  readonly #afterwards: boolean
  readonly #die: () => void
  /** Every call that changes something, in order, as `call key`. */
  readonly changes: string[] = []

  /** @param death the number of the change at which it dies, whether that change still happens, and how (default: by throwing) */
  constructor(
    inner: ObjectStore,
    death: { readonly at: number; readonly afterwards: boolean; readonly die?: (() => void) | undefined },
  ) {
    this.#inner = inner
    this.#die = death.die ?? (() => {})
    this.#diesAt = death.at
    this.#afterwards = death.afterwards
  }

  get url(): string {
    return this.#inner.url
  }

  get isDead(): boolean {
    return this.changes.length > this.#diesAt
  }

  get(key: string, range?: ByteRange): Promise<Uint8Array | undefined> {
    return this.#read(() => this.#inner.get(key, range))
  }

  head(key: string): Promise<ObjectInfo | undefined> {
    return this.#read(() => this.#inner.head(key))
  }

  async *list(prefix: string, options?: ListOptions): AsyncGenerator<ObjectInfo> {
    await this.#read(async () => {})
    yield* this.#inner.list(prefix, options)
  }

  create(key: string, body: ObjectBody): Promise<boolean> {
    return this.#change(`create ${key}`, () => this.#inner.create(key, body))
  }

  replace(key: string, body: ObjectBody): Promise<void> {
    return this.#change(`replace ${key}`, () => this.#inner.replace(key, body))
  }

  delete(key: string): Promise<boolean> {
    return this.#change(`delete ${key}`, () => this.#inner.delete(key))
  }

  async openWriter(key: string): Promise<ObjectWriter> {
    const writer = await this.#read(() => this.#inner.openWriter(key))
    return {
      write: (body) => this.#read(() => writer.write(body)),
      commit: () => this.#change(`commit ${key}`, () => writer.commit()),
      [Symbol.asyncDispose]: async () => void (await writer[Symbol.asyncDispose]()),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #end(): never {
    this.#die()
    throw new Error('planned death')
  }

  async #read<T>(action: () => Promise<T>): Promise<T> {
    if (this.isDead) throw new Error('planned death')
    return await action()
  }

  async #change<T>(call: string, action: () => Promise<T>): Promise<T> {
    if (this.isDead) throw new Error('planned death')
    this.changes.push(call)
    if (this.isDead && !this.#afterwards) this.#end()
    const result = await action()
    if (this.isDead) this.#end()
    return result
  }
}
