/** One cluster in a repository: who it is, and the data keys that seal its objects. */
import { randomBytes } from 'node:crypto'
import * as z from 'zod'
import type { Clock } from '../base/clock.ts'
import { RetakeError } from '../base/errors.ts'
import type { ObjectReader, ObjectStore } from '../storage/object-store.ts'
import { damaged, getSmall, putSmall } from './container.ts'
import { assertClusterName, clusterFactsKey, clusterPrefix, epochKey, epochPrefix } from './layout.ts'
import { decodeMeta } from './meta.ts'
import { importSealing, type Sealing } from './sealing.ts'

/** What a cluster is known by. */
export interface ClusterFacts {
  readonly name: string
  readonly systemIdentifier: string
  readonly serverVersionNum: number
  readonly walSegmentSizeBytes: number
  readonly blockSizeBytes: number
  /** The replication slot that keeps its WAL for us. */
  readonly slot: string
}

export interface ClusterRepository {
  readonly facts: ClusterFacts
  readonly store: ObjectStore
  readonly sealing: Sealing
}

interface Place {
  readonly store: ObjectStore
  /** The repository's own. */
  readonly sealing: Sealing
}

const factsSchema = z.object({
  name: z.string(),
  systemIdentifier: z.string().regex(/^\d+$/),
  serverVersionNum: z.int(),
  walSegmentSizeBytes: z.int().positive(),
  blockSizeBytes: z.int().positive(),
  slot: z.string(),
})
const epochSchema = z.object({ epoch: z.int().positive(), key: z.string(), createdAt: z.string() })

const FIRST_EPOCH = 1

/** Every name under `clusters/`, sorted; one listing per cluster, whatever it holds. */
export async function listClusterNames(reader: ObjectReader): Promise<string[]> {
  const names: string[] = []
  let startAfter: string | undefined
  for (;;) {
    const name = await firstName(reader, startAfter)
    if (name === undefined) return names.sort()
    names.push(name)
    // `~` is greater than every character of a key.
    startAfter = `${clusterPrefix(name)}~`
  }
}

async function firstName(reader: ObjectReader, startAfter: string | undefined): Promise<string | undefined> {
  for await (const { key } of reader.list('clusters/', { startAfter })) return key.split('/')[1]
  return undefined
}

/** @throws RetakeError `cluster.missing`, `repo.damaged` */
export async function openClusterRepository(place: Place, name: string): Promise<ClusterRepository> {
  assertClusterName(name)
  const facts = await readFacts(place, name)
  if (facts === undefined) {
    await assertNothingHeld(place.store, name)
    const names = await listClusterNames(place.store)
    throw new RetakeError('cluster.missing', `The repository holds no cluster "${name}".`, {
      hint:
        names.length > 0
          ? `It holds: ${names.join(', ')}. Choose one with --cluster.`
          : 'Run `retake init` to register the server.',
      details: { cluster: name, clusters: names },
    })
  }
  return { facts, store: place.store, sealing: await openSealing(place, name) }
}

/** The data key is stored before the facts, so that registered facts always have a key. */
export async function registerClusterRepository(
  place: Place & { readonly clock: Clock },
  facts: ClusterFacts,
): Promise<ClusterRepository> {
  const { store, sealing, clock } = place
  const { name } = facts
  assertClusterName(name)
  if ((await readFacts(place, name)) === undefined) {
    await assertNothingHeld(store, name)
    await putSmall(store, sealing, {
      key: epochKey(name, FIRST_EPOCH),
      kind: 'clusterKey',
      meta: { epoch: FIRST_EPOCH, key: randomBytes(32).toString('base64url'), createdAt: clock.now().toISOString() },
    })
    await putSmall(store, sealing, { key: clusterFactsKey(name), kind: 'cluster', meta: facts })
  }
  const cluster = await openClusterRepository(place, name)
  assertSameCluster(cluster.facts, facts)
  return cluster
}

function assertSameCluster(stored: ClusterFacts, offered: ClusterFacts): void {
  const differing = (['systemIdentifier', 'walSegmentSizeBytes', 'blockSizeBytes'] as const).find(
    (field) => stored[field] !== offered[field],
  )
  if (differing === undefined) return
  throw new RetakeError(
    'cluster.foreign',
    `The server is not the cluster "${stored.name}" of this repository: its ${words[differing]} is ${offered[differing]}, not ${stored[differing]}.`,
    {
      hint: 'Check the address of the server, or register it under another name with --cluster.',
      details: { cluster: stored.name, stored: stored[differing], offered: offered[differing] },
    },
  )
}

const words = {
  systemIdentifier: 'system identifier',
  walSegmentSizeBytes: 'WAL segment size',
  blockSizeBytes: 'block size',
} as const

async function readFacts(place: Place, name: string): Promise<ClusterFacts | undefined> {
  const object = { key: clusterFactsKey(name), kind: 'cluster' } as const
  const meta = await getSmall(place.store, place.sealing, object)
  return meta === undefined ? undefined : decodeMeta(factsSchema, meta, object)
}

/** Facts may be missing because the cluster was never registered, but not when there already is data of it. */
async function assertNothingHeld(reader: ObjectReader, name: string): Promise<void> {
  for await (const { key } of reader.list(clusterPrefix(name))) {
    if (!key.startsWith(epochPrefix(name))) {
      throw damaged({ key: clusterFactsKey(name) }, `it is missing, though there is ${key}`)
    }
  }
}

async function openSealing(place: Place, name: string): Promise<Sealing> {
  const epochs: { epoch: number; key: Uint8Array }[] = []
  for await (const { key } of place.store.list(epochPrefix(name))) {
    const object = { key, kind: 'clusterKey' } as const
    const meta = decodeMeta(epochSchema, await getSmall(place.store, place.sealing, object), object)
    if (key !== epochKey(name, meta.epoch)) throw damaged(object, 'it holds the key of another epoch')
    epochs.push({ epoch: meta.epoch, key: new Uint8Array(Buffer.from(meta.key, 'base64url')) })
  }
  if (epochs.length === 0) {
    throw damaged({ key: epochKey(name, FIRST_EPOCH) }, 'it is missing; nothing of this cluster can be read without it')
  }
  return importSealing({ repositoryId: place.sealing.repositoryId, epochs })
}
