/** How far copies are from each other, measured by their listings. */

import { COPIES_PREFIX } from '../../storage/mirrored/copy-record.ts'
import type { ObjectReader } from '../../storage/object-store.ts'
import { compareListings } from './listing.ts'

export interface CopyLag {
  /** Objects that the primary has and this copy has not, or not as long. */
  readonly missingObjects: number
  readonly missingBytes: number
  /** Objects that this copy alone has. */
  readonly extraObjects: number
}

/** Leases and readers are no part of it: they come and go. */
export async function measureLag(primary: ObjectReader, copy: ObjectReader): Promise<CopyLag> {
  let missingObjects = 0
  let missingBytes = 0
  let extraObjects = 0
  for await (const { key, left, right } of compareListings(primary, copy, '')) {
    if (key.startsWith(COPIES_PREFIX) || /^clusters\/[^/]+\/(leases|readers)\//.test(key)) continue
    if (left === undefined) extraObjects++
    else if (right === undefined || right.sizeBytes < left.sizeBytes) {
      missingObjects++
      missingBytes += left.sizeBytes - (right?.sizeBytes ?? 0)
    }
  }
  return { missingObjects, missingBytes, extraObjects }
}
