/** Finished WAL segments: one container each, with what happened in it as its data. */
import * as z from 'zod'
import { assert, RetakeError } from '../base/errors.ts'
import { segmentName as fileName } from '../postgres/lsn.ts'
import type { ClusterRepository } from './cluster.ts'
import { type Container, ContainerWriter, damaged, openContainer } from './container.ts'
import { createContentHasher } from './content-hash.ts'
import { decodeMeta } from './meta.ts'
import { readFrames } from './read-frames.ts'
import { MAX_FRAME_BYTES } from './sealing.ts'
import { type SegmentId, segmentName } from './wal-layout.ts'

export interface SegmentMeta {
  /** The size of a segment; less only for a partial one. */
  readonly validBytes: number
  /** When the first and the last transaction in it ended, by the server's clock. */
  readonly firstAt?: string | undefined
  readonly lastAt?: string | undefined
  readonly commits: number
  readonly minXid?: number | undefined
  readonly maxXid?: number | undefined
  readonly restorePoints: readonly { readonly name: string; readonly at: string; readonly lsn: string }[]
  /** Of the whole segment, up to `validBytes`. */
  readonly contentId: string
}

/** What the caller knows; length and content id are taken from the bytes themselves, and compared where they are given. */
export type SegmentFacts = Omit<SegmentMeta, 'validBytes' | 'contentId'> &
  Partial<Pick<SegmentMeta, 'validBytes' | 'contentId'>>

const metaSchema = z.object({
  validBytes: z.int().positive(),
  firstAt: z.string().optional(),
  lastAt: z.string().optional(),
  commits: z.int().nonnegative(),
  minXid: z.int().nonnegative().optional(),
  maxXid: z.int().nonnegative().optional(),
  restorePoints: z.array(z.object({ name: z.string(), at: z.string(), lsn: z.string() })),
  contentId: z.string(),
})

/**
 * Stores a finished (or partial) segment. The same content again is fine.
 * @param source exactly `validBytes` bytes in pieces of any size
 * @param meta may be a function, called when the source has ended
 * @throws RetakeError `wal.diverged` when another content is stored under this name
 */
export async function putSegment(
  cluster: ClusterRepository,
  id: SegmentId & { readonly validBytes: number },
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  meta: SegmentFacts | (() => SegmentFacts),
): Promise<void> {
  const name = segmentName(cluster.facts.name, id)
  const limit = cluster.facts.walSegmentSizeBytes
  assert(
    id.validBytes > 0 && (id.partial ? id.validBytes <= limit : id.validBytes === limit),
    'a segment has its full size',
  )
  await using container = await ContainerWriter.open(cluster.store, cluster.sealing, name)
  const hasher = createContentHasher(cluster.sealing.contentKey)
  let length = 0
  for await (const frame of inFrames(source)) {
    hasher.update(frame)
    length += frame.length
    await container.writeFrame(frame)
  }
  const facts = typeof meta === 'function' ? meta() : meta
  const contentId = hasher.digest()
  assert(length === id.validBytes, `the source of ${name.key} has ${id.validBytes} bytes`)
  assert(
    facts.contentId === undefined || facts.contentId === contentId,
    `the content id given for ${name.key} is right`,
  )
  if (await container.commit(metaSchema.parse({ ...facts, validBytes: length, contentId }))) return
  const stored = await readSegmentMeta(cluster, id)
  if (stored?.contentId === contentId && stored.validBytes === length) return
  throw diverged(cluster, id, name.key)
}

/** Joins and cuts pieces of any size to frames; a frame is only valid until the next one is taken. */
async function* inFrames(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(MAX_FRAME_BYTES)
  let length = 0
  for await (const piece of source) {
    let rest = piece
    while (rest.length > 0) {
      const part = rest.subarray(0, MAX_FRAME_BYTES - length)
      buffer.set(part, length)
      length += part.length
      rest = rest.subarray(part.length)
      if (length === MAX_FRAME_BYTES) {
        yield buffer
        length = 0
      }
    }
  }
  if (length > 0) yield buffer.subarray(0, length)
}

export interface OpenedSegment {
  readonly container: Container
  readonly meta: SegmentMeta
}

/** @returns undefined when the segment is not held @throws RetakeError `repo.damaged` */
export async function openSegment(cluster: ClusterRepository, id: SegmentId): Promise<OpenedSegment | undefined> {
  const name = segmentName(cluster.facts.name, id)
  const container = await openContainer(cluster.store, cluster.sealing, name)
  if (container === undefined) return undefined
  const meta = decodeMeta(metaSchema, container.meta, name)
  const length = container.frames.reduce((sum, frame) => sum + frame.plainBytes, 0)
  const expected = id.partial ? meta.validBytes : cluster.facts.walSegmentSizeBytes
  if (length !== meta.validBytes || length !== expected)
    throw damaged(name, `it holds ${length} bytes, not ${expected}`)
  return { container, meta }
}

/** What a segment says about itself, or undefined when it is not held. @throws RetakeError `repo.damaged` */
export async function readSegmentMeta(cluster: ClusterRepository, id: SegmentId): Promise<SegmentMeta | undefined> {
  return (await openSegment(cluster, id))?.meta
}

/** The bytes of a segment in pieces of at most 1 MiB. @throws RetakeError `wal.gap` when it is not held, `repo.damaged` */
export async function* readSegment(cluster: ClusterRepository, id: SegmentId): AsyncGenerator<Uint8Array> {
  const opened = await openSegment(cluster, id)
  if (opened === undefined) {
    throw new RetakeError('wal.gap', `The WAL segment ${describe(cluster, id)} is not in the archive.`, {
      hint: 'See what can be restored with `retake window`.',
      details: { timeline: id.timeline, segment: id.segment.toString() },
    })
  }
  yield* readFrames(opened.container)
}

function describe(cluster: ClusterRepository, id: SegmentId): string {
  return `${fileName(id, cluster.facts.walSegmentSizeBytes)}${id.partial ? '.partial' : ''}`
}

function diverged(cluster: ClusterRepository, id: SegmentId, key: string): RetakeError {
  return new RetakeError(
    'wal.diverged',
    `The WAL segment ${describe(cluster, id)} differs from the one that is stored: two servers write timeline ${id.timeline} of the cluster "${cluster.facts.name}".`,
    {
      hint: 'Find out which server is the right one; protect the other under a cluster name of its own. What is stored was not changed.',
      details: { object: key, timeline: id.timeline, segment: id.segment.toString() },
    },
  )
}
