/** Putting one copy's object in the place of another's, which is damaged or says the same in other bytes. */
import { copyObject } from '../../storage/mirrored/move-object.ts'
import type { ObjectReader, ObjectStore } from '../../storage/object-store.ts'

const REPLACED_AT_ONCE_BYTES = 16 * 1024 * 1024

/** What is too large for one piece is missing for a moment, and comes again when this is interrupted. */
export async function takeOver(from: ObjectReader, to: ObjectStore, key: string): Promise<boolean> {
  const info = await from.head(key)
  if (info === undefined) return false
  if (info.sizeBytes > REPLACED_AT_ONCE_BYTES) {
    await to.delete(key)
    return await copyObject(from, to, info)
  }
  const bytes = await from.get(key)
  if (bytes === undefined) return false
  await to.replace(key, bytes)
  return true
}
