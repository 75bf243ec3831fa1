/** Walking the objects of two copies side by side, with memory for one listing step of each. */
import type { ObjectInfo, ObjectReader } from '../../storage/object-store.ts'

export interface Sighting {
  readonly key: string
  /** In the copy that others are compared with. */
  readonly left?: ObjectInfo | undefined
  readonly right?: ObjectInfo | undefined
}

/** Every key below a prefix that either copy has, in byte order. */
export async function* compareListings(
  left: ObjectReader,
  right: ObjectReader,
  prefix: string,
): AsyncGenerator<Sighting> {
  const ours = left.list(prefix)[Symbol.asyncIterator]()
  const theirs = right.list(prefix)[Symbol.asyncIterator]()
  try {
    let [one, other] = await Promise.all([ours.next(), theirs.next()])
    while (!one.done || !other.done) {
      const a = one.done ? undefined : one.value
      const b = other.done ? undefined : other.value
      const key = a === undefined || (b !== undefined && b.key < a.key) ? (b?.key ?? '') : a.key
      yield { key, left: a?.key === key ? a : undefined, right: b?.key === key ? b : undefined }
      const next = await Promise.all([a?.key === key ? ours.next() : one, b?.key === key ? theirs.next() : other])
      ;[one, other] = next
    }
  } finally {
    await Promise.all([ours.return?.(), theirs.return?.()])
  }
}

/** The names directly below a prefix, of either copy, sorted; a folder ends with a slash. One step of listing for each name. */
export async function listChildren(readers: readonly ObjectReader[], prefix: string): Promise<string[]> {
  const names = new Set<string>()
  for (const reader of readers) {
    let startAfter: string | undefined
    for (;;) {
      const key = await firstKey(reader, { prefix, startAfter })
      if (key === undefined) break
      const rest = key.slice(prefix.length)
      const slash = rest.indexOf('/')
      const name = slash < 0 ? rest : rest.slice(0, slash + 1)
      names.add(name)
      // `~` is greater than every character of a key.
      startAfter = slash < 0 ? key : `${prefix}${name}~`
    }
  }
  return [...names].sort()
}

async function firstKey(
  reader: ObjectReader,
  options: { readonly prefix: string; readonly startAfter: string | undefined },
): Promise<string | undefined> {
  for await (const { key } of reader.list(options.prefix, { startAfter: options.startAfter })) return key
  return undefined
}
