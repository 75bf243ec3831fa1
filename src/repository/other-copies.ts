/**
 * Reading around damage: where a repository is kept in several places, what does not authenticate is asked for from the other copies. The
 * storage cannot know what is authentic, so this is where it is decided.
 */
import { isRetakeError } from '../base/errors.ts'
import type { ObjectReader } from '../storage/object-store.ts'

/**
 * What `read` makes of an object; of another copy when this one is damaged.
 * @throws RetakeError `repo.damaged` as the first copy has it, when no copy is better
 */
export async function fromAnyCopy<R extends ObjectReader, T>(
  reader: R,
  key: string,
  read: (reader: ObjectReader) => Promise<T>,
): Promise<T> {
  try {
    return await read(reader)
  } catch (error) {
    if (!reader.alternatives || !isRetakeError(error, 'repo.damaged')) throw error
    const found = await firstOf(reader, key, read)
    if (found === undefined) throw error
    return found
  }
}

/** The first copy of which `read` makes something; undefined when none is that good, or there is but one. */
export async function firstOf<T>(
  reader: ObjectReader,
  key: string,
  read: (reader: ObjectReader) => Promise<T>,
): Promise<NonNullable<T> | undefined> {
  const { alternatives } = reader
  for (const copy of alternatives?.(key) ?? []) {
    try {
      // What is read of it later may in turn be better in yet another copy.
      const found = await read({
        get: (name, range) => copy.get(name, range),
        head: (name) => copy.head(name),
        list: (prefix, options) => copy.list(prefix, options),
        ...(alternatives ? { alternatives } : {}),
      })
      if (found !== undefined && found !== null) return found
    } catch (error) {
      if (!isRetakeError(error)) throw error
    }
  }
  return undefined
}
