/**
 * The end of a data key that seals nothing any more, in two phases: `retiring` announces it; after a time of grace, when it still
 * seals nothing and nobody who could use it is under way, `retired` records what is destroyed, and the key goes.
 */
import * as z from 'zod'
import { throwIfAborted } from '../base/abort.ts'
import { type Clock, systemClock } from '../base/clock.ts'
import { storeOfCopy } from '../storage/mirrored/copy-store.ts'
import { MirroredStore } from '../storage/mirrored/mirrored-store.ts'
import type { ObjectReader } from '../storage/object-store.ts'
import type { ClusterRepository } from './cluster.ts'
import { getSmall, putSmall } from './container.ts'
import { type EpochUsage, readEpochUsage, type UsageOptions } from './epoch-usage.ts'
import { type KeyPlace, readEpochs } from './epochs.ts'
import { sha256Hex } from './keys/digest.ts'
import { epochKey, epochPrefix, epochRecordKey, parseEpochKey } from './layout.ts'
import { acquireLease, leaseRoles, readLeaseHolder } from './lease.ts'
import { decodeMeta } from './meta.ts'

/** A copy of the repository that is behind by less than this still opens with the keys that it has. */
export const DEFAULT_RETIRE_GRACE_MS = 7 * 86_400_000

export interface RetireOptions extends UsageOptions {
  /** Default 7 days. */
  readonly graceMs?: number | undefined
  /** For the record: `user@host`. */
  readonly by: string
  readonly clock?: Clock | undefined
  /** Why an epoch is in use outside of the repository, where that is so. */
  readonly neededElsewhere?: ((epoch: number) => string | undefined) | undefined
  /** Say what would be done, and change nothing. */
  readonly dryRun?: boolean | undefined
}

export interface EpochRetirement {
  readonly epoch: number
  /** `announced`: it goes after the time of grace. `waiting`: announced before. `in-use`: it stays; `because` says why. */
  readonly outcome: 'announced' | 'waiting' | 'retired' | 'in-use'
  readonly because?: string | undefined
  /** From when on it may go, ISO 8601 UTC. */
  readonly dueAt?: string | undefined
}

const retiringSchema = z.object({ epoch: z.int().positive(), announcedAt: z.iso.datetime() })
const retiredSchema = z.object({
  epoch: z.int().positive(),
  retiredAt: z.iso.datetime(),
  by: z.string(),
  /** Of the object that held the key. */
  sha256: z.string(),
})

export type RetiredEpoch = z.infer<typeof retiredSchema>

/**
 * Retires every epoch but the newest that seals nothing any more.
 * @throws RetakeError `repo.locked` while pruning or re-encryption runs, `repo.damaged` when a manifest cannot be read
 */
export async function retireEpochs(
  place: KeyPlace,
  cluster: ClusterRepository,
  options: RetireOptions,
): Promise<EpochRetirement[]> {
  const { clock = systemClock } = options
  await using lease = await acquireLease(cluster, { role: 'prune', holder: 'retake keys retire', clock })
  const epochs = await readEpochs(place, cluster.facts.name)
  const older = epochs.slice(0, -1)
  if (older.length === 0) return []
  const usage = await readEpochUsage(cluster, options)
  const oldestInUse = await oldestEpochOfWriters(cluster, clock)
  const behind = await copiesBehind(cluster, options)
  const outcomes: EpochRetirement[] = []
  for (const { epoch } of older) {
    throwIfAborted(options.signal)
    await lease.assertHeld()
    const inUse = { usage: usage.get(epoch), oldestInUse, behind: behind.get(epoch) }
    const because = whyInUse(epoch, inUse) ?? options.neededElsewhere?.(epoch)
    outcomes.push(await retireOne(place, cluster.facts.name, { ...options, epoch, because, clock }))
  }
  return outcomes
}

function whyInUse(
  epoch: number,
  facts: {
    readonly usage: EpochUsage | undefined
    readonly oldestInUse: WriterEpoch | undefined
    readonly behind: string | undefined
  },
): string | undefined {
  const { usage, oldestInUse, behind } = facts
  if (usage) {
    return `it seals ${usage.packs} packs and ${usage.objects} other objects; seal them anew with \`retake keys re-encrypt\`, and prune what was replaced with \`retake prune\``
  }
  if (behind !== undefined)
    return `the copy "${behind}" still has objects that it seals; bring it up to date with \`retake repo sync --full\``
  if (oldestInUse && oldestInUse.epoch <= epoch)
    return `${oldestInUse.holder} began before the newest key and may still seal with it`
  return undefined
}

