/** A pack under the newest key of the cluster: another pack, in which every frame lies where it lay in the old one. */
import { randomBytes } from 'node:crypto'
import * as z from 'zod'
import { assert, RetakeError } from '../../base/errors.ts'
import type { ClusterRepository } from '../cluster.ts'
import { type Container, ContainerWriter, damaged, openContainer } from '../container.ts'
import { PACKS_PREFIX, packIdPrefix, packKey, parsePackKey } from '../layout.ts'
import type { PackEntry } from '../manifest.ts'
import type { Pace } from './pace.ts'
import { resealFrames } from './reseal-frames.ts'

export type PackPlace = Omit<PackEntry, 'type'>

const metaSchema = z.object({ backupId: z.string(), resealedFrom: z.string().regex(/^[0-9a-f]{32}$/) })

const nameOf = (packId: string) => ({ key: packKey(packId), kind: 'pack' }) as const

export interface ResealPackOptions {
  /** Begins the id of the new pack. */
  readonly runId: string
  readonly pace: Pace
  readonly signal?: AbortSignal | undefined
}

/** Returns where the frames are now, when the new pack is durable. @throws RetakeError `repo.damaged`, `storage.*`, `aborted` */
export async function resealPack(
  cluster: ClusterRepository,
  packId: string,
  options: ResealPackOptions,
): Promise<PackPlace> {
  const source = await openContainer(cluster.store, cluster.sealing, nameOf(packId))
  if (source === undefined) throw damaged(nameOf(packId), 'it is missing')
  const newId = packIdPrefix(options.runId) + randomBytes(12).toString('hex')
  await using writer = await ContainerWriter.open(cluster.store, cluster.sealing, nameOf(newId))
  for (let index = 0; index < source.frames.length; index++) writer.reserveFrame()
  for await (const { location, sealed } of resealFrames(cluster.store, source, {
    ...options,
    objectKey: writer.objectKey,
  })) {
    const placed = await writer.appendSealed(sealed, { contentId: location.contentId })
    assert(placed.offsetBytes === location.offsetBytes, 'a frame that is sealed anew stays in its place')
  }
  if (!(await writer.commit({ backupId: options.runId, resealedFrom: packId }))) {
    throw new RetakeError('repo.conflict', `A pack named ${newId} exists already; nothing refers to it.`, {
      hint: 'Run it again: a new name is drawn.',
    })
  }
  return { packId: newId, salt: Buffer.from(writer.salt).toString('base64url'), epoch: writer.epoch }
}

/**
 * What interrupted runs have already sealed anew, by the id of the old pack. A pack that cannot be read, or that another key has
 * overtaken meanwhile, is left out; it is made again. `settled` are the runs that left nothing else: they end with this one, the
 * others with the next pruning, which gives up what they left.
 */
export async function findResealedPacks(
  cluster: ClusterRepository,
  options: { readonly runIds: ReadonlySet<string>; readonly isGivenUp: (packId: string) => boolean },
): Promise<{ readonly moved: ReadonlyMap<string, PackPlace>; readonly settled: readonly string[] }> {
  const prefixes = new Set([...options.runIds].map(packIdPrefix))
  const moved = new Map<string, PackPlace>()
  const others = new Set<string>()
  if (prefixes.size === 0) return { moved, settled: [] }
  for await (const { key } of cluster.store.list(PACKS_PREFIX)) {
    const packId = parsePackKey(key)
    if (packId === undefined || !prefixes.has(packId.slice(0, 8)) || options.isGivenUp(packId)) continue
    const container = await openOurs(cluster, packId)
    const meta = metaSchema.safeParse(container?.meta)
    if (container?.epoch === cluster.sealing.epoch && meta.success && options.runIds.has(meta.data.backupId)) {
      const salt = Buffer.from(container.salt).toString('base64url')
      moved.set(meta.data.resealedFrom, { packId, salt, epoch: container.epoch })
    } else others.add(packId.slice(0, 8))
  }
  return { moved, settled: [...options.runIds].filter((id) => !others.has(packIdPrefix(id))) }
}

/** Undefined when it does not open: then it may belong to another cluster, whose run happens to begin alike. */
async function openOurs(cluster: ClusterRepository, packId: string): Promise<Container | undefined> {
  try {
    return await openContainer(cluster.store, cluster.sealing, nameOf(packId))
  } catch (error) {
    if (error instanceof RetakeError && error.code === 'repo.damaged') return undefined
    throw error
  }
}
