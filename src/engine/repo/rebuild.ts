/**
 * Writes again what can be told from what is left: receipts of backups and of key holders, the record of a hole in the WAL, the position.
 * It never invents: whatever is rebuilt follows from authentic objects, says what it cannot know, and is shown before.
 */
import { throwIfAborted } from '../../base/abort.ts'
import type { LsnRange } from '../../catalog/coverage.ts'
import { formatLsn, segmentOf, segmentStart } from '../../postgres/lsn.ts'
import { type HeldArchive, readHeldArchive } from '../../recovery/held-archive.ts'
import { readStoredMeta } from '../../recovery/segment-content.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { putReceipt, readHolders, receiptKey } from '../../repository/keys/key-ring.ts'
import { runKey } from '../../repository/layout.ts'
import { acquireLease } from '../../repository/lease.ts'
import { listBackupIds } from '../../repository/manifest-store.ts'
import { beginRun, finishRun } from '../../repository/runs.ts'
import type { VerifyFinding } from '../../repository/verify/findings.ts'
import { verifyRepository } from '../../repository/verify.ts'
import { positionKey, rangeKey } from '../../repository/wal-layout.ts'
import { putPosition, putRange } from '../../repository/wal-records.ts'
import type { Retake } from '../open.ts'
import { type Operation, type OperationContext, type OperationOptions, startOperation } from '../operation.ts'

export interface RebuildItem {
  /** The object that will be written. */
  readonly object: string
  readonly cluster?: string | undefined
  readonly what: 'run record' | 'key receipt' | 'WAL hole' | 'WAL position'
  readonly why: string
  /** What cannot be known any more; absent when the object will be exactly what it was. */
  readonly loses?: string | undefined
}

export interface RebuildReport {
  readonly dryRun: boolean
  /** What was written, or would be. */
  readonly items: readonly RebuildItem[]
  /** What is wrong and cannot be told from what is left. */
  readonly beyondRepair: readonly VerifyFinding[]
}

export interface RebuildOptions extends OperationOptions {
  /** Plans only. Default false. */
  readonly dryRun?: boolean | undefined
}

/**
 * Rebuilds what can be rebuilt. Takes the leases of each cluster, so that nobody writes meanwhile; a plan takes none.
 *
 * ```ts
 * const { items, beyondRepair } = await rebuildRepository(retake, { dryRun: true }).result
 * ```
 * @throws RetakeError by its `result`: `repo.locked`, `storage.failed`, `storage.read-only`, `aborted`
 */
export function rebuildRepository(retake: Retake, options: RebuildOptions = {}): Operation<RebuildReport> {
  return startOperation(async (context) => {
    await using leases = new AsyncDisposableStack()
    if (!options.dryRun) await takeLeases(retake, leases)
    const { steps, beyondRepair } = await planRebuild(retake, context)
    if (!options.dryRun) {
      for (const step of steps) {
        throwIfAborted(context.signal)
        await step.write()
      }
    }
    return { dryRun: options.dryRun === true, items: steps.map(({ item }) => item), beyondRepair }
  }, options)
}

async function takeLeases(retake: Retake, leases: AsyncDisposableStack): Promise<void> {
  for (const name of await retake.repository.listClusters()) {
    const cluster = await retake.repository.openCluster(name)
    for (const role of ['backup', 'wal'] as const) {
      leases.use(await acquireLease(cluster, { role, holder: 'retake repo rebuild', clock: retake.clock }))
    }
  }
}

interface Step {
  readonly item: RebuildItem
  readonly write: () => Promise<void>
}

async function planRebuild(
  retake: Retake,
  context: OperationContext,
): Promise<{ readonly steps: readonly Step[]; readonly beyondRepair: readonly VerifyFinding[] }> {
  const { repository, clock } = retake
  const { findings } = await verifyRepository({ ...context, repository, depth: 'quick', clock })
  const problems = findings.filter(({ severity }) => severity !== 'notice')
  const steps = [...(await receiptSteps(retake, problems))]
  for (const name of await repository.listClusters()) {
    const cluster = await repository.openCluster(name)
    const own = problems.filter((finding) => finding.cluster === name)
    steps.push(...(await runSteps(cluster, own)), ...(await walSteps(retake, cluster, own)))
  }
  const mended = new Set(steps.map(({ item }) => item.object))
  const spans = steps.filter(({ item }) => item.what === 'WAL hole').map(({ item }) => item.why)
  const beyondRepair = problems.filter(
    ({ object, wal }) =>
      !mended.has(object) && !(wal && spans.some((why) => why.includes(`${wal.beginLsn} to ${wal.endLsn}`))),
  )
  return { steps, beyondRepair }
}

/** A key file says everything that its receipt says. */
async function receiptSteps(retake: Retake, problems: readonly VerifyFinding[]): Promise<Step[]> {
  const { repository } = retake
  const steps: Step[] = []
  for (const { file, bytes } of await readHolders(repository.store)) {
    if (!file) continue
    const object = receiptKey(file.holder)
    if (!isMissing(problems, object)) continue
    const why = `the key file of "${file.label}" is authentic and has no receipt`
    steps.push({ item: { object, what: 'key receipt', why }, write: () => putReceipt(repository, file.holder, bytes) })
  }
  return steps
}

