/** Everything the archive holds of the WAL of one cluster, as one inventory; and the way in to all of its parts. */
import { isRetakeError, type RetakeError } from '../base/errors.ts'
import { formatLsn } from '../postgres/lsn.ts'
import { parseTimelineHistory, type TimelineHistory } from '../postgres/timeline.ts'
import type { ClusterRepository } from './cluster.ts'
import { readCondemned } from './condemned.ts'
import { damaged } from './container.ts'
import { runsOutside, type SegmentRun, SegmentRunBuilder } from './segment-runs.ts'
import { parseWalKey, positionKey, type TailId, type WalKey, walPrefix } from './wal-layout.ts'
import { readHistory, readPosition, readRange, type WalPosition, type WalRange } from './wal-records.ts'
import { readSegmentMeta } from './wal-segments.ts'

/** The last, incomplete segment of a timeline that was left. */
export interface HeldPartial extends TailId {
  readonly key: string
  readonly storedBytes: number
  /** How much of it is held. */
  readonly validBytes: number
}

export interface HeldTailPart extends TailId {
  readonly offsetBytes: number
  readonly key: string
}

export interface WalInventory {
  /** The finished segments, in the order of timeline and segment. */
  readonly runs: readonly SegmentRun[]
  /** In the same order. There may be a whole segment of the same number. */
  readonly partials: readonly HeldPartial[]
  readonly tails: readonly HeldTailPart[]
  readonly ranges: readonly WalRange[]
  readonly histories: readonly TimelineHistory[]
  readonly position?: WalPosition | undefined
}

/** An object of the archive that is there and cannot be read; its name still says what it is about. */
export interface DamagedWalObject {
  readonly key: string
  readonly what: Exclude<WalKey, { readonly type: 'tail' }>
  readonly error: RetakeError
}

export interface WalInventoryOptions {
  /** Told of every object that is damaged; it is then left out of the inventory. Without it, damage is thrown. */
  readonly onDamage?: ((damage: DamagedWalObject) => void) | undefined
}

/**
 * Lists the archive; reads the small objects, and of segments only what their names say. While a receiver is writing it is
 * a consistent picture of some moment: the position first, then tails, then what tails turn into. What is condemned is left out.
 * @throws RetakeError `repo.damaged`, unless damage is collected by `onDamage`
 */
export async function readWalInventory(
  cluster: ClusterRepository,
  options: WalInventoryOptions = {},
): Promise<WalInventory> {
  const { name } = cluster.facts
  const attempt = async <T>(
    object: Omit<DamagedWalObject, 'error'>,
    read: () => Promise<T>,
  ): Promise<T | undefined> => {
    try {
      return await read()
    } catch (error) {
      if (!isRetakeError(error, 'repo.damaged') || !options.onDamage) throw error
      options.onDamage({ ...object, error })
      return undefined
    }
  }
  // Before the archive is listed: a record is dropped only after everything that it names.
  const condemned = await readCondemned(cluster, { onDamage: () => {} })
  const position = await attempt({ key: positionKey(name), what: { type: 'position' } }, () => readPosition(cluster))
  const tails = (await listTails(cluster)).filter(({ key }) => !condemned.holdsWal(key))
  const finished = new SegmentRunBuilder()
  const partials: HeldPartial[] = []
  const ranges: WalRange[] = []
  const histories: TimelineHistory[] = []
  for await (const { key, sizeBytes } of cluster.store.list(walPrefix(name))) {
    if (finished.addNext(key, sizeBytes)) continue
    const parsed = parseWalKey(name, key)
    if (parsed?.type === 'segment' && !parsed.partial) {
      finished.add(key, { ...parsed, storedBytes: sizeBytes })
      continue
    }
    if (condemned.holdsWal(key)) continue
    if (parsed?.type === 'segment') {
      const { timeline, segment } = parsed
      const meta = await attempt({ key, what: parsed }, () => readSegmentMeta(cluster, parsed))
      if (meta) partials.push({ timeline, segment, key, storedBytes: sizeBytes, validBytes: meta.validBytes })
    } else if (parsed?.type === 'range') {
      const range = await attempt({ key, what: parsed }, () => readRange(cluster, key))
      if (range) ranges.push(range)
    } else if (parsed?.type === 'history') {
      const { timeline } = parsed
      const history = await attempt({ key, what: parsed }, () => readTimelineHistory(cluster, { timeline, key }))
      if (history) histories.push(history)
    }
  }
  const runs = runsOutside(finished.runs(), condemned.segments)
  return { runs, partials, tails, ranges, histories, position }
}

/**
 * What remains of damaged ranges: where they begin, which their names say, but not why. Without it WAL from behind a hole
 * would pass for the continuation of what lies before.
 */
export function rangesOfDamage(damage: readonly DamagedWalObject[]): WalRange[] {
  return damage.flatMap(({ what, error }) => {
    if (what.type !== 'range') return []
    const { timeline, begin } = what
    const beginLsn = formatLsn(begin)
    return [{ timeline, beginLsn, reason: 'first-contact' as const, at: '', explanation: error.message }]
  })
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
