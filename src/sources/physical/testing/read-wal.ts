/** Reads the WAL archive back for tests. */
import { isRetakeError } from '../../../base/errors.ts'
import { type Lsn, segmentStart } from '../../../postgres/lsn.ts'
import type { ClusterRepository } from '../../../repository/cluster.ts'
import { readWalInventory } from '../../../repository/wal-archive.ts'
import { readSegment } from '../../../repository/wal-segments.ts'
import { readTail } from '../../../repository/wal-tail.ts'

export interface ArchivedSegment {
  readonly timeline: number
  readonly segment: bigint
  readonly form: 'full' | 'partial' | 'tail'
  readonly bytes: Buffer
}

/** Every segment with its bytes, in order; a tail also when its segment is stored. */
export async function readArchive(cluster: ClusterRepository): Promise<ArchivedSegment[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await readOnce(cluster)
    } catch (error) {
      // While a receiver runs, a tail may turn into its segment between two reads.
      if (!isRetakeError(error, 'repo.damaged') || attempt === 3) throw error
    }
  }
}

async function readOnce(cluster: ClusterRepository): Promise<ArchivedSegment[]> {
  const inventory = await readWalInventory(cluster)
  const segments: ArchivedSegment[] = []
  for (const { timeline, segment, partial } of inventory.segments) {
    const bytes = await collect(readSegment(cluster, { timeline, segment, partial }))
    segments.push({ timeline, segment, form: partial ? 'partial' : 'full', bytes })
  }
  const seen = new Set<string>()
  for (const { timeline, segment } of inventory.tails) {
    if (seen.has(`${timeline}/${segment}`)) continue
    seen.add(`${timeline}/${segment}`)
    const tail = await readTail(cluster, { timeline, segment })
    if (tail) segments.push({ timeline, segment, form: 'tail', bytes: await collect(tail.bytes) })
  }
  return segments.sort((a, b) => a.timeline - b.timeline || Number(a.segment - b.segment))
}

/** Where the held bytes of a timeline end, from its newest segment. */
export function archiveEnd(
  segments: readonly ArchivedSegment[],
  options: { timeline: number; segmentSizeBytes: number },
): Lsn {
  const own = segments.filter(({ timeline }) => timeline === options.timeline)
  const ends = own.map(({ segment, bytes }) => segmentStart(segment, options.segmentSizeBytes) + BigInt(bytes.length))
  return ends.reduce((a, b) => (a > b ? a : b), 0n) as Lsn
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const collected: Uint8Array[] = []
  for await (const piece of pieces) collected.push(Uint8Array.from(piece))
  return Buffer.concat(collected)
}
