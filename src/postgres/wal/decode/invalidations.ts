/** Cache invalidation messages (src/include/storage/sinval.h; alike from 15 to 18 but for kinds that were added). */
import type { Invalidations } from './event.ts'
import type { Fields, Unknown } from './fields.ts'

export const INVALIDATION_BYTES = 16
/** `SHAREDINVALRELCACHE_ID`, -2 */
const OF_RELATION = 0xfe

/** The relations among the messages that are at hand. */
export function invalidatedRelations(
  fields: Fields,
  at: number,
  count: number,
): { readonly database: number; readonly oid: number }[] {
  const relations: { readonly database: number; readonly oid: number }[] = []
  for (let index = 0; index < count; index += 1) {
    const message = at + index * INVALIDATION_BYTES
    if (fields.u8(message) !== OF_RELATION) continue
    relations.push({ database: fields.u32(message + 4), oid: fields.u32(message + 8) })
  }
  return relations
}

/** Messages that fill the rest of a record. */
export function readInvalidations(
  fields: Fields,
  at: number,
  { count, initFile }: { readonly count: number; readonly initFile: boolean },
): Invalidations | Unknown {
  if (fields.fullSize !== at + count * INVALIDATION_BYTES) return 'content'
  if (fields.size < fields.fullSize) return 'cut'
  return { count, relations: invalidatedRelations(fields, at, count), initFile }
}
