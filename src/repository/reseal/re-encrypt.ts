/**
 * Everything of a cluster that older keys seal, under the newest. Order (R1): new packs durable, then the manifests that name them,
 * then the old packs and manifests are given up, in two phases like all that is pruned. Other objects are replaced by themselves.
 * May be stopped anywhere and run again: packs that were made are found by what their footers say.
 */
import { throwIfAborted } from '../../base/abort.ts'
import { type Clock, systemClock } from '../../base/clock.ts'
import { isRetakeError } from '../../base/errors.ts'
import { timeOrderedId } from '../../base/ids.ts'
import { type Logger, type ProgressListener, silentLogger } from '../../base/progress.ts'
import type { ClusterRepository } from '../cluster.ts'
import { readCondemned } from '../condemned.ts'
import { packKey } from '../layout.ts'
import { acquireLease, type Lease } from '../lease.ts'
import { beginRewrite, endRewrite, listRuns } from '../runs.ts'
import { condemn } from '../sweep/condemn.ts'
import { createPace, type Pace } from './pace.ts'
import { planReseal, type ResealPlan } from './plan.ts'
import { isDamage, resealManifest } from './reseal-manifest.ts'
import { resealObject } from './reseal-object.ts'
import { findResealedPacks, type PackPlace, resealPack } from './reseal-pack.ts'
import { findOldTails, resealPosition, resealTail } from './reseal-tail.ts'

export interface ReEncryptOptions {
  /** Upper limit of what is read and written again. Default: none. */
  readonly maxBytesPerSecond?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
  readonly logger?: Logger | undefined
  readonly clock?: Clock | undefined
}

export interface ReEncryptReport {
  readonly epoch: number
  readonly packs: number
  readonly manifests: number
  readonly objects: number
  /** Stored bytes that were written again. */
  readonly bytes: number
  /** What stays under an older key, and why. */
  readonly left: readonly { readonly object: string; readonly reason: string }[]
}

interface Work {
  readonly cluster: ClusterRepository
  readonly options: ReEncryptOptions
  readonly plan: ResealPlan
  readonly pace: Pace
  readonly lease: Lease
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly logger: Logger
  readonly left: { object: string; reason: string }[]
  readonly done: { packs: number; manifests: number; objects: number; bytes: number }
}

/**
 * Seals anew what older keys of the cluster seal. Runs beside backups and receivers; those that began before the rotation go on
 * with the older key, and what they write is left for the next run.
 * @throws RetakeError `repo.locked` while pruning runs, `repo.lease-lost`, `storage.*`, `aborted`
 */
export async function reEncryptCluster(
  cluster: ClusterRepository,
  options: ReEncryptOptions = {},
): Promise<ReEncryptReport> {
  const { clock = systemClock, logger = silentLogger } = options
  throwIfAborted(options.signal)
  await using lease = await acquireLease(cluster, { role: 'prune', holder: 'retake keys re-encrypt', clock, logger })
  const signal = options.signal ? AbortSignal.any([options.signal, lease.signal]) : lease.signal
  const plan = await planReseal(cluster, { signal, onProgress: options.onProgress })
  const work: Work = {
    cluster,
    options,
    plan,
    pace: createPace(options.maxBytesPerSecond, { clock, signal }),
    lease,
    signal,
    clock,
    logger,
    left: plan.damaged.map(({ object, message }) => ({ object, reason: message })),
    done: { packs: 0, manifests: 0, objects: 0, bytes: 0 },
  }
  await resealBackups(work)
  await resealObjects(work)
  if (plan.walEnd > 0) await resealWalEnd(work)
  return { epoch: plan.epoch, ...work.done, left: work.left }
}

async function resealBackups(work: Work): Promise<void> {
  const { cluster, plan } = work
  const left = await findLeft(cluster)
  if (plan.manifests.size > 0) await moveBackups(work, left.moved)
  for (const runId of left.settled) await endRewrite(cluster, runId)
}

async function moveBackups(work: Work, known: ReadonlyMap<string, PackPlace>): Promise<void> {
  const { cluster, plan, signal, lease, clock } = work
  const runId = timeOrderedId(clock.now())
  await beginRewrite(cluster, runId)
  const moved = await movePacks(work, { runId, known })
  const replaced: { backupId: string; revision: number }[] = []
  let done = 0
  for (const backupId of plan.manifests.keys()) {
    throwIfAborted(signal)
    work.options.onProgress?.({ phase: 'manifests', done: done++, total: plan.manifests.size, unit: 'objects' })
    const assertHeld = () => lease.assertHeld()
    const outcome = await orLeave(work, backupId, () => resealManifest(cluster, backupId, { moved, assertHeld }))
    if (outcome === undefined) continue
    replaced.push({ backupId, revision: outcome.replaced })
    work.done.manifests += 1
  }
  await giveUpReplaced(work, replaced, moved)
  await endRewrite(cluster, runId)
}

