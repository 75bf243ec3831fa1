/**
 * Proves the WAL of a plan where nobody else will before it is needed: a restore that starts no server is called ready only
 * when every byte that its recovery will ask for has been read and found authentic (R6).
 */
import { throwIfAborted } from '../base/abort.ts'
import { RetakeError } from '../base/errors.ts'
import { releaseMemory } from '../base/memory.ts'
import type { ProgressListener } from '../base/progress.ts'
import type { TimelinePath } from '../catalog/timeline-path.ts'
import { historyName, type Lsn, parseLsn, segmentName, segmentOf } from '../postgres/lsn.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { createContentHasher } from '../repository/content-hash.ts'
import { readHistory } from '../repository/wal-records.ts'
import { missingFile } from './archive-source.ts'
import type { HeldArchive } from './held-archive.ts'
import type { RestorePlan } from './plan-types.ts'
import { openSegment } from './segment-content.ts'
import { timelinesOf } from './segment-supply.ts'

export interface ProveWalOptions {
  readonly plan: RestorePlan
  readonly held: HeldArchive & { readonly path: TimelinePath }
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
}

/**
 * Reads every segment of the plan's range, a megabyte at a time, and the histories of its path.
 * @throws RetakeError `repo.damaged`, `wal.gap`, `wal.history-missing`
 */
export async function proveWal(cluster: ClusterRepository, options: ProveWalOptions): Promise<void> {
  const { plan, held, signal, onProgress } = options
  const { walSegmentSizeBytes: segmentSizeBytes } = cluster.facts
  const [first, last] = segmentRange(plan, segmentSizeBytes)
  const total = Number(last - first) + 1
  for (const { timeline } of held.path) if (timeline > 1) await proveHistory(cluster, timeline)
  for (let segment = first; segment <= last; segment += 1n) {
    const timelines = timelinesOf(segment, { path: held.path, segmentSizeBytes })
    const timeline = timelines.find((one) => held.holds(one, segment))
    if (timeline === undefined)
      throw missingFile(segmentName({ timeline: timelines[0] ?? 1, segment }, segmentSizeBytes))
    await proveSegment(cluster, { timeline, segment, signal })
    onProgress?.({ phase: 'wal', done: Number(segment - first) + 1, total, unit: 'segments' })
  }
}

/** The first and the last segment that the recovery of a plan reads. */
export function segmentRange(plan: RestorePlan, segmentSizeBytes: number): readonly [bigint, bigint] {
  const end = (parseLsn(plan.wal.endLsn) - 1n) as Lsn
  return [segmentOf(parseLsn(plan.wal.beginLsn), segmentSizeBytes), segmentOf(end, segmentSizeBytes)]
}

async function proveSegment(
  cluster: ClusterRepository,
  place: { readonly timeline: number; readonly segment: bigint; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const name = segmentName(place, cluster.facts.walSegmentSizeBytes)
  const content = await openSegment(cluster, place)
  if (!content) throw missingFile(name)
  const hasher = createContentHasher(cluster.sealing.contentKey)
  for await (const bytes of content.bytes) {
    throwIfAborted(place.signal)
    hasher.update(bytes)
    releaseMemory(bytes)
  }
  if (content.contentId === undefined || hasher.digest() === content.contentId) return
  throw new RetakeError(
    'repo.damaged',
    `The archived WAL segment ${name} is damaged: its content is not what its id says. A recovery from it would fail.`,
    { hint: 'Run `retake verify --deep` to see what this costs, and choose a target before it.', details: { name } },
  )
}

async function proveHistory(cluster: ClusterRepository, timeline: number): Promise<void> {
  if ((await readHistory(cluster, timeline)) === undefined) throw missingFile(historyName(timeline))
}
