/** The bytes of one WAL segment, from wherever the archive has the most of it. */
import type { ClusterRepository } from '../repository/repository.ts'
import { readSegment, readSegmentMeta, readTail, type SegmentMeta } from '../repository/wal-archive.ts'

export interface SegmentPlace {
  readonly timeline: number
  readonly segment: bigint
}

export interface SegmentContent {
  readonly bytes: AsyncIterable<Uint8Array>
  readonly validBytes: number
}

/**
 * The whole segment; else the longer of the partial one and the tail; undefined when nothing is held.
 * A receiver may finish the segment meanwhile (whole first, then the tail goes), so the whole one is looked for again.
 * @throws RetakeError `repo.damaged`, also while the bytes are read
 */
export async function openSegment(cluster: ClusterRepository, place: SegmentPlace): Promise<SegmentContent | undefined> {
  return (
    (await openStored(cluster, { ...place, partial: false })) ??
    (await openLongest(cluster, place)) ??
    (await openStored(cluster, { ...place, partial: false }))
  )
}

/** What is known of a finished segment without reading it; undefined for a tail, which must be read. */
export async function readStoredMeta(cluster: ClusterRepository, place: SegmentPlace): Promise<SegmentMeta | undefined> {
  return await readSegmentMeta(cluster, { ...place, partial: false })
}

/** As PostgreSQL wants it: the segment's full size, zeros after what is held. */
export async function* padded(content: SegmentContent, segmentSizeBytes: number): AsyncGenerator<Uint8Array> {
  let length = 0
  for await (const bytes of content.bytes) {
    length += bytes.length
    yield bytes
  }
  const zeros = Buffer.alloc(64 * 1024)
  while (length < segmentSizeBytes) {
    const piece = zeros.subarray(0, Math.min(zeros.length, segmentSizeBytes - length))
    length += piece.length
    yield piece
  }
}

async function openLongest(cluster: ClusterRepository, place: SegmentPlace): Promise<SegmentContent | undefined> {
  const partial = await openStored(cluster, { ...place, partial: true })
  const tail = await readTail(cluster, place)
  if (partial && tail) return tail.validBytes > partial.validBytes ? tail : partial
  return partial ?? (tail && tail.validBytes > 0 ? tail : undefined)
}

async function openStored(
  cluster: ClusterRepository,
  place: SegmentPlace & { readonly partial: boolean },
): Promise<SegmentContent | undefined> {
  const meta = await readSegmentMeta(cluster, place)
  return meta && { bytes: readSegment(cluster, place), validBytes: meta.validBytes }
}
