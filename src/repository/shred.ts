/**
 * The end of a cluster: its data keys are destroyed, so that nothing which they seal can be read by anybody, wherever copies of it
 * are. Two records that the repository key seals say so: `begun`, from which on the cluster counts as shredded and nothing
 * writes to it, and `done`, when no key is left.
 */
import * as z from 'zod'
import type { ObjectReader } from '../storage/object-store.ts'
import { assertKeysGone } from './assert-keys-go.ts'
import type { ClusterRepository } from './cluster.ts'
import { ContainerWriter, damaged, getSmall, openContainer, putSmall } from './container.ts'
import type { KeyPlace } from './epochs.ts'
import { readKeyCopies } from './key-copies.ts'
import { sha256Hex } from './keys/digest.ts'
import { clusterPrefix, epochPrefix, PACKS_PREFIX, parseEpochKey, parsePackKey, shredKey } from './layout.ts'
import { decodeMeta } from './meta.ts'
import { readFrames } from './read-frames.ts'
import { MAX_FRAME_BYTES } from './sealing.ts'

/** What was there, and what became of it. Only facts that are no secret of the cluster. */
export interface ShredProof {
  readonly cluster: string
  readonly systemIdentifier: string
  /** Our clock, ISO 8601 UTC. */
  readonly begunAt: string
  /** Who ran it: `user@host`. */
  readonly by: string
  /** The data keys that were destroyed: their objects as they were stored, sealed. */
  readonly keys: readonly { readonly object: string; readonly epoch: number; readonly sha256: string }[]
  /** Objects that nobody can read any more; they only take up space. */
  readonly objects: number
  readonly bytes: number
  readonly packs: number
  readonly packBytes: number
  /** When the last key was gone; absent while that is not known to be complete. */
  readonly doneAt?: string | undefined
}

const begunSchema = z.object({
  cluster: z.string(),
  systemIdentifier: z.string(),
  begunAt: z.string(),
  by: z.string(),
  keys: z.array(z.object({ object: z.string(), epoch: z.int(), sha256: z.string() })),
  objects: z.int(),
  bytes: z.int(),
  packs: z.int(),
  packBytes: z.int(),
})
const doneSchema = z.object({ cluster: z.string(), doneAt: z.string(), begunSha256: z.string() })

const PACK_ID_BYTES = 16

/**
 * Records that the cluster is shredded, with an inventory. From here on nobody opens it.
 * @param packs the ids of its packs, which nobody can tell from those of other clusters afterwards
 * @returns false when it was recorded already
 */
export async function beginShred(
  place: KeyPlace,
  cluster: ClusterRepository,
  facts: { readonly packs: ReadonlySet<string>; readonly by: string; readonly now: Date },
): Promise<boolean> {
  const { name, systemIdentifier } = cluster.facts
  const { packs } = facts
  const sizes = await measure(place.store, { prefix: clusterPrefix(name), packs })
  const keys = []
  for await (const { key } of place.store.list(epochPrefix(name))) {
    const parsed = parseEpochKey(name, key)
    const bytes = parsed?.what === 'key' ? await place.store.get(key) : undefined
    if (parsed && bytes) keys.push({ object: key, epoch: parsed.epoch, sha256: sha256Hex(bytes) })
  }
  const meta = { cluster: name, systemIdentifier, begunAt: facts.now.toISOString(), by: facts.by, keys, ...sizes }
  await using writer = await ContainerWriter.open(place.store, place.sealing, begunName(name))
  for (const frame of packFrames(packs)) await writer.writeFrame(frame, { codec: 'raw' })
  return await writer.commit(begunSchema.parse(meta))
}

/**
 * Deletes every data key of a cluster whose shredding has begun, looks whether any copy stores one still, then records that it is complete.
 * Done again, it goes on.
 * @throws RetakeError `storage.locked`, `storage.denied` or what a copy said, when not every key is known to be gone
 */
