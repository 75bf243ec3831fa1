import { throwIfAborted } from '../../base/abort.ts'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { listSealedPacks } from '../../repository/epoch-usage.ts'
import { readEpochs } from '../../repository/epochs.ts'
import {
  clusterFactsKey,
  clusterPrefix,
  PACKS_PREFIX,
  packIdPrefix,
  packKey,
  parsePackKey,
  shredKey,
  shredPrefix,
} from '../../repository/layout.ts'
import { acquireLease, leaseRoles } from '../../repository/lease.ts'
import { listBackupIds } from '../../repository/manifest-store.ts'
import { listReaders } from '../../repository/readers.ts'
import { listRuns } from '../../repository/runs.ts'
import { beginShred, finishShred, readShreddedPacks, readShredProof, type ShredProof } from '../../repository/shred.ts'
import type { Retake } from '../open.ts'
import { currentActor } from './actor.ts'

export interface ShredOptions {
  readonly cluster: string
  /** The name of the cluster again, typed by a person. Without it nothing is destroyed. */
  readonly confirm?: string | undefined
  /** Say what would be lost, and destroy nothing. */
  readonly dryRun?: boolean | undefined
  /** Also delete what nobody can read any more, to have its space back. Default false. */
  readonly deleteObjects?: boolean | undefined
  /** For the proof. Default: `user@host`. */
  readonly by?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface ShredReport {
  readonly cluster: string
  readonly outcome: 'planned' | 'shredded' | 'was-shredded'
  /** What is lost, or of a plan, what would be. */
  readonly backups: number
  readonly packs: number
  readonly epochs: number
  readonly proof?: ShredProof | undefined
  /** Objects that were deleted, and those that the storage does not let go yet (Object Lock). */
  readonly deleted?: { readonly objects: number; readonly locked: number } | undefined
}

/**
 * Destroys every data key of a cluster. Nothing of it can be read afterwards, by anybody, here or in any copy of its objects; it
 * cannot be undone. A copy of the repository that still has the key objects (a mirror that was offline, Object Lock, a disk image)
 * can still be read by who has a key of the repository: destroy `clusters/<cluster>/keys/` there as well.
 * @throws RetakeError `key.refused` without the name, or while something runs; `cluster.missing`; `repo.locked`; `storage.locked`
 * while the storage keeps a data key under Object Lock (nothing was changed then)
 */
export async function shredCluster(retake: Retake, options: ShredOptions): Promise<ShredReport> {
  const { repository, clock } = retake
  const name = options.cluster
  const begun = (await repository.store.head(shredKey(name, 'begun'))) !== undefined
  if (begun) return await finish(retake, options)
  const cluster = await repository.openCluster(name)
  await assertUnlocked(retake, name)
  const { packs, backups } = await inventory(cluster, options)
  const lost = { cluster: name, backups, packs: packs.size }
  if (options.dryRun) return { ...lost, outcome: 'planned', epochs: await countEpochs(retake, name) }
  assertConfirmed(options)
  const epochs = await countEpochs(retake, name)
  {
    await using leases = new AsyncDisposableStack()
    // With all of them nobody writes; who comes afterwards finds the record.
    for (const role of leaseRoles)
      leases.use(await acquireLease(cluster, { role, holder: 'retake keys shred', clock, logger: retake.logger }))
    const readers = await listReaders(cluster, { clock })
    if (readers.length > 0) throw busy(name)
    await beginShred(repository, cluster, { packs, by: options.by ?? currentActor(), now: clock.now() })
  }
  const proof = await finishShred(repository, name, clock.now())
  return { ...lost, epochs, outcome: 'shredded', proof, ...(await deleteRest(retake, options)) }
}

/** One that was cut short is finished; one that is complete is looked through again for keys that have come back. */
async function finish(retake: Retake, options: ShredOptions): Promise<ShredReport> {
  const { repository, clock } = retake
  const known = await readShredProof(repository, options.cluster)
  const facts = { cluster: options.cluster, backups: 0, packs: known?.packs ?? 0, epochs: known?.keys.length ?? 0 }
  if (options.dryRun) return { ...facts, outcome: 'was-shredded', proof: known }
  assertConfirmed(options)
  const proof = await finishShred(repository, options.cluster, clock.now())
  const outcome = known?.doneAt === undefined ? 'shredded' : 'was-shredded'
  return { ...facts, outcome, proof, ...(await deleteRest(retake, options)) }
}

/** All but the name of the cluster and the proof. */
async function deleteRest({ repository }: Retake, options: ShredOptions): Promise<Pick<ShredReport, 'deleted'>> {
  if (!options.deleteObjects) return {}
  const { store } = repository
  const name = options.cluster
  const keys: string[] = []
  for await (const { key } of store.list(clusterPrefix(name)))
    if (key !== clusterFactsKey(name) && !key.startsWith(shredPrefix(name))) keys.push(key)
  for (const packId of await readShreddedPacks(repository, name)) keys.push(packKey(packId))
  const deleted = { objects: 0, locked: 0 }
  for (const key of keys) {
    throwIfAborted(options.signal)
    try {
      if (await store.delete(key)) deleted.objects += 1
    } catch (error) {
      if (!isRetakeError(error, 'storage.locked')) throw error
      deleted.locked += 1
    }
  }
  return { deleted }
}

/** The packs of the cluster, and of its backups that were never completed. */
async function inventory(cluster: ClusterRepository, options: ShredOptions) {
  // A manifest that cannot be read does not keep the rest from being destroyed; its packs then are packs that nothing refers to.
  const onDamage = () => {}
  const sealed = await listSealedPacks(cluster, { signal: options.signal, onDamage })
  const packs = new Set(sealed.map(({ packId }) => packId))
  const runs = await listRuns(cluster)
  const prefixes = new Set([...runs.begun, ...runs.rewrites].map(packIdPrefix))
  for await (const { key } of cluster.store.list(PACKS_PREFIX)) {
    const packId = parsePackKey(key)
    if (packId !== undefined && prefixes.has(packId.slice(0, 8))) packs.add(packId)
  }
  return { packs, backups: (await listBackupIds(cluster)).length }
}

async function countEpochs({ repository }: Retake, cluster: string): Promise<number> {
  return (await readEpochs(repository, cluster)).length
}

/** Before anything is recorded: a cluster whose keys cannot be destroyed yet would be refused to everybody, and be readable. */
async function assertUnlocked({ repository, clock }: Retake, cluster: string): Promise<void> {
  const { store } = repository
  let until = clock.now()
  let locked: string | undefined
  for (const { objectKey } of await readEpochs(repository, cluster)) {
    const { lockedUntil } = (await store.head(objectKey)) ?? {}
    if (lockedUntil === undefined || lockedUntil <= until) continue
    until = lockedUntil
    locked = objectKey
  }
  if (locked === undefined) return
  throw new RetakeError(
    'storage.locked',
    `"${cluster}" cannot be shredded before ${until.toISOString()}: the storage keeps ${locked} locked until then. Nothing was changed.`,
    {
      hint: 'Each backup locks the keys anew: make no further one of this cluster, and run it again then.',
      details: { object: locked, cluster, until: until.toISOString() },
    },
  )
}

function assertConfirmed(options: ShredOptions): void {
  if (options.confirm === options.cluster) return
  throw new RetakeError(
    'key.refused',
    `Shredding destroys every backup and all WAL of "${options.cluster}" for ever, and was not confirmed.`,
    {
      hint: `See what would be lost with --dry-run. If you mean it: retake keys shred ${options.cluster} --yes ${options.cluster}`,
      details: { cluster: options.cluster },
    },
  )
}

function busy(cluster: string): RetakeError {
  return new RetakeError(
    'repo.locked',
    `Backups of "${cluster}" are being read just now (a restore or a verification).`,
    {
      hint: 'Wait until it has ended. If it is dead, its claim ends by itself within five minutes.',
      details: { cluster },
    },
  )
}
