/**
 * Brings the stored journal up to date with the WAL that is held: a chunk for every sixteen segments that are there whole, and none for
 * those that are gone. It may be stopped at any moment, and several may do it at once: what they store is the same.
 */
import { isRetakeError } from '../base/errors.ts'
import type { ProgressListener } from '../base/progress.ts'
import type { LsnRange } from '../catalog/coverage.ts'
import { buildTimelinePath } from '../catalog/timeline-path.ts'
import { type Lsn, segmentOf, segmentStart } from '../postgres/lsn.ts'
import { type HeldArchive, readHeldArchive } from '../recovery/held-archive.ts'
import { heldTimeline, openWalLog, type WalLog } from '../recovery/wal-log.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import {
  deleteJournalChunk,
  type JournalChunkId,
  listJournalChunks,
  putJournalChunk,
  SEGMENTS_OF_CHUNK,
} from '../repository/journal-chunks.ts'
import { type BuiltChunk, ChunkBuilder, type JournalChunk } from './chunk.ts'
import { openStoredJournal } from './read.ts'
import { scanLog } from './scan.ts'

export interface UpdateJournalOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
  /** Made anew, also what is there. */
  readonly isRebuild?: boolean | undefined
}

export interface UpdatedJournal {
  /** How many chunks were stored, and how much of the log they are about. */
  readonly stored: number
  readonly logBytes: number
  readonly storedBytes: number
  /** Of WAL that is not held any more. */
  readonly removed: number
  /** Stretches that cannot be read; what happened in them is not known. */
  readonly unreadable: readonly string[]
}

/** @throws RetakeError `repo.damaged`, `storage.*`, `aborted` */
export async function updateJournal(
  cluster: ClusterRepository,
  options: UpdateJournalOptions = {},
): Promise<UpdatedJournal> {
  const held = await readHeldArchive(cluster)
  const removed = await removeChunks(cluster, held, options)
  const result = { stored: 0, logBytes: 0, storedBytes: 0, removed, unreadable: [] as string[] }
  const works = await planWorks(cluster, held, options.signal)
  const segments = Number(SEGMENTS_OF_CHUNK)
  const total = works.reduce((sum, work) => sum + work.chunks.length, 0) * segments
  for (let work = works.shift(); work; work = works.shift()) {
    let written = 0
    try {
      await writeChunks(work, (bytes) => {
        written += 1
        result.stored += 1
        result.storedBytes += bytes
        result.logBytes += segments * cluster.facts.walSegmentSizeBytes
        options.onProgress?.({ phase: 'journal', done: result.stored * segments, total, unit: 'segments' })
      })
    } catch (error) {
      // Damage costs the chunk that it is in; those behind it are told nevertheless.
      if (!isRetakeError(error) || !['wal.damaged', 'wal.gap', 'repo.damaged'].includes(error.code)) throw error
      result.unreadable.push(error.message)
      works.unshift({ ...work, chunks: work.chunks.slice(written + 1), previous: undefined, isFirst: false })
    }
  }
  return result
}

async function removeChunks(
  cluster: ClusterRepository,
  held: HeldArchive,
  { isRebuild = false }: UpdateJournalOptions,
): Promise<number> {
  let removed = 0
  for (const id of await listJournalChunks(cluster)) {
    const segments = Array.from({ length: Number(SEGMENTS_OF_CHUNK) }, (_, index) => id.firstSegment + BigInt(index))
    const isHeld = segments.some((segment) => held.holds(id.timeline, segment))
    if ((isRebuild || !isHeld) && (await deleteJournalChunk(cluster, id)) && !isHeld) removed += 1
  }
  return removed
}

/** Chunks that follow each other and are not stored yet. */
interface Work {
  readonly log: WalLog
  readonly range: LsnRange
  readonly chunks: readonly JournalChunkId[]
  readonly previous: JournalChunk | undefined
  /** False: what is held before them cannot be read. */
  readonly isFirst: boolean
}

