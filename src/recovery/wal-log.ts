/**
 * The archived WAL along one path of timelines, readable as records. Segments whose stored facts say that they cannot hold
 * what is looked for are not read.
 */
import { throwIfAborted } from '../base/abort.ts'
import { RetakeError } from '../base/errors.ts'
import { releaseMemory } from '../base/memory.ts'
import type { PathCoverage } from '../catalog/choose-backup.ts'
import { coverageOfPath, type LsnRange } from '../catalog/coverage.ts'
import type { TimelinePath } from '../catalog/timeline-path.ts'
import { formatLsn, type Lsn, segmentName, segmentOf, segmentStart } from '../postgres/lsn.ts'
import { isLandmarkRecord, landmarkOf, type WalLandmark } from '../postgres/wal/landmarks.ts'
import { isCoveredByOneRecord } from '../postgres/wal/long-record.ts'
import { WalReader, type WalReaderOptions, type WalVisitor } from '../postgres/wal/reader.ts'
import type { WalRecord } from '../postgres/wal/record.ts'
import { lsnOf } from '../postgres/wal/record-view.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import type { SegmentMeta } from '../repository/wal-segments.ts'
import type { HeldArchive } from './held-archive.ts'
import { openSegment, readStoredMeta, type SegmentContent } from './segment-content.ts'
import { timelinesOf } from './segment-supply.ts'

const MAX_GROUP_SEGMENTS = 8n
/** The lists in a commit of very many subtransactions; what is needed is within. */
const MAX_LANDMARK_BYTES = 64 * 1024 * 1024

export interface WalLog {
  readonly cluster: ClusterRepository
  readonly held: HeldArchive
  readonly path: TimelinePath
  readonly coverage: PathCoverage
  readonly segmentSizeBytes: number
  readonly signal: AbortSignal | undefined
}

export function openWalLog(
  cluster: ClusterRepository,
  options: { readonly held: HeldArchive; readonly path: TimelinePath; readonly signal?: AbortSignal | undefined },
): WalLog {
  const { held, path, signal } = options
  const { walSegmentSizeBytes: segmentSizeBytes } = cluster.facts
  const coverage = coverageOfPath(held.coverage, path, { segmentSizeBytes })
  return { cluster, held, path, coverage, segmentSizeBytes, signal }
}

interface ReadRange extends LsnRange {
  readonly firstSegment: bigint
  readonly lastSegment: bigint
  /** Only these records are given out; all are checked. Default: all. */
  readonly wanted?: ((rmgr: number, info: number) => boolean) | undefined
  readonly keepsBlocks?: WalReaderOptions['keepsBlocks']
}

/**
 * Every record that starts in these segments, in order, whole, and inside the range.
 * @throws RetakeError `wal.damaged` when a record does not decode, or the log ends before the bytes that are held do
 */
export async function* readRecords(log: WalLog, wanted: ReadRange): AsyncGenerator<WalRecord> {
  for await (const { reader, bytes } of readSegments(log, wanted)) {
    for (const record of reader.push(bytes)) {
      // A record that starts in the last segment may end in a later one, which is why reading goes on until here.
      if (segmentOf(record.lsn, log.segmentSizeBytes) > wanted.lastSegment || record.endLsn > wanted.endLsn) return
      if (record.lsn >= wanted.beginLsn) yield record
    }
  }
}

export interface VisitOptions {
  readonly visitor: WalVisitor
  /** As the reader takes it. */
  readonly keepsBlocks?: WalReaderOptions['keepsBlocks']
  /** Awaited between two pieces of the log, so that what was found can be put away. */
  readonly afterPiece?: (() => Promise<void>) | undefined
}

/**
 * Shows the visitor every record that begins and ends inside the range, in order, without an object for each.
 * @returns the end of the last one
 * @throws RetakeError as {@link readRecords}
 */
export async function visitRecords(log: WalLog, range: LsnRange, options: VisitOptions): Promise<Lsn> {
  const { visitor, keepsBlocks, afterPiece } = options
  const [begin, end] = [halvesOf(range.beginLsn), halvesOf(range.endLsn)]
  const wanted = {
    ...range,
    firstSegment: segmentOf(range.beginLsn, log.segmentSizeBytes),
    lastSegment: lastSegmentOf(range, log),
    keepsBlocks,
  }
  let last = begin
  for await (const { reader, bytes } of readSegments(log, wanted)) {
    reader.visit(bytes, (view) => {
      if (
        isBefore(view.beginHigh, view.beginLow, begin) ||
        isBefore(end.high, end.low, { high: view.endHigh, low: view.endLow })
      )
        return
      last = { high: view.endHigh, low: view.endLow }
      visitor(view)
    })
    await afterPiece?.()
  }
  return lsnOf(last.high, last.low)
}

