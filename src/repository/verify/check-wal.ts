/** The WAL archive of one cluster: every object of it, and whether nothing is missing. */
import { throwIfAborted } from '../../base/abort.ts'
import { formatLsn, parseLsn, segmentStart } from '../../postgres/lsn.ts'
import { parseTimelineHistory, type TimelineHistory } from '../../postgres/timeline.ts'
import type { ClusterRepository } from '../cluster.ts'
import { type Condemned, readCondemned } from '../condemned.ts'
import { damaged } from '../container.ts'
import { manifestKey } from '../layout.ts'
import type { BackupSummary } from '../manifest.ts'
import { readSettledTail } from '../settled-tail.ts'
import {
  historyKey,
  parseWalKey,
  positionKey,
  rangeKey,
  type SegmentId,
  segmentName,
  type TailId,
  tailPrefix,
  walPrefix,
} from '../wal-layout.ts'
import type { WalRange } from '../wal-records.ts'
import { readHistory, readPosition, readRange } from '../wal-records.ts'
import { openSegment } from '../wal-segments.ts'
import type { VerifyContext } from './context.ts'
import type { DeepTask } from './deep-check.ts'
import type { DeepPool } from './deep-pool.ts'
import type { WalSpan } from './findings.ts'
import { findBackupGaps, findWalProblems, type HeldStretch, type WalFacts, type WalProblem } from './wal-continuity.ts'

type SegmentTask = DeepTask & { readonly type: 'segment'; readonly id: SegmentId; readonly validBytes: number }

export async function checkWal(
  context: VerifyContext,
  cluster: ClusterRepository,
  options: { readonly summaries: readonly BackupSummary[]; readonly pool?: DeepPool | undefined },
): Promise<void> {
  const { name, walSegmentSizeBytes } = cluster.facts
  const { findings } = context
  const condemned = await readCondemned(cluster, { onDamage: () => {} })
  // Position, tails, segments: in this order a receiver may be writing meanwhile.
  const position = await findings.attempt({ object: positionKey(name), cluster: name }, () => readPosition(cluster))
  const stretches: HeldStretch[] = await checkTails(context, cluster, { condemned })
  const objects = await checkObjects(context, cluster, { condemned })
  stretches.push(...objects.segments.map(({ id, validBytes }) => ({ ...id, beginBytes: 0, endBytes: validBytes })))
  const facts: WalFacts = { ...objects, stretches, segmentSizeBytes: walSegmentSizeBytes, position }
  for (const problem of findWalProblems(facts)) {
    // Damage of the object itself is already recorded; that it is then also missing is no second fact.
    const object = objectOf(cluster, problem)
    if (!findings.has(object)) findings.add({ object, problem: problem.problem, cluster: name, wal: problem.span })
  }
  for (const [backupId, gap] of findBackupGaps(facts, options.summaries)) {
    const problem = `WAL from ${gap.beginLsn} to ${gap.endLsn} is not held, and without it this backup cannot be restored`
    findings.add({
      object: manifestKey(name, backupId),
      problem,
      cluster: name,
      backups: [backupId],
      wal: gap,
    })
  }
  if (options.pool)
    await checkSegmentsDeep(context, cluster, {
      segments: objects.segments,
      summaries: options.summaries,
      pool: options.pool,
    })
}

/** Reads and authenticates every tail to its end. */
async function checkTails(
  context: VerifyContext,
  cluster: ClusterRepository,
  { condemned }: { readonly condemned: Condemned },
): Promise<HeldStretch[]> {
  const { name } = cluster.facts
  const tails = new Map<string, TailId>()
  for await (const { key } of cluster.store.list(walPrefix(name))) {
    const parsed = parseWalKey(name, key)
    if (parsed?.type !== 'tail' || condemned.holdsWal(key)) continue
    tails.set(tailPrefix(name, parsed), { timeline: parsed.timeline, segment: parsed.segment })
  }
  const stretches: HeldStretch[] = []
  for (const [prefix, tail] of tails) {
    const wal = segmentSpan(cluster, tail)
    const checked = await context.findings.attempt({ object: prefix, cluster: name, wal }, async () => {
      return await readSettledTail(cluster, tail, async ({ beginBytes, validBytes, bytes }) => {
        for await (const piece of bytes) context.counts.bytesRead += piece.length
        return { beginBytes, endBytes: validBytes }
      })
    })
    throwIfAborted(context.signal)
    // What it was finished to is found among the segments, which are listed after the tails.
    if (checked?.kind === 'tail') stretches.push({ ...tail, ...checked.value })
  }
  return stretches
}

