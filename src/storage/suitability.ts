/** Whether a repository is safe in a place, by what was found when it was tried. */
import { RetakeError } from '../base/errors.ts'
import type { ObjectStore } from './object-store.ts'
import type { StorageProbe } from './storage-probe.ts'

/** Why no repository may be made here, as an error with the way out; undefined when it may. */
export function whyUnsuitable(probe: StorageProbe, url: string): RetakeError | undefined {
  if (!probe.refusesSecondCreate) {
    const versions = probe.keepsVersions ? ' in a bucket that keeps versions' : ''
    return unsupported(
      `${url} overwrites: it did not refuse a second write to the same name${versions} (If-None-Match: *). Two processes could destroy each other's data there.`,
      probe.keepsVersions
        ? 'Use a storage that looks at If-None-Match in such buckets too (Ceph RGW 16 does not), a bucket without versions and Object Lock, or write create=claim into the address (see docs/buckets.md).'
        : 'Use a storage that looks at If-None-Match (Amazon S3, MinIO, Cloudflare R2, Ceph RGW), or write create=claim into the address (see docs/buckets.md).',
    )
  }
  if (!probe.listsWhatWasWritten || !probe.deletes) {
    return unsupported(
      `${url} shows old listings or deleted objects: what was just written or deleted must be seen at once.`,
      'Use a storage with strong consistency, and no cache in front of it.',
    )
  }
  if (!probe.readsRanges) {
    return unsupported(`${url} does not read parts of objects (Range).`, 'Use a storage that does.')
  }
  if (probe.objectLock === 'missing') {
    return unsupported(
      `The address ${url} asks for Object Lock, and the bucket has none.`,
      'Make the bucket with it (aws s3api create-bucket --object-lock-enabled-for-bucket …), or take object-lock and lock-days out.',
    )
  }
  return undefined
}

/**
 * Called before anything is put into a place that is new: what overwrites would let two processes destroy each other's data.
 * @throws RetakeError `storage.unsupported`
 */
export async function assertSuitable(store: Pick<ObjectStore, 'url' | 'probe'>): Promise<void> {
  const probe = await store.probe?.()
  const error = probe && whyUnsuitable(probe, store.url)
  if (error) throw error
}

function unsupported(sentence: string, hint: string): RetakeError {
  return new RetakeError('storage.unsupported', sentence, { hint })
}