interface Halves {
  readonly high: number
  readonly low: number
}

/** Numbers, because a bigint for each record is slow. */
const halvesOf = (lsn: Lsn): Halves => ({ high: Number(lsn >> 32n), low: Number(lsn & 0xffff_ffffn) })

const isBefore = (high: number, low: number, than: Halves): boolean =>
  high < than.high || (high === than.high && low < than.low)

/** The pieces of the segments, with the reader that takes each; whoever takes a piece pushes it before the next one is asked for. */
async function* readSegments(
  log: WalLog,
  wanted: ReadRange,
): AsyncGenerator<{ readonly reader: WalReader; readonly bytes: Uint8Array }> {
  const { segmentSizeBytes } = log
  let reader: WalReader | undefined
  for (let segment = wanted.firstSegment; segmentStart(segment, segmentSizeBytes) < wanted.endLsn; segment += 1n) {
    const content = await openHeld(log, segment)
    if (!content) throw vanished(log, segment)
    reader ??= new WalReader({
      segmentSizeBytes,
      startLsn: (segmentStart(segment, segmentSizeBytes) + BigInt(content.beginBytes)) as Lsn,
      systemIdentifier: log.cluster.facts.systemIdentifier,
      maxDataBytes: MAX_LANDMARK_BYTES,
      wanted: wanted.wanted,
      keepsBlocks: wanted.keepsBlocks,
    })
    for await (const bytes of content.bytes) {
      throwIfAborted(log.signal)
      yield { reader, bytes }
      // Records are copies, or were looked at; the bytes are not needed again.
      releaseMemory(bytes)
      if (reader.end !== undefined) throw endsEarly(reader.validEndLsn, wanted.endLsn)
      if (segment > wanted.lastSegment && segmentOf(reader.validEndLsn, segmentSizeBytes) > wanted.lastSegment) return
    }
  }
}

/** What a pass over the log cares about; a segment is read only if its stored facts allow that it is inside. */
export interface LandmarkQuery {
  readonly mayHold: (meta: SegmentMeta) => boolean
  readonly matches: (landmark: WalLandmark) => boolean
}

/** The landmarks of a range that match, oldest first. */
export async function* findLandmarks(log: WalLog, range: LsnRange, query: LandmarkQuery): AsyncGenerator<WalLandmark> {
  for await (const group of groupsOfInterest(log, range, query)) {
    for await (const record of readRecords(log, {
      ...range,
      firstSegment: group.first,
      lastSegment: group.last,
      wanted: isLandmarkRecord,
    })) {
      const landmark = landmarkOf(record, majorOf(log.cluster))
      if (landmark && query.matches(landmark)) yield landmark
    }
  }
}

/** The landmark of a range that matches and comes last. */
export async function findLastLandmark(
  log: WalLog,
  range: LsnRange,
  query: LandmarkQuery,
): Promise<WalLandmark | undefined> {
  const first = segmentOf(range.beginLsn, log.segmentSizeBytes)
  for (let segment = lastSegmentOf(range, log); segment >= first; segment -= 1n) {
    if (!(await isOfInterest(log, segment, query))) continue
    const from = await lookBack(log, segment, first)
    let found: WalLandmark | undefined
    for await (const record of readRecords(log, {
      ...range,
      firstSegment: from,
      lastSegment: segment,
      wanted: isLandmarkRecord,
    })) {
      const landmark = landmarkOf(record, majorOf(log.cluster))
      if (landmark && query.matches(landmark)) found = landmark
    }
    if (found) return found
  }
  return undefined
}

/** The last record of a range that is held whole. */
export async function lastRecord(log: WalLog, range: LsnRange): Promise<WalRecord | undefined> {
  const first = segmentOf(range.beginLsn, log.segmentSizeBytes)
  for (let segment = lastSegmentOf(range, log); segment >= first; segment -= 1n) {
    let last: WalRecord | undefined
    for await (const record of readRecords(log, {
      ...range,
      firstSegment: segment,
      lastSegment: lastSegmentOf(range, log),
    })) {
      last = record
    }
    if (last) return last
  }
  return undefined
}

