/** A store that behaves as a bucket: nothing can be appended to, and every new object takes its time. */
import type { ObjectStore } from '../../../storage/object-store.ts'

/** @param create waited for before each object is written whole */
export function bucketLike(store: ObjectStore, create: (key: string) => Promise<void>): ObjectStore {
  return {
    url: store.url,
    get: (key, range) => store.get(key, range),
    head: (key) => store.head(key),
    list: (prefix, options) => store.list(prefix, options),
    async create(key, body) {
      await create(key)
      return await store.create(key, body)
    },
    openWriter: (key) => store.openWriter(key),
    replace: (key, body) => store.replace(key, body),
    delete: (key) => store.delete(key),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}
