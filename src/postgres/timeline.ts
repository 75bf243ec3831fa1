/**
 * Timeline history files (`00000002.history`): through which ancestors a timeline came to be.
 * https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES
 */
import { RetakeError } from '../base/errors.ts'
import { historyName, type Lsn, ZERO_LSN } from './lsn.ts'

export interface TimelineSwitch {
  /** The ancestor that was left. */
  readonly timeline: number
  /** Its WAL counts up to here, exclusively. */
  readonly switchLsn: Lsn
  readonly reason: string
}

export interface TimelineHistory {
  readonly timeline: number
  /** Ancestors, oldest first; empty for timeline 1. */
  readonly entries: readonly TimelineSwitch[]
}

/** The part of the log that belongs to one timeline of a history. */
export interface TimelineRange {
  readonly timeline: number
  readonly beginLsn: Lsn
  /** Exclusive; undefined for the newest. */
  readonly endLsn: Lsn | undefined
}

/**
 * Reads a history file with the server's own rules: comments and empty lines count nothing, each other line is
 * `timeline TAB switch-lsn TAB reason`, and timelines ascend.
 * @throws RetakeError `wal.damaged`
 */
export function parseTimelineHistory(timeline: number, content: string): TimelineHistory {
  const entries: TimelineSwitch[] = []
  for (const [index, line] of content.split('\n').entries()) {
    const text = line.trim()
    if (text === '' || text.startsWith('#')) continue
    const match = /^(\d{1,10})\s+([0-9A-F]{1,8})\/([0-9A-F]{1,8})(?:\s+(.*))?$/i.exec(text)
    if (!match) throw damaged(timeline, index, 'is not "timeline, switch point, reason"')
    const [, ancestor = '', high = '', low = '', reason = ''] = match
    const entry = {
      timeline: Number(ancestor),
      switchLsn: ((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)) as Lsn,
      reason,
    }
    const previous = entries.at(-1)
    if (entry.timeline <= (previous?.timeline ?? 0)) throw damaged(timeline, index, 'does not ascend')
    if (entry.switchLsn < (previous?.switchLsn ?? ZERO_LSN))
      throw damaged(timeline, index, 'switches before the line above it')
    if (entry.timeline >= timeline) throw damaged(timeline, index, 'names a timeline that is not older')
    entries.push(entry)
  }
  return { timeline, entries }
}

/** Which timeline of the history the WAL at `lsn` belongs to. At a switch point it is the new one. */
export function timelineAt(history: TimelineHistory, lsn: bigint): number {
  return history.entries.find((entry) => lsn < entry.switchLsn)?.timeline ?? history.timeline
}

/** The whole way from the beginning of the log: adjoining ranges, oldest first; those without any WAL are left out. */
export function timelineRanges(history: TimelineHistory): TimelineRange[] {
  const ranges: TimelineRange[] = []
  let beginLsn = ZERO_LSN
  for (const { timeline, switchLsn } of history.entries) {
    if (switchLsn > beginLsn) ranges.push({ timeline, beginLsn, endLsn: switchLsn })
    beginLsn = switchLsn
  }
  return [...ranges, { timeline: history.timeline, beginLsn, endLsn: undefined }]
}

function damaged(timeline: number, index: number, problem: string): RetakeError {
  const name = historyName(timeline)
  return new RetakeError(
    'wal.damaged',
    `Line ${index + 1} of ${name} ${problem}, so the way to timeline ${timeline} is unknown.`,
    {
      hint: `Fetch ${name} again from the server that is on timeline ${timeline} or later.`,
      details: { timeline, line: index + 1 },
    },
  )
}
