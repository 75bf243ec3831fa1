/** One cluster in a repository: who it is, and the data keys that seal its objects. */
import * as z from 'zod'
import type { Clock } from '../base/clock.ts'
import { RetakeError } from '../base/errors.ts'
import type { ObjectReader, ObjectStore } from '../storage/object-store.ts'
import { damaged, getSmall, putSmall } from './container.ts'
import { createFirstEpoch, openClusterSealing } from './epochs.ts'
import { assertClusterName, clusterFactsKey, clusterPrefix, epochPrefix } from './layout.ts'
import { decodeMeta } from './meta.ts'
import type { Sealing } from './sealing.ts'

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
  return { facts, store: place.store, sealing: await openClusterSealing(place, name) }
}

/** The data key is stored before the facts, so that registered facts always have a key. */
export async function registerClusterRepository(
  place: Place & { readonly clock: Clock },
  facts: ClusterFacts,
): Promise<ClusterRepository> {
  const { store, sealing } = place
  const { name } = facts
  assertClusterName(name)
  if ((await readFacts(place, name)) === undefined) {
    await assertNothingHeld(store, name)
    await createFirstEpoch(place, name)
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
