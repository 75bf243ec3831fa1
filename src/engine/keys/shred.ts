import { throwIfAborted } from '../../base/abort.ts'
import { isRetakeError, RetakeError } from '../../base/errors.ts'
import { assertKeysCanGo } from '../../repository/assert-keys-go.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { listSealedPacks } from '../../repository/epoch-usage.ts'
import { readEpochs } from '../../repository/epochs.ts'
import { readKeyCopies } from '../../repository/key-copies.ts'
import {
  clusterFactsKey,
  clusterPrefix,
  epochPrefix,
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

export interface ShredCopy {
  /** Its name, where the repository has several copies. */
  readonly copy?: string | undefined
  readonly url?: string | undefined
  /** Objects that hold keys or speak of them, and so many versions of them. */
  readonly objects: number
  readonly versions: number
}

export interface ShredReport {
  readonly cluster: string
  readonly outcome: 'planned' | 'shredded' | 'was-shredded'
  /** What is lost, or of a plan, what would be. */
  readonly backups: number
  readonly packs: number
  readonly epochs: number
  /** What each copy of the repository had of its keys; none of them keeps any. */
  readonly copies: readonly ShredCopy[]
  readonly proof?: ShredProof | undefined
  /** Objects that were deleted, and those that the storage does not let go yet (Object Lock). */
  readonly deleted?: { readonly objects: number; readonly locked: number } | undefined
}

/**
 * Destroys every data key of a cluster. Nothing of it can be read afterwards, by anybody, here or in any copy of its objects; it
 * cannot be undone. What lies elsewhere (a copy that was given up, an image of a disk) can still be read by who has a key of the
 * repository: destroy `clusters/<cluster>/keys/` there as well.
 * @throws RetakeError `key.refused` without the name, or while something runs; `cluster.missing`; `repo.locked`; `storage.locked`
 * while a copy keeps a data key (Object Lock, a legal hold), `storage.*` or `config.invalid` when one cannot be asked (nothing was
 * changed then); `storage.denied` when versions of keys were left
 */
export async function shredCluster(retake: Retake, options: ShredOptions): Promise<ShredReport> {
  const { repository, clock } = retake
  const name = options.cluster
  const begun = (await repository.store.head(shredKey(name, 'begun'))) !== undefined
  if (begun) return await finish(retake, options)
  const cluster = await repository.openCluster(name)
  const copies = await assertDestructible(retake, { cluster: name, phase: 'before' })
  const { packs, backups } = await inventory(cluster, options)
  const lost = { cluster: name, backups, packs: packs.size, copies }
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
  const copies = await assertDestructible(retake, { cluster: options.cluster, phase: 'begun' })
  const facts = {
    cluster: options.cluster,
    ...{ backups: 0, packs: known?.packs ?? 0, epochs: known?.keys.length ?? 0, copies },
  }
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

/**
 * Before anything is recorded: a cluster whose keys cannot be destroyed yet would be refused to everybody, and be readable. Every copy
 * is asked, because each has locks of its own.
 */
async function assertDestructible(
  { repository, clock }: Retake,
  what: { readonly cluster: string; readonly phase: 'before' | 'begun' },
): Promise<ShredCopy[]> {
  const copies = await readKeyCopies(repository.store, epochPrefix(what.cluster), clock.now())
  assertKeysCanGo(copies, what)
  return copies.map(({ copy, url, objects, versions }) => ({ copy, url, objects: objects.length, versions }))
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
