/**
 * The way that a server came: the history files of its timeline and of every ancestor, stored before any WAL of theirs
 * (R1, F8). Recovery stops at the first history file that it misses, and would silently restore an older timeline.
 */
import { RetakeError } from '../../base/errors.ts'
import { historyName } from '../../postgres/lsn.ts'
import type { ReplicationConnection } from '../../postgres/replication/connection.ts'
import { parseTimelineHistory, type TimelineHistory, timelineRanges } from '../../postgres/timeline.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { putHistory, readHistory } from '../../repository/wal-records.ts'
import type { TimelineStep } from './resume.ts'

/**
 * Stores what is missing and returns the path, oldest timeline first.
 * @throws RetakeError `wal.diverged` when the archive knows another past of the same timeline; `wal.history-missing` when the server lacks its own history
 */
export async function keepHistories(
  connection: ReplicationConnection,
  options: { readonly cluster: ClusterRepository; readonly timeline: number },
): Promise<TimelineStep[]> {
  const { cluster, timeline } = options
  if (timeline === 1) return [{ timeline: 1 }]
  const content = (await connection.timelineHistory(timeline))?.content.toString('utf8')
  if (content === undefined) {
    throw new RetakeError(
      'wal.history-missing',
      `The server is on timeline ${timeline} and does not have ${historyName(timeline)}, so how its log continues that of the older timelines is unknown. No WAL of it was stored.`,
      {
        hint: `Copy ${historyName(timeline)} from another server or archive into pg_wal on the server, then start the receiver again.`,
      },
    )
  }
  const history = parseTimelineHistory(timeline, content)
  // Ancestors first: an interruption never leaves a timeline whose past is not there.
  for (const { timeline: ancestor } of history.entries) {
    if (ancestor === 1) continue
    const own = (await connection.timelineHistory(ancestor))?.content.toString('utf8')
    await keepHistory(cluster, { timeline: ancestor, content: own ?? ancestorHistory(content, ancestor) })
  }
  await keepHistory(cluster, { timeline, content })
  return timelineRanges(history).map((range) => ({ timeline: range.timeline, endLsn: range.endLsn }))
}

async function keepHistory(
  cluster: ClusterRepository,
  history: { readonly timeline: number; readonly content: string },
): Promise<void> {
  const { timeline, content } = history
  const held = await readHistory(cluster, timeline)
  if (held === undefined) {
    await putHistory(cluster, { timeline, content: Buffer.from(content) })
    return
  }
  if (
    samePast(
      parseTimelineHistory(timeline, Buffer.from(held).toString('utf8')),
      parseTimelineHistory(timeline, content),
    )
  )
    return
  throw new RetakeError(
    'wal.diverged',
    `Two servers were promoted to the same timeline ${timeline}: the one that answers now branched off elsewhere than the one whose WAL is held. Nothing of it was stored.`,
    {
      hint:
        'If this server is the one to protect from now on, promote it once more (restart it with a standby.signal and promote), which gives it a timeline of its own; ' +
        'otherwise register it under a name of its own: retake init --cluster NAME.',
      details: { timeline },
    },
  )
}

/** Reasons are free text; the switch points are what makes a past. */
export function samePast(one: TimelineHistory, other: TimelineHistory): boolean {
  return (
    one.entries.length === other.entries.length &&
    one.entries.every((entry, index) => {
      const peer = other.entries[index]
      return entry.timeline === peer?.timeline && entry.switchLsn === peer.switchLsn
    })
  )
}

/**
 * The history of an ancestor, out of a descendant's: the server makes a history file by copying the parent's and adding one
 * line, so the ancestor's file is what stands before the line that says where the ancestor itself was left.
 */
export function ancestorHistory(content: string, ancestor: number): string {
  const lines = content.split('\n')
  const end = lines.findIndex((line) => new RegExp(`^\\s*${ancestor}\\s`).test(line))
  return `${lines
    .slice(0, end < 0 ? lines.length : end)
    .join('\n')
    .trimEnd()}\n`
}
