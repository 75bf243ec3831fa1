/** Reads the WAL archive back for tests. */
import { type Lsn, segmentStart } from '../../../postgres/lsn.ts'
import type { ClusterRepository } from '../../../repository/cluster.ts'
import { readSettledTail } from '../../../repository/settled-tail.ts'
import { listSegments } from '../../../repository/testing/segments.ts'
import { readWalInventory } from '../../../repository/wal-archive.ts'
import { readSegment } from '../../../repository/wal-segments.ts'

export interface ArchivedSegment {
  readonly timeline: number
  readonly segment: bigint
  readonly form: 'full' | 'partial' | 'tail'
  readonly bytes: Buffer
}

/** Every segment with its bytes, in order; a tail also when its segment is stored. May run beside a receiver. */
export async function readArchive(cluster: ClusterRepository): Promise<ArchivedSegment[]> {
  // Damage is for the test to judge; what can be read is read.
  const inventory = await readWalInventory(cluster, { onDamage: () => {} })
  const stored = listSegments(inventory).map(({ timeline, segment, partial }) => ({ timeline, segment, partial }))
  const segments: ArchivedSegment[] = []
  const seen = new Set<string>()
  for (const place of inventory.tails.map(({ timeline, segment }) => ({ timeline, segment }))) {
    if (seen.has(`${place.timeline}/${place.segment}`)) continue
    seen.add(`${place.timeline}/${place.segment}`)
    const tail = await readSettledTail(cluster, place, ({ bytes }) => collect(bytes))
    if (tail?.kind === 'tail') segments.push({ ...place, form: 'tail', bytes: tail.value })
    const id = tail?.kind === 'stored' ? tail.id : undefined
    if (id && !stored.some((one) => one.segment === id.segment && one.timeline === id.timeline)) stored.push(id)
  }
  for (const { timeline, segment, partial } of stored) {
    const bytes = await collect(readSegment(cluster, { timeline, segment, partial }))
    segments.push({ timeline, segment, form: partial ? 'partial' : 'full', bytes })
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