export async function finishShred(place: KeyPlace, cluster: string, now: Date): Promise<ShredProof> {
  const { store, sealing } = place
  const begun = await store.get(shredKey(cluster, 'begun'))
  if (begun === undefined) throw damaged(begunName(cluster), 'it is missing')
  await readShredProof(place, cluster)
  const prefix = epochPrefix(cluster)
  const keys = new Set((await readKeyCopies(store, prefix, now)).flatMap(({ objects }) => objects))
  for await (const { key } of store.list(prefix)) keys.add(key)
  for (const key of keys) await store.delete(key, { alsoHidden: true })
  assertKeysGone(await readKeyCopies(store, prefix, now), cluster)
  const meta = doneSchema.parse({ cluster, doneAt: now.toISOString(), begunSha256: sha256Hex(begun) })
  await putSmall(store, sealing, { key: shredKey(cluster, 'done'), kind: 'shredDone', meta })
  const proof = await readShredProof(place, cluster)
  if (proof === undefined) throw damaged(begunName(cluster), 'it is missing')
  return proof
}

/** @returns undefined when the cluster was not shredded @throws RetakeError `repo.damaged` */
export async function readShredProof(
  place: { readonly store: ObjectReader; readonly sealing: KeyPlace['sealing'] },
  cluster: string,
): Promise<ShredProof | undefined> {
  const { store, sealing } = place
  const name = begunName(cluster)
  const container = await openContainer(store, sealing, name)
  if (container === undefined) return undefined
  const begun = decodeMeta(begunSchema, container.meta, name)
  const doneName = { key: shredKey(cluster, 'done'), kind: 'shredDone' } as const
  const stored = await getSmall(store, sealing, doneName)
  if (stored === undefined) return begun
  const done = decodeMeta(doneSchema, stored, doneName)
  if (done.begunSha256 !== sha256Hex((await store.get(name.key)) ?? new Uint8Array(0))) {
    // Which of the two is not what was written: frames prove themselves.
    for await (const _frame of readFrames(container));
    throw damaged(doneName, 'it is about another beginning')
  }
  return { ...begun, doneAt: done.doneAt }
}

/** The ids of the packs that a shredded cluster left. @throws RetakeError `repo.damaged` */
export async function readShreddedPacks(
  place: { readonly store: ObjectReader; readonly sealing: KeyPlace['sealing'] },
  cluster: string,
): Promise<ReadonlySet<string>> {
  const ids = new Set<string>()
  const container = await openContainer(place.store, place.sealing, begunName(cluster))
  if (container === undefined) return ids
  for await (const frame of readFrames(container)) {
    for (let at = 0; at < frame.length; at += PACK_ID_BYTES)
      ids.add(Buffer.from(frame.subarray(at, at + PACK_ID_BYTES)).toString('hex'))
  }
  return ids
}

const begunName = (cluster: string) => ({ key: shredKey(cluster, 'begun'), kind: 'shredBegun' }) as const

async function measure(
  reader: ObjectReader,
  what: { readonly prefix: string; readonly packs: ReadonlySet<string> },
): Promise<Pick<ShredProof, 'objects' | 'bytes' | 'packs' | 'packBytes'>> {
  const sizes = { objects: 0, bytes: 0, packs: 0, packBytes: 0 }
  for await (const { sizeBytes } of reader.list(what.prefix)) {
    sizes.objects += 1
    sizes.bytes += sizeBytes
  }
  for await (const { key, sizeBytes } of reader.list(PACKS_PREFIX)) {
    if (!what.packs.has(parsePackKey(key) ?? '')) continue
    sizes.packs += 1
    sizes.packBytes += sizeBytes
  }
  return sizes
}

function* packFrames(packs: ReadonlySet<string>): Generator<Uint8Array> {
  const ids = Buffer.from([...packs].sort().join(''), 'hex')
  for (let at = 0; at < ids.length; at += MAX_FRAME_BYTES) yield ids.subarray(at, at + MAX_FRAME_BYTES)
}
