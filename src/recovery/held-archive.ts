/** Everything that is held of a cluster's WAL, measured: whole segments by name, partial ones and tails by their valid length. */
import { computeCoverage, type HeldPiece, type TimelineCoverage } from '../catalog/coverage.ts'
import type { TimelineHistory } from '../postgres/timeline.ts'
import type { ClusterRepository } from '../repository/repository.ts'
import { readTail, readWalInventory, type WalPosition } from '../repository/wal-archive.ts'

export interface HeldArchive {
  readonly coverage: readonly TimelineCoverage[]
  readonly histories: readonly TimelineHistory[]
  readonly position: WalPosition | undefined
  /** Whether anything of this segment is held: whole, partial, or a tail. */
  readonly holds: (timeline: number, segment: bigint) => boolean
}

/**
 * Lists the archive and measures its ends. A finished segment counts by its name alone; its bytes prove themselves when read.
 * @throws RetakeError `repo.damaged` when a partial segment, a tail or a history file cannot be read
 */
export async function readHeldArchive(cluster: ClusterRepository): Promise<HeldArchive> {
  const inventory = await readWalInventory(cluster)
  const { walSegmentSizeBytes } = cluster.facts
  const pieces: HeldPiece[] = []
  for (const { timeline, segment, validBytes } of inventory.segments) pieces.push({ timeline, segment, validBytes })
  const tails = new Map(
    inventory.tails.map(({ timeline, segment }) => [pieceKey(timeline, segment), { timeline, segment }]),
  )
  for (const place of tails.values()) {
    const tail = await readTail(cluster, place)
    if (tail && tail.validBytes > tail.beginBytes)
      pieces.push({ ...place, beginBytes: tail.beginBytes, validBytes: tail.validBytes })
  }
  const names = new Set(
    pieces.filter((piece) => piece.validBytes > 0).map((one) => pieceKey(one.timeline, one.segment)),
  )
  return {
    coverage: computeCoverage({ pieces, ranges: inventory.ranges, position: inventory.position }, walSegmentSizeBytes),
    histories: inventory.histories,
    position: inventory.position,
    holds: (timeline, segment) => names.has(pieceKey(timeline, segment)),
  }
}

function pieceKey(timeline: number, segment: bigint): string {
  return `${timeline}/${segment}`
}