async function planWorks(
  cluster: ClusterRepository,
  held: HeldArchive,
  signal: AbortSignal | undefined,
): Promise<Work[]> {
  const works: Work[] = []
  for (const { timeline } of held.coverage) {
    const log = logOf(cluster, held, { timeline, signal })
    if (!log) continue
    const stored = await openStoredJournal(log)
    for (const range of log.coverage.ranges) {
      let chunks: JournalChunkId[] = []
      let previous: JournalChunk | undefined
      const end = () => {
        if (chunks.length > 0) works.push({ log, range, chunks, previous, isFirst: true })
        chunks = []
      }
      for (const firstSegment of wholeChunks(range, log)) {
        const there = await stored.open(firstSegment)
        const isOwn = heldTimeline(log, firstSegment + SEGMENTS_OF_CHUNK - 1n) === timeline
        if (!there && isOwn) chunks.push({ timeline, firstSegment })
        else end()
        if (there) previous = there
        else if (!isOwn) previous = undefined
      }
      end()
    }
  }
  return works
}

/** Undefined: where the timeline left its parent is not known. */
function logOf(
  cluster: ClusterRepository,
  held: HeldArchive,
  { timeline, signal }: { readonly timeline: number; readonly signal: AbortSignal | undefined },
): WalLog | undefined {
  try {
    return openWalLog(cluster, { held, path: buildTimelinePath(held.histories, timeline), signal })
  } catch (error) {
    if (!isRetakeError(error, 'wal.history-missing')) throw error
    return undefined
  }
}

/** The first segments of the chunks that lie in the range whole. */
function wholeChunks({ beginLsn, endLsn }: LsnRange, { segmentSizeBytes }: WalLog): bigint[] {
  const begin = segmentOf((beginLsn + BigInt(segmentSizeBytes) - 1n) as Lsn, segmentSizeBytes)
  const found: bigint[] = []
  let first = ((begin + SEGMENTS_OF_CHUNK - 1n) / SEGMENTS_OF_CHUNK) * SEGMENTS_OF_CHUNK
  for (; segmentStart(first + SEGMENTS_OF_CHUNK, segmentSizeBytes) <= endLsn; first += SEGMENTS_OF_CHUNK)
    found.push(first)
  return found
}

async function writeChunks(
  { log, range, chunks, previous, isFirst }: Work,
  onStored: (bytes: number) => void,
): Promise<void> {
  const { segmentSizeBytes } = log
  const borders = chunks.map(({ firstSegment }) => segmentStart(firstSegment + SEGMENTS_OF_CHUNK, segmentSizeBytes))
  const [first] = chunks
  const endLsn = borders.at(-1)
  if (!first || endLsn === undefined) return
  const beginLsn = segmentStart(first.firstSegment, segmentSizeBytes)
  // Without a chunk before it, what is held before it tells what was open, as far as it goes back.
  const before = isFirst ? segmentStart(first.firstSegment - least(first.firstSegment), segmentSizeBytes) : beginLsn
  const from = previous?.resumeLsn ?? later(range.beginLsn, before)
  let builder = new ChunkBuilder(beginLsn)
  const built: BuiltChunk[] = []
  let done = 0
  const put = async () => {
    for (let chunk = built.shift(); chunk; chunk = built.shift()) {
      const id = chunks[done] as JournalChunkId
      done += 1
      await putJournalChunk(log.cluster, id, chunk)
      onStored(chunk.frames.reduce((sum, { length }) => sum + length, 0))
    }
  }
  // The border at the very beginning throws away what was over before it.
  await scanLog(
    log,
    { beginLsn: from, endLsn },
    {
      state: await previous?.state(),
      borders: previous ? borders : [beginLsn, ...borders],
      onTransaction: (one) => builder.add(one),
      onMark: (mark) => builder.mark(mark),
      onBorder: (border) => {
        if (border.lsn > beginLsn) built.push(builder.build(border))
        builder = new ChunkBuilder(border.lsn)
      },
      afterPiece: put,
    },
  )
  await put()
}

const least = (segment: bigint) => (segment < SEGMENTS_OF_CHUNK ? segment : SEGMENTS_OF_CHUNK)
const later = (left: Lsn, right: Lsn): Lsn => (left > right ? left : right)
