/** The bytes of one WAL segment, from wherever the archive has the most of it. */
import { isRetakeError } from '../base/errors.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { readFrames } from '../repository/read-frames.ts'
import { readSettledTail } from '../repository/settled-tail.ts'
import { openSegment as openStoredSegment, readSegmentMeta, type SegmentMeta } from '../repository/wal-segments.ts'
import type { Tail } from '../repository/wal-tail.ts'

export interface SegmentPlace {
  readonly timeline: number
  readonly segment: bigint
}

export interface SegmentContent {
  /** Where in the segment the bytes begin; 0 unless WAL is held only from a later position on. */
  readonly beginBytes: number
  /** From `beginBytes` to `validBytes`. */
  readonly bytes: AsyncIterable<Uint8Array>
  readonly validBytes: number
  /** Of a stored segment: the id of all its bytes. Records of a tail prove themselves one by one. */
  readonly contentId?: string | undefined
}

/**
 * The whole segment; else the longer of the partial one and the tail; undefined when nothing is held.
 * A receiver may finish the segment meanwhile (whole first, then the tail goes), so the whole one is looked for again.
 * @throws RetakeError `repo.damaged`, also while the bytes are read
 */
export async function openSegment(
  cluster: ClusterRepository,
  place: SegmentPlace,
): Promise<SegmentContent | undefined> {
  return (
    (await openStored(cluster, { ...place, partial: false })) ??
    (await openLongest(cluster, place)) ??
    (await openStored(cluster, { ...place, partial: false }))
  )
}

/** What is known of a finished segment without reading it; undefined for a tail, which must be read. */
export async function readStoredMeta(
  cluster: ClusterRepository,
  place: SegmentPlace,
): Promise<SegmentMeta | undefined> {
  return await readSegmentMeta(cluster, { ...place, partial: false })
}

/** As PostgreSQL wants it: the segment's full size, zeros where nothing is held. */
export async function* padded(content: SegmentContent, segmentSizeBytes: number): AsyncGenerator<Uint8Array> {
  yield* zeros(content.beginBytes)
  let length = content.beginBytes
  for await (const bytes of content.bytes) {
    length += bytes.length
    yield bytes
  }
  yield* zeros(segmentSizeBytes - length)
}

function* zeros(length: number): Generator<Uint8Array> {
  const block = Buffer.alloc(Math.min(length, 64 * 1024))
  for (let rest = length; rest > 0; rest -= block.length) yield block.subarray(0, Math.min(rest, block.length))
}

async function openLongest(cluster: ClusterRepository, place: SegmentPlace): Promise<SegmentContent | undefined> {
  const partial = await openStored(cluster, { ...place, partial: true }).catch((error: unknown) => {
    if (isRetakeError(error, 'repo.damaged')) return error
    throw error
  })
  const settled = await readSettledTail(cluster, place, (found) => found)
  if (settled?.kind === 'stored') return await openStored(cluster, settled.id)
  const tail = settled && { ...settled.value, bytes: tailBytes(cluster, place, settled.value) }
  // A tail that was kept because the partial segment cannot be read is what holds its bytes.
  if (partial instanceof Error) return tail ?? Promise.reject(partial)
  if (partial && tail) return tail.validBytes > partial.validBytes ? tail : partial
  return partial ?? (tail && tail.validBytes > 0 ? tail : undefined)
}

/** The tail's bytes; when it becomes its finished segment while they are read, the rest comes from there. */
async function* tailBytes(cluster: ClusterRepository, place: SegmentPlace, tail: Tail): AsyncGenerator<Uint8Array> {
  let position = tail.beginBytes
  try {
    for await (const piece of tail.bytes) {
      position += piece.length
      yield piece
    }
  } catch (error) {
    if (!isRetakeError(error, 'repo.damaged')) throw error
    const successor = await findSuccessor(cluster, place)
    if (!successor || successor.beginBytes > position || successor.validBytes < tail.validBytes) throw error
    yield* slice(successor, { fromBytes: position, toBytes: tail.validBytes })
  }
}

async function findSuccessor(cluster: ClusterRepository, place: SegmentPlace): Promise<SegmentContent | undefined> {
  const settled = await readSettledTail(cluster, place, (found) => found)
  return settled?.kind === 'stored' ? await openStored(cluster, settled.id) : settled?.value
}

async function* slice(
  content: SegmentContent,
  range: { readonly fromBytes: number; readonly toBytes: number },
): AsyncGenerator<Uint8Array> {
  let position = content.beginBytes
  for await (const piece of content.bytes) {
    const part = piece.subarray(
      Math.min(piece.length, Math.max(0, range.fromBytes - position)),
      Math.min(piece.length, Math.max(0, range.toBytes - position)),
    )
    if (part.length > 0) yield part
    position += piece.length
    if (position >= range.toBytes) return
  }
}

async function openStored(
  cluster: ClusterRepository,
  place: SegmentPlace & { readonly partial: boolean },
): Promise<SegmentContent | undefined> {
  const opened = await openStoredSegment(cluster, place)
  if (!opened) return undefined
  const { validBytes, contentId } = opened.meta
  return { beginBytes: 0, bytes: readFrames(opened.container), validBytes, contentId }
}
