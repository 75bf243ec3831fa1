/** Reading from several copies: the first that answers, an absence only when every current copy has said so. */
import { RetakeError } from '../../base/errors.ts'
import type { ByteRange, ListOptions, ObjectInfo, ObjectReader, ObjectStore } from '../object-store.ts'
import type { Copy } from './copy.ts'
import { isFailureOfPlace } from './copy.ts'
import { IDENTITY_KEY } from './copy-record.ts'
import type { CopySet } from './copy-set.ts'

export class MirroredReading {
  readonly #set: CopySet
  readonly #said = new Set<string>()

  constructor(set: CopySet) {
    this.#set = set
  }

  get(key: string, range?: ByteRange): Promise<Uint8Array | undefined> {
    return this.#first((copy) => copy.move((store) => present(store, store.get(key, range))))
  }

  head(key: string): Promise<ObjectInfo | undefined> {
    return this.#first((copy) => copy.ask((store) => present(store, store.head(key))))
  }

  /** A listing that breaks off goes on in another copy, after the last key; one that ends is believed of a place that is still there. */
  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    let { startAfter } = options
    const failures: unknown[] = []
    for (const copy of await this.#order()) {
      try {
        for await (const info of limited(copy, prefix, startAfter)) {
          startAfter = info.key
          yield info
        }
        await copy.ask((store) => present(store, Promise.resolve(undefined)))
        return
      } catch (error) {
        if (!isFailureOfPlace(error)) throw error
        failures.push(error)
      }
    }
    throw this.#unreachable(failures)
  }

  /** The other copies, for whoever found that what was read is not authentic. */
  alternatives(key: string): readonly ObjectReader[] {
    const { copies } = this.#set
    if (!this.#said.has(key)) {
      this.#said.add(key)
      this.#set.emit({
        kind: 'suspected',
        copy: this.#set.current()[0]?.name ?? '',
        message: `${key} is not as it was written in the copy that was read first; another copy is asked. Repair it: retake repo heal`,
      })
    }
    // Which copy gave the bytes is not known for sure (reads fail over), so all of them are asked again.
    return copies.filter((copy) => !copy.isResting).map((copy) => readerOf(copy))
  }

  async #first<T>(read: (copy: Copy) => Promise<T | undefined>): Promise<T | undefined> {
    const failures: unknown[] = []
    let isAbsent = false
    for (const copy of await this.#order()) {
      // A stale copy may still have what was deleted, or not yet have what exists: it is asked only when nobody else answers.
      if (isAbsent && !this.#isCurrent(copy)) break
      try {
        const found = await read(copy)
        if (found !== undefined) return found
        isAbsent = true
      } catch (error) {
        if (!isFailureOfPlace(error)) throw error
        failures.push(error)
      }
    }
    if (isAbsent) return undefined
    throw this.#unreachable(failures)
  }

  /** Current copies first, those that rest last; then stale ones, which is said when it comes to that. */
  async #order(): Promise<Copy[]> {
    if (!this.#set.isLoaded) await this.#set.load()
    const current = this.#set.current()
    const stale = this.#set.copies.filter((copy) => !current.includes(copy))
    const isAwake = (copy: Copy) => !copy.isResting
    if (!current.some(isAwake)) this.#sayStale(stale.filter(isAwake))
    return [...current.filter(isAwake), ...stale.filter(isAwake), ...current.filter((copy) => copy.isResting)]
  }

  #sayStale(stale: readonly Copy[]): void {
    for (const { name } of stale) {
      if (this.#said.has(`stale ${name}`)) continue
      this.#said.add(`stale ${name}`)
      this.#set.emit({
        kind: 'stale-read',
        copy: name,
        message: `No copy that holds everything can be reached; "${name}" is read, which may be behind.`,
      })
    }
  }

  #isCurrent(copy: Copy): boolean {
    return (this.#set.view().current & copy.bit) !== 0
  }

  #unreachable(failures: readonly unknown[]): unknown {
    if (failures.length === 1) return failures[0]
    return new RetakeError('storage.failed', 'None of the copies of the repository can be read just now.', {
      hint: 'See `retake repo mirrors` for what each of them says.',
      cause: failures[0],
    })
  }
}

/** The copy alone, with its time limits. */
export function readerOf(copy: Copy): ObjectReader {
  return {
    get: (key, range) => copy.move((store) => store.get(key, range)),
    head: (key) => copy.ask((store) => store.head(key)),
    list: (prefix, options) => limited(copy, prefix, options?.startAfter),
  }
}

/** Each step of a listing has the time of a question. */
async function* limited(copy: Copy, prefix: string, startAfter: string | undefined): AsyncGenerator<ObjectInfo> {
  const iterator = await copy.ask(async (store) => store.list(prefix, { startAfter })[Symbol.asyncIterator]())
  try {
    for (;;) {
      const next = await copy.ask(() => iterator.next())
      if (next.done) return
      yield next.value
    }
  } finally {
    // A step that hangs would hold this back for ever.
    void Promise.resolve(iterator.return?.()).catch(() => {})
  }
}

/** A place that lost its identity says nothing by not having an object. */
async function present<T>(store: ObjectStore, reading: Promise<T | undefined>): Promise<T | undefined> {
  const found = await reading
  if (found !== undefined || (await store.head(IDENTITY_KEY))) return found
  throw new RetakeError(
    'storage.failed',
    `${store.url} does not hold the repository any more: ${IDENTITY_KEY} is gone.`,
    {
      hint: 'Check whether its file system is mounted, or its bucket is the right one.',
    },
  )
}