/** A backup whose manifest is whole, and whose packs are what it says, has begun and was finished. */
async function runSteps(cluster: ClusterRepository, problems: readonly VerifyFinding[]): Promise<Step[]> {
  const { name } = cluster.facts
  const steps: Step[] = []
  for (const backupId of await listBackupIds(cluster)) {
    if (problems.some(({ severity, backups }) => severity === 'error' && backups.includes(backupId))) continue
    for (const what of ['begun', 'done'] as const) {
      const object = runKey(name, backupId, what)
      if (!isMissing(problems, object)) continue
      const why = `the backup ${backupId} is complete and lacks the record`
      const write = () => (what === 'begun' ? beginRun(cluster, backupId) : finishRun(cluster, backupId))
      steps.push({ item: { object, cluster: name, what: 'run record', why }, write })
    }
  }
  return steps
}

async function walSteps(
  retake: Retake,
  cluster: ClusterRepository,
  problems: readonly VerifyFinding[],
): Promise<Step[]> {
  const { name } = cluster.facts
  const held = await readHeldArchive(cluster)
  const steps = holeSteps(retake, cluster, held)
  const position = positionKey(name)
  const end = newestEnd(held)
  // The one object of the archive that may be replaced, so also one that cannot be read.
  if (end && problems.some(({ object }) => object === position)) steps.push(await positionStep(retake, cluster, end))
  return steps
}

/** WAL that is gone stays gone; recorded, it is a gap that every plan and window shows, and no damage that hides another. */
function holeSteps(retake: Retake, cluster: ClusterRepository, held: HeldArchive): Step[] {
  const { name } = cluster.facts
  return held.coverage.flatMap(({ timeline, ranges, gaps }) =>
    gaps
      .filter((gap) => !gap.recorded && ranges.some((range) => range.beginLsn === gap.endLsn))
      // What is there and cannot be read is damage, which a record of a hole would hide.
      .filter((gap) => !held.damage.some((one) => one.timeline === timeline && isInside(one.segment, gap, cluster)))
      .map(({ beginLsn, endLsn }): Step => {
        const span = `${formatLsn(beginLsn)} to ${formatLsn(endLsn)}`
        const why = `WAL from ${span} has disappeared, and no record says so`
        const at = retake.clock.now().toISOString()
        const item: RebuildItem = {
          object: rangeKey(name, { timeline, begin: endLsn }),
          cluster: name,
          what: 'WAL hole',
          why,
          loses: 'nothing more than is gone: put the segments back from a copy first, if there is one',
        }
        const write = () =>
          putRange(cluster, {
            timeline,
            beginLsn: formatLsn(endLsn),
            reason: 'gap',
            heldUntilLsn: formatLsn(beginLsn),
            at,
            explanation: `WAL from ${span} was held and has disappeared from the repository; recorded by retake repo rebuild.`,
          })
        return { item, write }
      }),
  )
}

function isInside(segment: bigint | undefined, gap: LsnRange, cluster: ClusterRepository): boolean {
  if (segment === undefined) return false
  const begin = segmentStart(segment, cluster.facts.walSegmentSizeBytes)
  return begin < gap.endLsn && begin + BigInt(cluster.facts.walSegmentSizeBytes) > gap.beginLsn
}

function newestEnd(held: HeldArchive) {
  const newest = held.coverage.reduce<HeldArchive['coverage'][number] | undefined>(
    (best, one) => (one.ranges.length > 0 && (best === undefined || one.timeline > best.timeline) ? one : best),
    undefined,
  )
  const endLsn = newest?.ranges.at(-1)?.endLsn
  return newest && endLsn !== undefined ? { timeline: newest.timeline, endLsn } : undefined
}

async function positionStep(
  retake: Retake,
  cluster: ClusterRepository,
  end: NonNullable<ReturnType<typeof newestEnd>>,
): Promise<Step> {
  const { name, walSegmentSizeBytes, slot } = cluster.facts
  const { timeline, endLsn } = end
  const last = segmentOf(endLsn, walSegmentSizeBytes) - 1n
  const meta = last < 0n ? undefined : await readStoredMeta(cluster, { timeline, segment: last })
  const flushLsn = formatLsn(endLsn)
  const item: RebuildItem = {
    object: positionKey(name),
    cluster: name,
    what: 'WAL position',
    why: `WAL is held up to ${flushLsn} on timeline ${timeline}, and the position is missing or damaged`,
    loses: `whether anything after ${flushLsn} had been acknowledged, and is lost, can no longer be told; a receiver that connects to the server writes the position anew and knows`,
  }
  const at = retake.clock.now().toISOString()
  // The server's clock as far as the log tells it; what was caught up with is not known and not claimed.
  return { item, write: () => putPosition(cluster, { timeline, flushLsn, at, serverTime: meta?.lastAt ?? '', slot }) }
}

function isMissing(problems: readonly VerifyFinding[], object: string): boolean {
  return problems.some((finding) => finding.object === object && finding.problem.startsWith('it is missing'))
}
