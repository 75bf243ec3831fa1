/** What happened in a stretch of the log: out of what is stored of it, and out of the log itself where nothing is. */
import { isRetakeError } from '../base/errors.ts'
import type { LsnRange } from '../catalog/coverage.ts'
import { type Lsn, segmentOf, segmentStart } from '../postgres/lsn.ts'
import { heldTimeline, type WalLog } from '../recovery/wal-log.ts'
import { listJournalChunks, SEGMENTS_OF_CHUNK } from '../repository/journal-chunks.ts'
import { decodeBlock, type JournalTransaction, positionOf } from './block.ts'
import { type JournalChunk, openChunk } from './chunk.ts'
import { type Border, type ScanOptions, scanLog } from './scan.ts'

export interface ReadOptions extends Pick<ScanOptions, 'onTransaction' | 'onMark' | 'onProgress'> {
  /** How an earlier reading ended where the range begins. Default: what is stored of the stretch before it. */
  readonly border?: Border | undefined
}

/** How much of what was read was stored, and how much had to be found out again. */
export interface JournalSources {
  readonly storedLogBytes: number
  readonly scannedLogBytes: number
  /** For a reading that goes on from here; undefined where the range ends inside of what is stored. */
  border(): Promise<Border | undefined>
}

/** The chunks that are stored for a way through the timelines, opened one at a time. */
export interface StoredJournal {
  /** @returns undefined when there is none, or it is damaged: everything in it is in the log too */
  open(firstSegment: bigint): Promise<JournalChunk | undefined>
}

export async function openStoredJournal(log: WalLog): Promise<StoredJournal> {
  const names = new Set(
    (await listJournalChunks(log.cluster)).map(({ timeline, firstSegment }) => `${timeline}/${firstSegment}`),
  )
  return {
    async open(firstSegment) {
      const timeline = heldTimeline(log, firstSegment + SEGMENTS_OF_CHUNK - 1n)
      if (timeline === undefined || !names.has(`${timeline}/${firstSegment}`)) return undefined
      try {
        return await openChunk(log.cluster, { timeline, firstSegment })
      } catch (error) {
        if (!isRetakeError(error, 'repo.damaged')) throw error
        return undefined
      }
    },
  }
}

/**
 * Everything that was over in the range: whose last record ends behind its beginning and not behind its end.
 * @throws RetakeError `wal.damaged`, `wal.gap`, `repo.damaged`, `aborted`
 */
export async function readJournal(log: WalLog, range: LsnRange, options: ReadOptions): Promise<JournalSources> {
  const stored = await openStoredJournal(log)
  const given = within(range, options)
  let [storedLogBytes, scannedLogBytes] = [0, 0]
  let previous = options.border ? undefined : await stored.open(chunkOf(range.beginLsn, log) - SEGMENTS_OF_CHUNK)
  let border = options.border
  let position = range.beginLsn
  while (position < range.endLsn) {
    const chunk = await stored.open(chunkOf(position, log))
    const blocks = chunk && (await readBlocks(chunk))
    if (chunk && blocks) {
      for (const block of blocks) for (const one of decodeBlock(block)) given.onTransaction(one)
      if (given.onMark) for (const mark of chunk.marks) given.onMark(mark)
      storedLogBytes += Number(earlier(chunk.endLsn, range.endLsn) - position)
      position = chunk.endLsn
      ;[previous, border] = [chunk, undefined]
      options.onProgress?.(earlier(position, range.endLsn))
      continue
    }
    const endLsn = await unstoredUntil(stored, { from: position, log, range })
    // What is stored of the stretch before says what was open; else it begins in the middle, and says so.
    const beginLsn = border?.resumeLsn ?? previous?.resumeLsn ?? position
    const state = border?.state ?? (await previous?.state())
    const onBorder = (reached: Border) => {
      border = reached
    }
    await scanLog(log, { beginLsn, endLsn }, { ...given, state, borders: [endLsn], onBorder })
    scannedLogBytes += Number(endLsn - position)
    position = endLsn
    previous = undefined
  }
  return {
    storedLogBytes,
    scannedLogBytes,
    border: async () => (previous?.endLsn === range.endLsn ? borderOf(previous) : border),
  }
}

async function borderOf(chunk: JournalChunk): Promise<Border> {
  return { lsn: chunk.endLsn, resumeLsn: chunk.resumeLsn, state: await chunk.state() }
}

/** All of them before any is given out: what is damaged is found out from the log instead, and nothing is told twice. */
async function readBlocks(chunk: JournalChunk): Promise<Uint8Array[] | undefined> {
  try {
    return await chunk.blocks()
  } catch (error) {
    if (!isRetakeError(error, 'repo.damaged')) throw error
    return undefined
  }
}

async function unstoredUntil(
  stored: StoredJournal,
  { from, log, range }: { readonly from: Lsn; readonly log: WalLog; readonly range: LsnRange },
): Promise<Lsn> {
  let first = chunkOf(from, log) + SEGMENTS_OF_CHUNK
  while (segmentStart(first, log.segmentSizeBytes) < range.endLsn && !(await stored.open(first)))
    first += SEGMENTS_OF_CHUNK
  return earlier(segmentStart(first, log.segmentSizeBytes), range.endLsn)
}

/** The first segment of the chunk that a position lies in. */
function chunkOf(lsn: Lsn, { segmentSizeBytes }: Pick<WalLog, 'segmentSizeBytes'>): bigint {
  const segment = segmentOf(lsn, segmentSizeBytes)
  return segment - (segment % SEGMENTS_OF_CHUNK)
}

const earlier = (left: Lsn, right: Lsn): Lsn => (left < right ? left : right)

function within({ beginLsn, endLsn }: LsnRange, options: ReadOptions): ReadOptions {
  const isIn = (lsn: Lsn) => lsn > beginLsn && lsn <= endLsn
  const { onTransaction, onMark, onProgress } = options
  return {
    onTransaction: (one: JournalTransaction) => {
      if (isIn(positionOf(one))) onTransaction(one)
    },
    onMark: onMark && ((mark) => isIn(mark.endLsn) && onMark(mark)),
    onProgress,
  }
}
