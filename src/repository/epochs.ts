/** The data keys of a cluster: one object per epoch, sealed with the repository key. New objects use the newest, all open. */
import { randomBytes } from 'node:crypto'
import * as z from 'zod'
import type { Clock } from '../base/clock.ts'
import { RetakeError } from '../base/errors.ts'
import type { ObjectReader, ObjectStore } from '../storage/object-store.ts'
import { damaged, getSmall, putSmall } from './container.ts'
import { epochKey, epochPrefix, parseEpochKey, shredKey } from './layout.ts'
import { decodeMeta } from './meta.ts'
import { deriveKey, openSealing, type Sealing, type SealingData } from './sealing.ts'

/** Where the keys of clusters are: the repository's storage, and the sealing by its own key. */
export interface KeyPlace {
  readonly store: ObjectStore
  readonly sealing: Sealing
}

export interface StoredEpoch {
  readonly epoch: number
  /** Of its object. */
  readonly objectKey: string
  /** Our clock, ISO 8601 UTC. */
  readonly createdAt: string
}

interface EpochWithKey extends StoredEpoch {
  /** Secret. */
  readonly key: Uint8Array
  /** Secret; absent in the very first epoch, from whose key it is derived. */
  readonly contentKey?: Uint8Array | undefined
}

const epochSchema = z.object({
  epoch: z.int().positive(),
  key: z.string(),
  createdAt: z.string(),
  contentKey: z.string().optional(),
})

export const FIRST_EPOCH = 1

/** Stores the key of the first epoch; what is there already stays as it is. */
export async function createFirstEpoch(place: KeyPlace & { readonly clock: Clock }, cluster: string): Promise<void> {
  await putSmall(place.store, place.sealing, {
    key: epochKey(cluster, FIRST_EPOCH),
    kind: 'clusterKey',
    meta: { epoch: FIRST_EPOCH, key: newKey(), createdAt: place.clock.now().toISOString() },
  })
}

export interface CreatedEpoch {
  readonly epoch: number
  readonly createdAt: string
  /** False when somebody else created this epoch at the same time; then it is theirs that counts. */
  readonly created: boolean
}

/**
 * Begins a new epoch: writers that open the cluster from now on seal with it. One object, created and never changed, so a
 * crash leaves the epoch or nothing, and of two that race one wins.
 * @throws RetakeError `cluster.missing`, `cluster.shredded`, `repo.damaged`
 */
export async function createEpoch(place: KeyPlace & { readonly clock: Clock }, cluster: string): Promise<CreatedEpoch> {
  const epochs = await readEpochKeys(place, cluster)
  const data = sealingDataOf(place, cluster, epochs)
  const { contentKey } = await openSealing(async () => data)
  const epoch = (await highestEpoch(place.store, cluster)) + 1
  const createdAt = place.clock.now().toISOString()
  const created = await putSmall(place.store, place.sealing, {
    key: epochKey(cluster, epoch),
    kind: 'clusterKey',
    meta: { epoch, key: newKey(), createdAt, contentKey: Buffer.from(contentKey).toString('base64url') },
  })
  try {
    await refuseShredded(place.store, cluster)
  } catch (error) {
    if (created) await place.store.delete(epochKey(cluster, epoch))
    throw error
  }
  if (created) return { epoch, createdAt, created }
  const winner = (await readEpochs(place, cluster)).find((one) => one.epoch === epoch)
  return { epoch, createdAt: winner?.createdAt ?? createdAt, created }
}

/** The epochs whose keys are held, oldest first. @throws RetakeError `repo.damaged` */
export async function readEpochs(place: KeyPlace, cluster: string): Promise<StoredEpoch[]> {
  const epochs = await readEpochKeys(place, cluster)
  return epochs.map(({ epoch, objectKey, createdAt }) => ({ epoch, objectKey, createdAt }))
}

/**
 * The sealing of a cluster; its `refresh` finds epochs that were added, and forgets those that were retired.
 * @throws RetakeError `cluster.shredded`, `repo.damaged`
 */
