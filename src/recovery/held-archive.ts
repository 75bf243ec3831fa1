/** Everything that is held of a cluster's WAL, measured: whole segments by name, partial ones and tails by their valid length. */
import { isRetakeError, type RetakeError } from '../base/errors.ts'
import { computeCoverage, type HeldPiece, type TimelineCoverage } from '../catalog/coverage.ts'
import { segmentStart } from '../postgres/lsn.ts'
import type { TimelineHistory } from '../postgres/timeline.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { readSettledTail } from '../repository/settled-tail.ts'
import {
  type DamagedWalObject,
  rangesOfDamage,
  readWalInventory,
  type WalInventory,
} from '../repository/wal-archive.ts'
import { type TailId, tailPrefix } from '../repository/wal-layout.ts'
import type { WalPosition } from '../repository/wal-records.ts'

export interface ArchiveDamage {
  /** The key, or for a tail what the keys of its parts begin with. */
  readonly object: string
  readonly what: 'tail' | DamagedWalObject['what']['type']
  /** Of everything but the position. */
  readonly timeline?: number | undefined
  /** Of a tail or a partial segment. */
  readonly segment?: bigint | undefined
  readonly error: RetakeError
}

export interface HeldArchive {
  /** What all the rest was made from. */
  readonly inventory: WalInventory
  readonly coverage: readonly TimelineCoverage[]
  readonly histories: readonly TimelineHistory[]
  readonly position: WalPosition | undefined
  /** What cannot be read; it counts as not held, and stops a restore that would need it. */
  readonly damage: readonly ArchiveDamage[]
  /** Whether anything of this segment is held: whole, partial, or a tail. */
  readonly holds: (timeline: number, segment: bigint) => boolean
}

/**
 * Lists the archive and measures its ends. A finished segment counts by its name alone; its bytes prove themselves when read.
 * A damaged object costs what it is about, not every restore, so it is noted, not thrown.
 */
export async function readHeldArchive(cluster: ClusterRepository): Promise<HeldArchive> {
  const damagedObjects: DamagedWalObject[] = []
  const inventory = await readWalInventory(cluster, { onDamage: (one) => damagedObjects.push(one) })
  const { walSegmentSizeBytes } = cluster.facts
  const damage = damagedObjects.map(noteOf)
  const pieces: HeldPiece[] = [...inventory.partials]
  const tails = new Map(
    inventory.tails.map(({ timeline, segment }) => [pieceKey(timeline, segment), { timeline, segment }]),
  )
  for (const place of tails.values()) {
    const piece = await measureTail(cluster, place, damage)
    if (piece) pieces.push(piece)
  }
  const ranges = [...inventory.ranges, ...rangesOfDamage(damagedObjects)]
  const coverage = computeCoverage({ ...inventory, pieces, ranges }, walSegmentSizeBytes)
  return {
    inventory,
    coverage,
    histories: inventory.histories,
    damage,
    position: inventory.position,
    holds: (timeline, segment) => {
      const begin = segmentStart(segment, walSegmentSizeBytes)
      const end = segmentStart(segment + 1n, walSegmentSizeBytes)
      const own = coverage.find((one) => one.timeline === timeline)
      return own?.ranges.some((range) => range.beginLsn < end && begin < range.endLsn) ?? false
    },
  }
}

/** Timelines whose history file is stored, readable or not: their numbers are taken. */
export function takenTimelines(held: HeldArchive): number[] {
  const damaged = held.damage.flatMap(({ what, timeline }) => (what === 'history' && timeline ? [timeline] : []))
  return [...new Set([...held.histories.map(({ timeline }) => timeline), ...damaged])].sort((a, b) => a - b)
}

/** The damage of a timeline's history file, if that is why it is not known. */
export function damagedHistory(held: HeldArchive, timeline: number): RetakeError | undefined {
  return held.damage.find((one) => one.what === 'history' && one.timeline === timeline)?.error
}

async function measureTail(
  cluster: ClusterRepository,
  place: TailId,
  damage: ArchiveDamage[],
): Promise<HeldPiece | undefined> {
  try {
    const settled = await readSettledTail(cluster, place, ({ beginBytes, validBytes }) => ({ beginBytes, validBytes }))
    if (settled === undefined) return undefined
    if (settled.kind === 'stored') return { ...place, validBytes: settled.validBytes }
    const { beginBytes, validBytes } = settled.value
    return validBytes > beginBytes ? { ...place, beginBytes, validBytes } : undefined
  } catch (error) {
    if (!isRetakeError(error, 'repo.damaged')) throw error
    damage.push({ object: tailPrefix(cluster.facts.name, place), what: 'tail', ...place, error })
    return undefined
  }
}

function noteOf({ key, what, error }: DamagedWalObject): ArchiveDamage {
  return {
    object: key,
    what: what.type,
    ...('timeline' in what ? { timeline: what.timeline } : {}),
    ...('segment' in what ? { segment: what.segment } : {}),
    error,
  }
}

function pieceKey(timeline: number, segment: bigint): string {
  return `${timeline}/${segment}`
}
