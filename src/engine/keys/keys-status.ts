/** Who can open the repository, which keys seal what, and what should be done about it. */
import { isRetakeError, type RetakeError } from '../../base/errors.ts'
import type { ProgressListener } from '../../base/progress.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { readEpochUsage } from '../../repository/epoch-usage.ts'
import { readEpochs } from '../../repository/epochs.ts'
import { isAuthenticHolder } from '../../repository/keys/holder-file.ts'
import { type HolderRemoval, listRemovals } from '../../repository/keys/holder-removal.ts'
import { missingHolders, readHolders } from '../../repository/keys/key-ring.ts'
import { readKitProofs } from '../../repository/keys/kit-proof.ts'
import { planReseal } from '../../repository/reseal/plan.ts'
import { readRetiredEpochs } from '../../repository/retire-epoch.ts'
import { readShredProof } from '../../repository/shred.ts'
import type { Retake } from '../open.ts'
import type { ClusterKeysView, EpochView, HolderView, KeysStatus, OlderSealed } from './keys-view.ts'
import { recommend } from './recommendations.ts'
import { judgeRotation } from './rotation-policy.ts'

export interface KeysStatusOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
}

/**
 * Reads headers of all objects of a cluster that has more than one key, which takes time where there are many.
 *
 * ```ts
 * const { holders, clusters, recommendations } = await readKeysStatus(retake)
 * ```
 * @throws RetakeError `storage.*`, `aborted`; damage is part of the answer
 */
export async function readKeysStatus(retake: Retake, options: KeysStatusOptions = {}): Promise<KeysStatus> {
  const { repository, clock, config } = retake
  const now = clock.now()
  const policy = { days: config.keyRotationDays, now }
  const removed = await listRemovals(repository)
  const holders = await viewHolders(retake, { policy, removed })
  const clusters: ClusterKeysView[] = []
  for (const name of await repository.listClusters())
    clusters.push(await viewCluster(retake, name, { ...options, policy }))
  const facts = { holders, clusters, now }
  return {
    repository: repository.url,
    repositoryId: repository.id,
    at: now.toISOString(),
    rotationDays: config.keyRotationDays,
    removed,
    ...facts,
    recommendations: recommend(facts),
  }
}

interface Policy {
  readonly days: number | undefined
  readonly now: Date
}

/** The keys that open the repository; quick, as nothing but their own small objects is read. */
export async function readHolderViews(retake: Retake): Promise<HolderView[]> {
  const policy = { days: retake.config.keyRotationDays, now: retake.clock.now() }
  return viewHolders(retake, { policy, removed: await listRemovals(retake.repository) })
}

async function viewHolders(
  { repository }: Retake,
  options: { readonly policy: Policy; readonly removed: readonly HolderRemoval[] },
): Promise<HolderView[]> {
  const proofs = await readKitProofs(repository, { onDamage: () => {} })
  const removing = new Set(options.removed.map(({ holder }) => holder))
  const stored = await readHolders(repository.store)
  const views = stored.map(({ key, file }): HolderView => {
    const holder = key.slice('keys/'.length, -'.json'.length)
    const good = file !== undefined && isAuthenticHolder(file, repository.repositoryKey)
    const createdAt = file?.createdAt ?? ''
    return {
      holder,
      kind: file?.kind ?? 'unknown',
      label: file?.label ?? '',
      createdAt,
      inUse: holder === repository.openedBy,
      state: good ? (removing.has(holder) ? 'removing' : 'good') : 'damaged',
      proof: proofs.get(holder),
      // A recovery kit is proven, not replaced by the calendar.
      ...(file?.kind === 'recovery-kit' ? { due: false } : judgeRotation(createdAt, options.policy)),
    }
  })
  const missing = (await missingHolders(repository.store, stored)).map((key): HolderView => {
    const holder = key.slice('keys/'.length, -'.json'.length)
    return { holder, kind: 'unknown', label: '', createdAt: '', inUse: false, state: 'missing', due: false }
  })
  return [...views, ...missing].sort((left, right) => (left.createdAt < right.createdAt ? -1 : 1))
}

async function viewCluster(
  { repository }: Retake,
  name: string,
  options: KeysStatusOptions & { readonly policy: Policy },
): Promise<ClusterKeysView> {
  const nothing = { cluster: name, epochs: [], damaged: [], due: false }
  try {
    const shredded = await readShredProof(repository, name)
    if (shredded) return { ...nothing, shredded }
    const cluster = await repository.openCluster(name)
    const damaged: string[] = []
    const usage = await readEpochUsage(cluster, { ...options, onDamage: (_, object) => damaged.push(object) })
    const { retiring } = await readRetiredEpochs(repository, name)
    const stored = await readEpochs(repository, name)
    const epochs = stored.map(({ epoch, createdAt }, index) => ({
      ...(usage.get(epoch) ?? { packs: 0, packBytes: 0, objects: 0, objectBytes: 0 }),
      epoch,
      createdAt,
      current: index === stored.length - 1,
      retiringSince: retiring.get(epoch),
    }))
    const older = await viewOlder(cluster, epochs, options)
    return {
      ...nothing,
      epochs,
      ...(older ? { older } : {}),
      damaged,
      ...judgeRotation(epochs.at(-1)?.createdAt ?? '', options.policy),
    }
  } catch (error) {
    if (!isExpected(error)) throw error
    return { ...nothing, error: { code: error.code, message: error.message } }
  }
}

/** What is to be done about what older keys seal; that nothing of it needs them does not mean that it is gone. */
async function viewOlder(
  cluster: ClusterRepository,
  epochs: readonly EpochView[],
  options: KeysStatusOptions,
): Promise<OlderSealed | undefined> {
  const sealed = epochs.filter(({ current }) => !current).reduce((sum, { packs, objects }) => sum + packs + objects, 0)
  if (sealed === 0) return undefined
  const { packs, manifests, objects, walEnd, passing } = await planReseal(cluster, options)
  // A manifest is written anew also where only packs of it are under an older key.
  const toSealAnew = packs.size + manifests.size + objects.size
  return { toSealAnew, walEnd, passing, toPrune: Math.max(0, sealed - toSealAnew - walEnd - passing) }
}

/** A cluster that is damaged, or was never registered completely, does not hide the others. */
function isExpected(error: unknown): error is RetakeError {
  return isRetakeError(error, 'repo.damaged') || isRetakeError(error, 'cluster.missing')
}
