/** Everything the archive holds of the WAL of one cluster, as one inventory; and the way in to all of its parts. */
import { parseTimelineHistory, type TimelineHistory } from '../postgres/timeline.ts'
import type { ClusterRepository } from './cluster.ts'
import { damaged } from './container.ts'
import { parseWalKey, type SegmentId, type TailId, walPrefix } from './wal-layout.ts'
import { readHistory, readPosition, readRange, type WalPosition, type WalRange } from './wal-records.ts'
import { readSegmentMeta } from './wal-segments.ts'

export interface HeldSegment extends SegmentId {
  readonly key: string
  readonly storedBytes: number
  /** The size of a segment; of a partial one, how much of it is held. */
  readonly validBytes: number
}

export interface HeldTailPart extends TailId {
  readonly offsetBytes: number
  readonly key: string
}

export interface WalInventory {
  /** In the order of timeline and segment. */
  readonly segments: readonly HeldSegment[]
  readonly tails: readonly HeldTailPart[]
  readonly ranges: readonly WalRange[]
  readonly histories: readonly TimelineHistory[]
  readonly position?: WalPosition | undefined
}

/**
 * Lists the archive; reads the small objects, and of segments only what their names say. While a receiver is writing it is
 * a consistent picture of some moment: the position first, then tails, then what tails turn into.
 * @throws RetakeError `repo.damaged`
 */
export async function readWalInventory(cluster: ClusterRepository): Promise<WalInventory> {
  const { name, walSegmentSizeBytes } = cluster.facts
  const position = await readPosition(cluster)
  const tails = await listTails(cluster)
  const segments: HeldSegment[] = []
  const ranges: WalRange[] = []
  const histories: TimelineHistory[] = []
  for await (const { key, sizeBytes } of cluster.store.list(walPrefix(name))) {
    const parsed = parseWalKey(name, key)
    if (parsed?.type === 'segment') {
      const { timeline, segment, partial } = parsed
      const meta = partial ? await readSegmentMeta(cluster, parsed) : undefined
      const validBytes = meta?.validBytes ?? walSegmentSizeBytes
      segments.push({ timeline, segment, partial, key, storedBytes: sizeBytes, validBytes })
    } else if (parsed?.type === 'range') {
      const range = await readRange(cluster, key)
      if (range) ranges.push(range)
    } else if (parsed?.type === 'history') {
      const history = await readTimelineHistory(cluster, { timeline: parsed.timeline, key })
      if (history) histories.push(history)
    }
  }
  return { segments, tails, ranges, histories, position }
}

/** The parts of all tails, in the order of timeline, segment and offset. */
async function listTails(cluster: ClusterRepository): Promise<HeldTailPart[]> {
  const { name } = cluster.facts
  const tails: HeldTailPart[] = []
  for (const prefix of await listTimelinePrefixes(cluster)) {
    for await (const { key } of cluster.store.list(`${prefix}tail/`)) {
      const parsed = parseWalKey(name, key)
      if (parsed?.type !== 'tail') continue
      tails.push({ timeline: parsed.timeline, segment: parsed.segment, offsetBytes: parsed.offsetBytes, key })
    }
  }
  return tails
}

/** `…/wal/<timeline>/` of every timeline, by one short listing each. */
async function listTimelinePrefixes(cluster: ClusterRepository): Promise<string[]> {
  const prefix = walPrefix(cluster.facts.name)
  const prefixes: string[] = []
  let startAfter: string | undefined
  for (;;) {
    let found: string | undefined
    for await (const { key } of cluster.store.list(prefix, { startAfter })) {
      found = /^[0-9A-F]{8}\//.exec(key.slice(prefix.length))?.[0]
      break
    }
    // Timelines are upper-case numbers and sort before `history` and `position`.
    if (found === undefined) return prefixes
    prefixes.push(prefix + found)
    startAfter = `${prefix}${found}~`
  }
}

async function readTimelineHistory(
  cluster: ClusterRepository,
  object: { readonly timeline: number; readonly key: string },
): Promise<TimelineHistory | undefined> {
  const content = await readHistory(cluster, object.timeline)
  if (content === undefined) return undefined
  try {
    return parseTimelineHistory(object.timeline, Buffer.from(content).toString('utf8'))
  } catch (cause) {
    throw damaged(object, 'its content is not a timeline history', cause)
  }
}
