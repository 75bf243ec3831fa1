/** What the archive holds, as the receiver sees it when it starts: how far each timeline reaches, and what is left to tidy up. */

import { isRetakeError, type RetakeError } from '../../base/errors.ts'
import { computeCoverage, type HeldPiece, type HeldWal as WalPieces } from '../../catalog/coverage.ts'
import { type Lsn, parseLsn } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { SegmentSet } from '../../repository/segment-set.ts'
import {
  type DamagedWalObject,
  rangesOfDamage,
  readWalInventory,
  type WalInventory,
} from '../../repository/wal-archive.ts'
import { readTail } from '../../repository/wal-tail.ts'
import type { HeldTimeline } from './resume.ts'

/** A segment of which only a tail is stored. */
export interface OpenTail {
  readonly timeline: number
  readonly segment: bigint
  /** From the start of the segment, without a hole. */
  readonly validBytes: number
}

/** A tail of which acknowledged bytes cannot be read back. */
export interface DamagedTail {
  readonly timeline: number
  readonly segment: bigint
  readonly error: RetakeError
}

export interface HeldWal {
  readonly inventory: WalInventory
  readonly timelines: readonly HeldTimeline[]
  readonly tails: readonly OpenTail[]
  /** Not counted as held: the server, whose slot does not pass an open segment, can send it again. */
  readonly damagedTails: readonly DamagedTail[]
  /**
   * Left as they are (F5), and not counted as held. A damaged range still says where it begins; a damaged position is written
   * anew with the first WAL that is durable; a damaged history stops the receiver where it is on the server's path.
   */
  readonly damagedObjects: readonly DamagedWalObject[]
  /** Tails whose segment is stored as a whole; a crash came between sealing and deleting. */
  readonly obsoleteTails: readonly { readonly timeline: number; readonly segment: bigint }[]
}

export async function loadHeldWal(cluster: ClusterRepository): Promise<HeldWal> {
  const damagedObjects: DamagedWalObject[] = []
  const inventory = await readWalInventory(cluster, { onDamage: (one) => damagedObjects.push(one) })
  const ranges = [...inventory.ranges, ...rangesOfDamage(damagedObjects)]
  const { walSegmentSizeBytes } = cluster.facts
  const complete = new SegmentSet(inventory.runs)
  const pieces: HeldPiece[] = [...inventory.partials]
  const tails: OpenTail[] = []
  const damagedTails: DamagedTail[] = []
  const obsoleteTails: { timeline: number; segment: bigint }[] = []
  for (const { timeline, segment } of uniqueTails(inventory)) {
    if (complete.has(timeline, segment)) {
      obsoleteTails.push({ timeline, segment })
      continue
    }
    try {
      const tail = await readTail(cluster, { timeline, segment })
      const validBytes = tail?.validBytes ?? 0
      tails.push({ timeline, segment, validBytes })
      pieces.push({ timeline, segment, validBytes })
    } catch (error) {
      if (!isRetakeError(error, 'repo.damaged')) throw error
      damagedTails.push({ timeline, segment, error })
    }
  }
  return {
    inventory,
    timelines: heldTimelines({ runs: inventory.runs, pieces, ranges }, walSegmentSizeBytes),
    tails,
    damagedTails,
    damagedObjects,
    obsoleteTails,
  }
}

/**
 * How far each timeline is held without a hole from where its last range begins. What lies behind a hole does not count:
 * the receiver asks for the hole first, and if the server no longer has it, the gap is recorded (R6).
 */
export function heldTimelines(held: WalPieces, walSegmentSizeBytes: number): HeldTimeline[] {
  const { ranges } = held
  const coverage = computeCoverage(held, walSegmentSizeBytes)
  return coverage.flatMap(({ timeline, ranges: covered }) => {
    const begins = ranges.filter((range) => range.timeline === timeline).map((range) => parseLsn(range.beginLsn))
    const beginLsn = begins.length > 0 ? begins.reduce(later) : covered.at(-1)?.beginLsn
    if (beginLsn === undefined) return []
    const range = covered.find((candidate) => candidate.beginLsn <= beginLsn && beginLsn <= candidate.endLsn)
    return [{ timeline, beginLsn, endLsn: range?.endLsn ?? beginLsn }]
  })
}

function later(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b
}

function uniqueTails(inventory: WalInventory): { timeline: number; segment: bigint }[] {
  const tails = new Map(
    inventory.tails.map(({ timeline, segment }) => [nameOf({ timeline, segment }), { timeline, segment }]),
  )
  return [...tails.values()].sort((a, b) => a.timeline - b.timeline || (a.segment < b.segment ? -1 : 1))
}

function nameOf(place: { readonly timeline: number; readonly segment: bigint }): string {
  return `${place.timeline}/${place.segment}`
}
