/** Reading lists page by page. A cursor says after which item to go on, by the item's own key, so that items may come and go meanwhile. */
import { RetakeError } from '../base/errors.ts'
import type { Page } from './contract/words.ts'
import type { PageRequest } from './services.ts'

/** What tells an item from the others, in the order of the list: such as its time, then its id. */
export type SortKey = readonly string[]

export function encodeCursor(key: SortKey): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url')
}

/** @throws RetakeError `api.invalid` */
export function decodeCursor(cursor: string): SortKey {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if (Array.isArray(key) && key.length > 0 && key.every((part) => typeof part === 'string')) return key
  } catch {
    // Not one of ours, which is said below.
  }
  throw new RetakeError('api.invalid', 'The cursor is not one that this list has given.', {
    hint: 'Begin without a cursor, and pass on `next` of each page as it is.',
  })
}

export function compareSortKeys(left: SortKey, right: SortKey): number {
  for (const [index, part] of left.entries()) {
    const other = right[index]
    if (other === undefined) return 1
    if (part !== other) return part < other ? -1 : 1
  }
  return left.length - right.length
}

export interface TakePageOptions<T> extends PageRequest {
  /** Unique among the items. */
  readonly keyOf: (item: T) => SortKey
  readonly order: 'ascending' | 'descending'
}

/** A page of a list that is in memory, in whatever order. */
export function takePage<T>(items: readonly T[], { cursor, limit, keyOf, order }: TakePageOptions<T>): Page<T> {
  const sign = order === 'ascending' ? 1 : -1
  const after = cursor === undefined ? undefined : decodeCursor(cursor)
  const left = items
    .map((item) => ({ item, key: keyOf(item) }))
    .filter(({ key }) => after === undefined || sign * compareSortKeys(key, after) > 0)
    .sort((one, other) => sign * compareSortKeys(one.key, other.key))
  const taken = left.slice(0, limit)
  const last = taken.at(-1)
  return {
    items: taken.map(({ item }) => item),
    ...(last && left.length > limit ? { next: encodeCursor(last.key) } : {}),
  }
}
