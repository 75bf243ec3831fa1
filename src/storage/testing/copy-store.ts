import { createMemoryStore } from '../memory-store.ts'
import type { ObjectReader, ObjectStore } from '../object-store.ts'

/** A store in memory with the same objects: cheaper than making them again for each fault. */
export async function copyStore(source: ObjectReader): Promise<ObjectStore> {
  const store = createMemoryStore()
  for await (const { key } of source.list('')) {
    const bytes = await source.get(key)
    if (bytes) await store.create(key, Uint8Array.from(bytes))
  }
  return store
}