/** The first record that starts at the position or after it. */
export async function firstRecordFrom(log: WalLog, range: LsnRange, lsn: bigint): Promise<WalRecord | undefined> {
  const first = segmentOf(lsn, log.segmentSizeBytes)
  for await (const record of readRecords(log, {
    ...range,
    firstSegment: first,
    lastSegment: lastSegmentOf(range, log),
  })) {
    if (record.lsn >= lsn) return record
  }
  return undefined
}

export function majorOf(cluster: ClusterRepository): number {
  return Math.floor(cluster.facts.serverVersionNum / 10_000)
}

/** The newest timeline's file of a segment is read: it carries its ancestor's part of the segment too. */
export function heldTimeline(
  log: Pick<WalLog, 'path' | 'segmentSizeBytes' | 'held'>,
  segment: bigint,
): number | undefined {
  return timelinesOf(segment, log).find((timeline) => log.held.holds(timeline, segment))
}

async function openHeld(log: WalLog, segment: bigint): Promise<SegmentContent | undefined> {
  const timeline = heldTimeline(log, segment)
  return timeline === undefined ? undefined : await openSegment(log.cluster, { timeline, segment })
}

/**
 * Where to begin reading for the landmarks of a segment: one segment early, because a landmark counts for the segment in which
 * its record ends; and earlier still where one record covers whole segments.
 */
async function lookBack(log: WalLog, segment: bigint, first: bigint): Promise<bigint> {
  let from = segment
  do {
    if (from <= first) return from
    from -= 1n
  } while (await isInsideOneRecord(log, from))
  return from
}

async function isInsideOneRecord(log: WalLog, segment: bigint): Promise<boolean> {
  const content = await openHeld(log, segment)
  if (!content || content.beginBytes > 0) return false
  for await (const bytes of content.bytes) return isCoveredByOneRecord(bytes, log.segmentSizeBytes)
  return false
}

/** Runs of segments to read, each begun early enough for the records that end in it. */
async function* groupsOfInterest(
  log: WalLog,
  range: LsnRange,
  query: LandmarkQuery,
): AsyncGenerator<{ first: bigint; last: bigint }> {
  const begin = segmentOf(range.beginLsn, log.segmentSizeBytes)
  const end = lastSegmentOf(range, log)
  let done: bigint = begin - 1n
  let first: bigint | undefined
  for (let segment = begin; segment <= end; segment += 1n) {
    const interesting = await isOfInterest(log, segment, query)
    if (interesting && first === undefined) {
      first = await lookBack(log, segment, done + 1n)
    }
    if (first === undefined) continue
    // Short runs, so that a search that ends early does not look at the facts of everything first.
    if (interesting && segment < end && segment - first < MAX_GROUP_SEGMENTS) continue
    const last: bigint = interesting ? segment : segment - 1n
    yield { first, last }
    done = last
    first = undefined
  }
}

async function isOfInterest(log: WalLog, segment: bigint, query: LandmarkQuery): Promise<boolean> {
  throwIfAborted(log.signal)
  const timeline = heldTimeline(log, segment)
  if (timeline === undefined) return false
  // In the first segment of a timeline, a record of the ancestor may end whose beginning the facts did not see.
  if (log.path.some((step) => step.beginLsn > 0n && segmentOf(step.beginLsn, log.segmentSizeBytes) === segment))
    return true
  const meta = await readStoredMeta(log.cluster, { timeline, segment })
  return meta === undefined || query.mayHold(meta)
}

function lastSegmentOf(range: LsnRange, log: Pick<WalLog, 'segmentSizeBytes'>): bigint {
  return segmentOf(range.endLsn > range.beginLsn ? range.endLsn - 1n : range.endLsn, log.segmentSizeBytes)
}

/** It was listed when the search began. */
function vanished(log: WalLog, segment: bigint): RetakeError {
  const name = segmentName({ timeline: heldTimeline(log, segment) ?? 0, segment }, log.segmentSizeBytes)
  return new RetakeError(
    'wal.gap',
    `The WAL segment ${name} has been removed from the archive while it was searched.`,
    {
      hint: 'Run `retake verify` to see what is missing.',
    },
  )
}

function endsEarly(validEndLsn: Lsn, heldEndLsn: Lsn): RetakeError {
  return new RetakeError(
    'wal.damaged',
    `The archived WAL holds no valid record at ${formatLsn(validEndLsn)}, though it should go on until ${formatLsn(heldEndLsn)}. Nothing after that position can be replayed.`,
    { hint: 'Run `retake verify` to see which segment is damaged.', details: { lsn: formatLsn(validEndLsn) } },
  )
}