/** What nothing refers to any more, as pruning does it: deleted after a time of grace, when nobody reads it. */
async function giveUpReplaced(
  { cluster, plan, lease, clock }: Work,
  replaced: readonly { readonly backupId: string; readonly revision: number }[],
  moved: ReadonlyMap<string, PackPlace>,
): Promise<void> {
  if (replaced.length === 0) return
  const rewritten = new Set(replaced.map(({ backupId }) => backupId))
  const needed = new Set([...plan.manifests].flatMap(([backupId, packs]) => (rewritten.has(backupId) ? [] : packs)))
  // A manifest that cannot be read may refer to any of them.
  const isFree = (packId: string) => plan.damaged.length === 0 && moved.has(packId) && !needed.has(packId)
  const packs = new Map([...plan.packs].filter(([packId]) => isFree(packId)))
  await lease.assertHeld()
  const why = `sealed anew with the key of epoch ${plan.epoch}`
  await condemn(
    cluster,
    { why, backups: [], revisions: replaced, packs, segments: [], walKeys: [], bytes: 0 },
    { clock },
  )
}

/** Packs of a run that was interrupted are used, not made again. */
async function findLeft(cluster: ClusterRepository) {
  const { rewrites } = await listRuns(cluster)
  const { packs } = await readCondemned(cluster, { onDamage: () => {} })
  const isGivenUp = (packId: string) => packs.has(packId)
  return await findResealedPacks(cluster, { runIds: rewrites, isGivenUp })
}

/** By the id of the old pack, where its frames are now; all durable. */
async function movePacks(
  work: Work,
  run: { readonly runId: string; readonly known: ReadonlyMap<string, PackPlace> },
): Promise<Map<string, PackPlace>> {
  const { cluster, plan, signal, pace } = work
  const total = [...plan.packs.values()].reduce((sum, bytes) => sum + bytes, 0)
  const moved = new Map<string, PackPlace>()
  let doneBytes = 0
  for (const [packId, sizeBytes] of plan.packs) {
    throwIfAborted(signal)
    work.options.onProgress?.({ phase: 'packs', done: doneBytes, total, unit: 'bytes' })
    const place =
      run.known.get(packId) ??
      (await orLeave(work, packKey(packId), () => resealPack(cluster, packId, { runId: run.runId, pace, signal })))
    doneBytes += sizeBytes
    if (place === undefined) continue
    moved.set(packId, place)
    work.done.packs += 1
    work.done.bytes += sizeBytes
  }
  return moved
}

async function resealObjects(work: Work): Promise<void> {
  const { cluster, plan, lease, pace, signal } = work
  let done = 0
  for (const key of plan.objects.keys()) {
    throwIfAborted(signal)
    work.options.onProgress?.({ phase: 'objects', done: done++, total: plan.objects.size, unit: 'objects' })
    const assertHeld = () => lease.assertHeld()
    const bytes = (await orLeave(work, key, () => resealObject(cluster, key, { pace, signal, assertHeld }))) ?? 0
    if (bytes === 0) continue
    work.done.objects += 1
    work.done.bytes += bytes
  }
}

/** The end of the WAL belongs to the receiver; one that is running seals it with the key that it began with. */
async function resealWalEnd(work: Work): Promise<void> {
  const { cluster, clock, logger, signal } = work
  try {
    await using lease = await acquireLease(cluster, { role: 'wal', holder: 'retake keys re-encrypt', clock, logger })
    for (const tail of await findOldTails(cluster)) {
      throwIfAborted(signal)
      await lease.assertHeld()
      const bytes = await orLeave(work, `the open segment ${tail.segment} of timeline ${tail.timeline}`, () =>
        resealTail(cluster, tail),
      )
      if (bytes === undefined) continue
      work.done.objects += 1
      work.done.bytes += bytes
    }
    await resealPosition(cluster)
  } catch (error) {
    if (!isRetakeError(error, 'repo.locked')) throw error
    work.left.push({
      object: 'the end of the WAL',
      reason: 'a receiver is running; it seals with the new key when it is started again',
    })
  }
}

/** What is damaged stays as it is: it is for `verify` to say, and no reason to stop. */
async function orLeave<T>(work: Work, object: string, attempt: () => Promise<T>): Promise<T | undefined> {
  try {
    return await attempt()
  } catch (error) {
    if (!isDamage(error)) throw error
    work.left.push({ object, reason: error.message })
    return undefined
  }
}