interface WalObjects {
  readonly segments: readonly SegmentTask[]
  readonly ranges: readonly WalRange[]
  readonly histories: readonly TimelineHistory[]
}

/** Opens everything but tails; what cannot be opened is recorded and counts as not held. */
async function checkObjects(
  context: VerifyContext,
  cluster: ClusterRepository,
  { condemned }: { readonly condemned: Condemned },
): Promise<WalObjects> {
  const { name } = cluster.facts
  const segments: SegmentTask[] = []
  const ranges: WalRange[] = []
  const histories: TimelineHistory[] = []
  for await (const { key } of cluster.store.list(walPrefix(name))) {
    if (condemned.holdsWal(key)) continue
    const parsed = parseWalKey(name, key)
    const facts = { object: key, cluster: name }
    if (parsed?.type === 'segment') {
      const wal = segmentSpan(cluster, parsed)
      const opened = await context.findings.attempt({ ...facts, wal }, () => openSegment(cluster, parsed))
      context.counts.segments += 1
      context.progress({ phase: 'wal', done: context.counts.segments, unit: 'segments' })
      if (!opened) continue
      const { contentId, validBytes } = opened.meta
      const { timeline, segment, partial } = parsed
      const kind = partial ? 'walPartial' : 'walSegment'
      segments.push({ type: 'segment', id: { timeline, segment, partial }, key, kind, contentId, validBytes })
    } else if (parsed?.type === 'range') {
      const range = await context.findings.attempt(facts, () => readRange(cluster, key))
      if (range) ranges.push(range)
    } else if (parsed?.type === 'history') {
      const history = await context.findings.attempt(facts, () =>
        openHistory(cluster, { key, timeline: parsed.timeline }),
      )
      if (history) histories.push(history)
    }
  }
  return { segments, ranges, histories }
}

async function openHistory(
  cluster: ClusterRepository,
  object: { readonly key: string; readonly timeline: number },
): Promise<TimelineHistory | undefined> {
  const content = await readHistory(cluster, object.timeline)
  if (content === undefined) return undefined
  try {
    return parseTimelineHistory(object.timeline, Buffer.from(content).toString('utf8'))
  } catch (cause) {
    throw damaged(object, 'its content is not a timeline history', cause)
  }
}

async function checkSegmentsDeep(
  context: VerifyContext,
  cluster: ClusterRepository,
  options: {
    readonly segments: readonly SegmentTask[]
    readonly summaries: readonly BackupSummary[]
    readonly pool: DeepPool
  },
): Promise<void> {
  let done = 0
  await options.pool.run(options.segments, (task, result) => {
    context.counts.bytesRead += result.bytesRead
    const wal = segmentSpan(cluster, task.id)
    const backups = options.summaries.filter((summary) => needs(summary, wal)).map(({ backupId }) => backupId)
    for (const { problem } of result.problems) {
      context.findings.add({ object: task.key, problem, cluster: cluster.facts.name, backups, wal })
    }
    done += 1
    context.progress({ phase: 'wal', done, total: options.segments.length, unit: 'segments' })
  })
}

/** Whether a backup cannot be restored without this WAL. */
function needs(summary: BackupSummary, wal: WalSpan): boolean {
  if (wal.timeline < summary.timeline || wal.timeline > summary.stopTimeline) return false
  return parseLsn(summary.startLsn) < parseLsn(wal.endLsn) && parseLsn(summary.stopLsn) > parseLsn(wal.beginLsn)
}

function segmentSpan(cluster: ClusterRepository, id: TailId): WalSpan {
  const { walSegmentSizeBytes } = cluster.facts
  return {
    timeline: id.timeline,
    beginLsn: formatLsn(segmentStart(id.segment, walSegmentSizeBytes)),
    endLsn: formatLsn(segmentStart(id.segment + 1n, walSegmentSizeBytes)),
  }
}

/** The object whose absence a problem is about. */
function objectOf(cluster: ClusterRepository, problem: WalProblem): string {
  const { name, walSegmentSizeBytes } = cluster.facts
  const { timeline, beginLsn } = problem.span
  const begin = parseLsn(beginLsn)
  switch (problem.what) {
    case 'history':
      return historyKey(name, timeline)
    case 'position':
      return positionKey(name)
    case 'range':
      return rangeKey(name, { timeline, begin })
    case 'wal':
      return segmentName(name, { timeline, segment: begin / BigInt(walSegmentSizeBytes), partial: false }).key
  }
}
