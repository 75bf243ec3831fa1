import type { ObjectStore } from '../../storage/object-store.ts'

/** Whether a worker thread, which opens the store by its URL, would open another one: a store in memory is its opener's alone. */
export function livesInThisProcess(store: ObjectStore): boolean {
  return store.url.startsWith('memory:')
}
