/**
 * Reading a tail beside a running receiver: between listing it and reading it, it may become its finished segment, or the same
 * bytes in another part. Only what stays as it was and still cannot be read is damage.
 */
import { isRetakeError } from '../base/errors.ts'
import type { ClusterRepository } from './cluster.ts'
import { type SegmentId, segmentName, type TailId, tailPartKey } from './wal-layout.ts'
import { readSegmentMeta } from './wal-segments.ts'
import { listTailParts, readTail, type Tail } from './wal-tail.ts'

export type SettledTail<T> =
  | { readonly kind: 'tail'; readonly value: T }
  /** It was finished meanwhile. */
  | { readonly kind: 'stored'; readonly id: SegmentId; readonly validBytes: number }

/**
 * Calls `read` with the tail, again when the tail was changed meanwhile.
 * @returns undefined when nothing is held of the segment
 * @throws RetakeError `repo.damaged` when acknowledged bytes cannot be read and nothing has taken their place
 */
export async function readSettledTail<T>(
  cluster: ClusterRepository,
  place: TailId,
  read: (tail: Tail) => T | Promise<T>,
): Promise<SettledTail<T> | undefined> {
  for (;;) {
    const before = await partKeys(cluster, place)
    let failure: unknown
    let found: SettledTail<T> | undefined
    try {
      const tail = await readTail(cluster, place)
      if (tail) found = { kind: 'tail', value: await read(tail) }
    } catch (error) {
      if (!isRetakeError(error, 'repo.damaged')) throw error
      failure = error
    }
    // Listed before the segment is looked for: a tail is deleted only after its segment is stored.
    const after = await partKeys(cluster, place)
    // A part that vanishes while it is read ends early, which looks like a torn end: what was found counts only if all stayed.
    if (found && before.every((key) => after.includes(key))) return found
    const stored = await findStored(cluster, { place, partialToo: after.length === 0 })
    if (stored) return stored
    if (found || before.join() !== after.join()) continue
    if (failure) throw failure
    return undefined
  }
}

async function findStored(
  cluster: ClusterRepository,
  options: { readonly place: TailId; readonly partialToo: boolean },
): Promise<(SettledTail<never> & { readonly kind: 'stored' }) | undefined> {
  const { timeline, segment } = options.place
  const { name, walSegmentSizeBytes } = cluster.facts
  const whole = { timeline, segment, partial: false }
  if (await cluster.store.head(segmentName(name, whole).key)) {
    return { kind: 'stored', id: whole, validBytes: walSegmentSizeBytes }
  }
  if (!options.partialToo) return undefined
  const partial = { timeline, segment, partial: true }
  const meta = await readSegmentMeta(cluster, partial)
  return meta && { kind: 'stored', id: partial, validBytes: meta.validBytes }
}

async function partKeys(cluster: ClusterRepository, place: TailId): Promise<string[]> {
  const parts = await listTailParts(cluster, place)
  return parts.map((part) => tailPartKey(cluster.facts.name, part))
}
