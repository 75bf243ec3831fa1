/** For tests: the segments of an archive one by one, as tests of a few of them compare them. */
import { SegmentRunBuilder } from '../segment-runs.ts'
import type { HeldPartial, WalInventory } from '../wal-archive.ts'
import { type SegmentId, segmentName } from '../wal-layout.ts'

export interface ListedSegment extends SegmentId {
  readonly storedBytes: number
  /** Of a partial one: how much of it is held. */
  readonly validBytes?: number | undefined
}

/** In the order of the archive: a partial one comes after the whole one of the same number. */
export function listSegments({ runs, partials }: Pick<WalInventory, 'runs' | 'partials'>): ListedSegment[] {
  const whole = runs.flatMap(({ timeline, first, storedBytes }) =>
    storedBytes.map((bytes, index): ListedSegment => {
      return { timeline, segment: first + BigInt(index), partial: false, storedBytes: bytes }
    }),
  )
  const ends = partials.map(({ timeline, segment, storedBytes, validBytes }): ListedSegment => {
    return { timeline, segment, partial: true, storedBytes, validBytes }
  })
  return [...whole, ...ends].sort(
    (a, b) => a.timeline - b.timeline || Number(a.segment - b.segment) || Number(a.partial) - Number(b.partial),
  )
}

/** What an inventory says of these segments, which are in the order of the archive. */
export function inventorySegments(
  cluster: string,
  segments: readonly ListedSegment[],
): Pick<WalInventory, 'runs' | 'partials'> {
  const finished = new SegmentRunBuilder()
  const partials: HeldPartial[] = []
  for (const one of segments) {
    const { key } = segmentName(cluster, one)
    const { timeline, segment, storedBytes, validBytes = 0 } = one
    if (one.partial) partials.push({ timeline, segment, key, storedBytes, validBytes })
    else if (!finished.addNext(key, storedBytes)) finished.add(key, one)
  }
  return { runs: finished.runs(), partials }
}