export async function openClusterSealing(place: KeyPlace, cluster: string): Promise<Sealing> {
  let known: { readonly objects: string; readonly data: SealingData } | undefined
  return await openSealing(async () => {
    await refuseShredded(place.store, cluster)
    const objects = (await listEpochKeys(place.store, cluster)).join()
    if (known?.objects !== objects) {
      known = { objects, data: sealingDataOf(place, cluster, await readEpochKeys(place, cluster)) }
    }
    return known.data
  })
}

/** Whether the keys of a cluster were destroyed on purpose, or are being destroyed. Needs no key. */
export async function isShredded(reader: ObjectReader, cluster: string): Promise<boolean> {
  return (await reader.head(shredKey(cluster, 'begun'))) !== undefined
}

/** @throws RetakeError `cluster.shredded` */
async function refuseShredded(reader: ObjectReader, cluster: string): Promise<void> {
  if (!(await isShredded(reader, cluster))) return
  if ((await reader.head(shredKey(cluster, 'done'))) === undefined) {
    throw new RetakeError(
      'cluster.shredded',
      `The shredding of the cluster "${cluster}" has begun and is not complete: not every data key is known to be destroyed.`,
      { hint: `Finish it: retake keys shred ${cluster} --yes ${cluster}`, details: { cluster } },
    )
  }
  throw new RetakeError(
    'cluster.shredded',
    `The cluster "${cluster}" was shredded: its data keys were destroyed, and nothing of it can be read any more.`,
    {
      hint: 'See the proof with `retake keys status`. Register a server under another name: --cluster NAME.',
      details: { cluster },
    },
  )
}

function sealingDataOf(place: KeyPlace, cluster: string, epochs: readonly EpochWithKey[]): SealingData {
  const [first] = epochs
  if (first === undefined) {
    throw damaged(
      { key: epochKey(cluster, FIRST_EPOCH) },
      'it is missing; nothing of this cluster can be read without it',
    )
  }
  const { repositoryId } = place.sealing
  const contentKey =
    epochs.at(-1)?.contentKey ??
    (first.epoch === FIRST_EPOCH ? deriveKey(first.key, { repositoryId, purpose: 'content' }) : first.contentKey)
  if (contentKey === undefined) throw damaged({ key: first.objectKey }, 'it has no key of content ids')
  return { repositoryId, epochs: epochs.map(({ epoch, key }) => ({ epoch, key })), contentKey }
}

async function readEpochKeys(place: KeyPlace, cluster: string): Promise<EpochWithKey[]> {
  const epochs: EpochWithKey[] = []
  for (const objectKey of await listEpochKeys(place.store, cluster)) {
    const object = { key: objectKey, kind: 'clusterKey' } as const
    const stored = await getSmall(place.store, place.sealing, object)
    // Retired between the listing and the reading.
    if (stored === undefined) continue
    const meta = decodeMeta(epochSchema, stored, object)
    if (objectKey !== epochKey(cluster, meta.epoch)) throw damaged(object, 'it holds the key of another epoch')
    epochs.push({
      epoch: meta.epoch,
      objectKey,
      createdAt: meta.createdAt,
      key: decodeKey(meta.key),
      contentKey: meta.contentKey === undefined ? undefined : decodeKey(meta.contentKey),
    })
  }
  return epochs
}

async function listEpochKeys(reader: ObjectReader, cluster: string): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of reader.list(epochPrefix(cluster))) {
    if (parseEpochKey(cluster, key)?.what === 'key') keys.push(key)
  }
  return keys
}

/** Numbers are never used again, those of retired epochs included. */
async function highestEpoch(reader: ObjectReader, cluster: string): Promise<number> {
  let highest = 0
  for await (const { key } of reader.list(epochPrefix(cluster))) {
    highest = Math.max(highest, parseEpochKey(cluster, key)?.epoch ?? 0)
  }
  return highest
}

function newKey(): string {
  return randomBytes(32).toString('base64url')
}

function decodeKey(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64url'))
}
