/** Everything that is held of a cluster's WAL, measured: whole segments by name, partial ones and tails by their valid length. */
import { isRetakeError, type RetakeError } from '../base/errors.ts'
import { computeCoverage, type HeldPiece, type TimelineCoverage } from '../catalog/coverage.ts'
import type { TimelineHistory } from '../postgres/timeline.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { readWalInventory } from '../repository/wal-archive.ts'
import type { TailId } from '../repository/wal-layout.ts'
import type { WalPosition } from '../repository/wal-records.ts'
import { readTail, type Tail } from '../repository/wal-tail.ts'

export interface ArchiveDamage {
  readonly timeline: number
  readonly segment: bigint
  readonly error: RetakeError
}

export interface HeldArchive {
  readonly coverage: readonly TimelineCoverage[]
  readonly histories: readonly TimelineHistory[]
  readonly position: WalPosition | undefined
  /** Ends of the archive that cannot be read; they count as not held, and stop a restore that would need them. */
  readonly damage: readonly ArchiveDamage[]
  /** Whether anything of this segment is held: whole, partial, or a tail. */
  readonly holds: (timeline: number, segment: bigint) => boolean
}

/**
 * Lists the archive and measures its ends. A finished segment counts by its name alone; its bytes prove themselves when read.
 * A damaged tail costs the last moments only, so it is noted, not thrown.
 * @throws RetakeError `repo.damaged` when a range, a partial segment or a history file cannot be read
 */
export async function readHeldArchive(cluster: ClusterRepository): Promise<HeldArchive> {
  const inventory = await readWalInventory(cluster)
  const { walSegmentSizeBytes } = cluster.facts
  const pieces: HeldPiece[] = []
  const damage: ArchiveDamage[] = []
  for (const { timeline, segment, validBytes } of inventory.segments) pieces.push({ timeline, segment, validBytes })
  const tails = new Map(
    inventory.tails.map(({ timeline, segment }) => [pieceKey(timeline, segment), { timeline, segment }]),
  )
  for (const place of tails.values()) {
    const tail = await readOrNote(cluster, place, damage)
    if (tail && tail.validBytes > tail.beginBytes)
      pieces.push({ ...place, beginBytes: tail.beginBytes, validBytes: tail.validBytes })
  }
  const names = new Set(
    pieces.filter((piece) => piece.validBytes > 0).map((one) => pieceKey(one.timeline, one.segment)),
  )
  return {
    coverage: computeCoverage({ pieces, ranges: inventory.ranges, position: inventory.position }, walSegmentSizeBytes),
    histories: inventory.histories,
    damage,
    position: inventory.position,
    holds: (timeline, segment) => names.has(pieceKey(timeline, segment)),
  }
}

async function readOrNote(
  cluster: ClusterRepository,
  place: TailId,
  damage: ArchiveDamage[],
): Promise<Tail | undefined> {
  try {
    return await readTail(cluster, place)
  } catch (error) {
    if (!isRetakeError(error, 'repo.damaged')) throw error
    damage.push({ ...place, error })
    return undefined
  }
}

function pieceKey(timeline: number, segment: bigint): string {
  return `${timeline}/${segment}`
}
