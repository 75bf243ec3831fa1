/** A store that writes down in which order objects become visible, and can fail on request. */
import type { ObjectStore } from '../../../storage/object-store.ts'

/** What a caller asked of the storage; `sync` and `append` are about a growing object. */
export type StoreAction =
  | 'get'
  | 'head'
  | 'list'
  | 'create'
  | 'open'
  | 'write'
  | 'commit'
  | 'replace'
  | 'delete'
  | 'append'
  | 'sync'

export interface StoreHooks {
  /** Called before each action; what it throws is what the storage answers. */
  readonly before?: (action: StoreAction, key: string) => void
  /** Called when an object has become visible, or durable once more. */
  readonly after?: (action: StoreAction, key: string) => void
}

/** Wraps a store; `store.url` stays, so worker threads would pass the hooks by. */
export function hookedStore(store: ObjectStore, hooks: StoreHooks): ObjectStore {
  const around = async <T>(action: StoreAction, key: string, work: () => Promise<T>): Promise<T> => {
    hooks.before?.(action, key)
    const result = await work()
    hooks.after?.(action, key)
    return result
  }
  const openAppender = store.openAppender
  return {
    url: store.url,
    get: (key, range) => around('get', key, () => store.get(key, range)),
    head: (key) => around('head', key, () => store.head(key)),
    async *list(prefix, options) {
      hooks.before?.('list', prefix)
      yield* store.list(prefix, options)
    },
    create: (key, body) => around('create', key, () => store.create(key, body)),
    replace: (key, body) => around('replace', key, () => store.replace(key, body)),
    delete: (key) => around('delete', key, () => store.delete(key)),
    openWriter: (key) =>
      around('open', key, async () => {
        const writer = await store.openWriter(key)
        return {
          write: (body) => around('write', key, () => writer.write(body)),
          commit: () => around('commit', key, () => writer.commit()),
          [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
        }
      }),
    ...(openAppender && {
      openAppender: (key: string) =>
        around('open', key, async () => {
          const appender = await openAppender(key)
          return {
            append: (body) => around('append', key, () => appender.append(body)),
            sync: () => around('sync', key, () => appender.sync()),
            [Symbol.asyncDispose]: () => appender[Symbol.asyncDispose](),
          }
        }),
    }),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}
