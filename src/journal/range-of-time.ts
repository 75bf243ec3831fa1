/** Which part of the log to read for a stretch of time, by what is stored about each segment. */
import { throwIfAborted } from '../base/abort.ts'
import { type InstantMicros, parseInstant } from '../base/instant.ts'
import type { LsnRange } from '../catalog/coverage.ts'
import { type Lsn, segmentOf, segmentStart } from '../postgres/lsn.ts'
import { readStoredMeta } from '../recovery/segment-content.ts'
import { heldTimeline, type WalLog } from '../recovery/wal-log.ts'

export interface TimeRange {
  readonly since: InstantMicros
  readonly until?: InstantMicros | undefined
}

/**
 * Stretches of the log that hold everything that ended in this time, the oldest first; more than one where the log has holes. A segment that
 * nothing is known of, such as the one that is written now, belongs to it.
 */
export async function rangesOfTime(log: WalLog, { since, until }: TimeRange): Promise<LsnRange[]> {
  const found: LsnRange[] = []
  for (const range of [...log.coverage.ranges].reverse()) {
    const bounds = await boundsOf(log, range, { since, until })
    if (bounds.range) found.unshift(bounds.range)
    if (bounds.isBegin) break
  }
  return found
}

/** `isBegin`: everything that lies further back is older. */
async function boundsOf(
  log: WalLog,
  range: LsnRange,
  { since, until }: TimeRange,
): Promise<{ readonly range?: LsnRange; readonly isBegin: boolean }> {
  const { segmentSizeBytes } = log
  let { beginLsn, endLsn } = range
  const first = segmentOf(beginLsn, segmentSizeBytes)
  let isBegin = false
  for (let segment = segmentOf(endLsn, segmentSizeBytes); segment >= first; segment -= 1n) {
    throwIfAborted(log.signal)
    const timeline = heldTimeline(log, segment)
    const meta = timeline === undefined ? undefined : await readStoredMeta(log.cluster, { timeline, segment })
    if (until !== undefined && meta?.firstAt !== undefined && parseInstant(meta.firstAt) > until) {
      endLsn = later(segmentStart(segment, segmentSizeBytes), beginLsn)
      continue
    }
    if (meta?.lastAt !== undefined && parseInstant(meta.lastAt) < since) {
      beginLsn = later(segmentStart(segment + 1n, segmentSizeBytes), beginLsn)
      isBegin = true
      break
    }
  }
  return beginLsn < endLsn ? { range: { beginLsn, endLsn }, isBegin } : { isBegin }
}

const later = (left: Lsn, right: Lsn): Lsn => (left > right ? left : right)