/**
 * By epoch, a copy of the repository in which it still seals something. A copy that was away while objects were replaced has them as
 * they were, and would lose them with the key.
 */
async function copiesBehind(cluster: ClusterRepository, options: UsageOptions): Promise<Map<number, string>> {
  const behind = new Map<number, string>()
  if (!(cluster.store instanceof MirroredStore)) return behind
  for (const copy of cluster.store.copies.copies) {
    const usage = await readEpochUsage({ ...cluster, store: storeOfCopy(copy) }, options)
    for (const epoch of usage.keys()) behind.set(epoch, copy.name)
  }
  return behind
}

interface WriterEpoch {
  readonly epoch: number
  readonly holder: string
}

/** Whoever takes a lease from now on uses the newest key; who holds one may seal with the key that it began with. */
async function oldestEpochOfWriters(cluster: ClusterRepository, clock: Clock): Promise<WriterEpoch | undefined> {
  let oldest: WriterEpoch | undefined
  for (const role of leaseRoles) {
    const record = await readLeaseHolder(cluster, { role, clock })
    if (record === undefined) continue
    const epoch = record.epoch ?? 0
    if (oldest === undefined || epoch < oldest.epoch) oldest = { epoch, holder: record.holder }
  }
  return oldest
}

async function retireOne(
  place: KeyPlace,
  cluster: string,
  options: RetireOptions & { readonly epoch: number; readonly because: string | undefined; readonly clock: Clock },
): Promise<EpochRetirement> {
  const { store, sealing } = place
  const { epoch, because, clock, graceMs = DEFAULT_RETIRE_GRACE_MS, dryRun } = options
  const retiring = { key: epochRecordKey(cluster, epoch, 'retiring'), kind: 'epochRetiring' } as const
  const stored = await getSmall(store, sealing, retiring)
  if (because !== undefined) {
    if (stored !== undefined && !dryRun) await store.delete(retiring.key)
    return { epoch, outcome: 'in-use', because }
  }
  const now = clock.now()
  const announcedAt =
    stored === undefined ? now.toISOString() : decodeMeta(retiringSchema, stored, retiring).announcedAt
  const dueMs = Date.parse(announcedAt) + graceMs
  const dueAt = new Date(dueMs).toISOString()
  if (stored === undefined && !dryRun) await putSmall(store, sealing, { ...retiring, meta: { epoch, announcedAt } })
  if (dueMs > now.getTime()) return { epoch, outcome: stored === undefined ? 'announced' : 'waiting', dueAt }
  if (!dryRun) await destroyKey(place, cluster, { epoch, by: options.by, retiredAt: now.toISOString() })
  return { epoch, outcome: 'retired', dueAt }
}

/** The record first: a key that is missing was retired, which it proves, or lost. */
async function destroyKey(place: KeyPlace, cluster: string, facts: Omit<RetiredEpoch, 'sha256'>): Promise<void> {
  const { store, sealing } = place
  const object = epochKey(cluster, facts.epoch)
  const bytes = await store.get(object)
  if (bytes !== undefined) {
    const meta = retiredSchema.parse({ ...facts, sha256: sha256Hex(bytes) })
    await putSmall(store, sealing, { key: epochRecordKey(cluster, facts.epoch, 'retired'), kind: 'epochRetired', meta })
  }
  await store.delete(object)
  await store.delete(epochRecordKey(cluster, facts.epoch, 'retiring'))
}

/** What is recorded of the ends of epochs. @throws RetakeError `repo.damaged` */
export async function readRetiredEpochs(
  place: { readonly store: ObjectReader; readonly sealing: KeyPlace['sealing'] },
  cluster: string,
): Promise<{ readonly retiring: ReadonlyMap<number, string>; readonly retired: readonly RetiredEpoch[] }> {
  const retiring = new Map<number, string>()
  const retired: RetiredEpoch[] = []
  for await (const { key } of place.store.list(epochPrefix(cluster))) {
    const what = parseEpochKey(cluster, key)?.what
    if (what === 'retiring') {
      const name = { key, kind: 'epochRetiring' } as const
      const meta = await getSmall(place.store, place.sealing, name)
      if (meta === undefined) continue
      const { epoch, announcedAt } = decodeMeta(retiringSchema, meta, name)
      retiring.set(epoch, announcedAt)
    } else if (what === 'retired') {
      const name = { key, kind: 'epochRetired' } as const
      const meta = await getSmall(place.store, place.sealing, name)
      if (meta !== undefined) retired.push(decodeMeta(retiredSchema, meta, name))
    }
  }
  return { retiring, retired }
}
