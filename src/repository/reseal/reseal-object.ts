/**
 * An object whose name is fixed (a WAL segment, a record) under the newest key of the cluster. It is the one case in which an
 * object is replaced by another with the same content (F5): before and after, its key is held and it opens; the storage shows
 * one or the other, never a mixture; and who reads it piece by piece across the change looks again once (`container.ts`).
 */
import { randomBytes } from 'node:crypto'
import { assert } from '../../base/errors.ts'
import type { ClusterRepository } from '../cluster.ts'
import { type Container, openContainer } from '../container.ts'
import { type ContainerHeader, decodeHeader, encodeFooter, encodeHeader, HEADER_BYTES } from '../container-layout.ts'
import { deriveObjectKey, SALT_BYTES } from '../sealing.ts'
import type { Pace } from './pace.ts'
import { resealFrames } from './reseal-frames.ts'

export interface ResealObjectOptions {
  readonly pace: Pace
  readonly signal?: AbortSignal | undefined
  /** Asked right before the object is replaced; throws when it must not be. */
  readonly assertHeld: () => Promise<void>
}

/**
 * @returns bytes written; 0 when the object is gone, or is sealed by the newest key already
 * @throws RetakeError `repo.damaged`, `storage.*`, `aborted`
 */
export async function resealObject(
  cluster: ClusterRepository,
  key: string,
  options: ResealObjectOptions,
): Promise<number> {
  const { store, sealing } = cluster
  const header = await readHeader(cluster, key)
  const source = header && (await openContainer(store, sealing, { key, kind: header.kind }))
  if (source === undefined || source.epoch >= sealing.epoch) return 0
  const body = await sealAnew(cluster, source, options)
  await options.assertHeld()
  // Deleted meanwhile, by somebody whose business it is, it must not come back; written meanwhile, it has the newest key.
  const now = await readHeader(cluster, key)
  if (now === undefined || !Buffer.from(now.salt).equals(source.salt)) return 0
  await store.replace(key, body)
  return body.reduce((sum, piece) => sum + piece.length, 0)
}

async function readHeader(cluster: ClusterRepository, key: string): Promise<ContainerHeader | undefined> {
  const bytes = await cluster.store.get(key, { offsetBytes: 0, lengthBytes: HEADER_BYTES })
  return bytes && decodeHeader(bytes)
}

/** All of it in memory: the largest such object is one WAL segment. */
async function sealAnew(
  cluster: ClusterRepository,
  source: Container,
  options: ResealObjectOptions,
): Promise<Uint8Array[]> {
  const { epoch } = cluster.sealing
  const salt = randomBytes(SALT_BYTES)
  const header = encodeHeader({ kind: source.kind, epoch, salt })
  const objectKey = deriveObjectKey(cluster.sealing, { kind: source.kind, key: source.key, epoch, salt })
  const body: Uint8Array[] = [header]
  for await (const { sealed } of resealFrames(cluster.store, source, { ...options, objectKey }))
    body.push(...sealed.bytes)
  assert(typeof source.meta === 'object' && source.meta !== null, 'the data of an object is an object')
  body.push(...encodeFooter({ frames: source.frames, meta: source.meta }, { objectKey, header }))
  return body
}
