/** One copy alone as a store, with its time limits; for bringing copies together, which nobody else may do by hand. */
import type { ObjectStore, ObjectWriter } from '../object-store.ts'
import type { Copy } from './copy.ts'
import { readerOf } from './mirrored-reading.ts'

/** The copy belongs to its set, which closes it. */
export function storeOfCopy(copy: Copy): ObjectStore {
  return {
    ...readerOf(copy),
    url: copy.url,
    create: (key, body) => copy.move((store) => store.create(key, body)),
    replace: (key, body) => copy.move((store) => store.replace(key, body)),
    delete: (key) => copy.move((store) => store.delete(key)),
    async openWriter(key): Promise<ObjectWriter> {
      const writer = await copy.move((store) => store.openWriter(key))
      return {
        write: (body) => copy.move(() => writer.write(body)),
        commit: () => copy.move(() => writer.commit()),
        [Symbol.asyncDispose]: () => copy.ask(async () => writer[Symbol.asyncDispose]()).catch(() => {}),
      }
    },
    async [Symbol.asyncDispose]() {},
  }
}
