/**
 * Stretches of a cluster's journal: what happened in sixteen segments of WAL, as frames whose content is the journal's. They are made of the
 * WAL that is held, by anybody with the key and as often as wanted: one that is missing or damaged costs time and nothing else (rule R4).
 */
import { isRetakeError } from '../base/errors.ts'
import type { ClusterRepository } from './cluster.ts'
import { type Container, type ContainerName, ContainerWriter, openContainer } from './container.ts'
import { journalKey, journalPrefix, parseJournalKey } from './layout.ts'

/** A chunk begins where the number of a segment is a multiple of this. */
export const SEGMENTS_OF_CHUNK = 16n
/** Written once and small; each byte less is kept for as long as the WAL. */
const COMPRESSION_LEVEL = 9

export interface JournalChunkId {
  /** Of its last segment. */
  readonly timeline: number
  readonly firstSegment: bigint
}

export async function listJournalChunks(cluster: ClusterRepository): Promise<JournalChunkId[]> {
  const ids: JournalChunkId[] = []
  for await (const { key } of cluster.store.list(journalPrefix(cluster.facts.name))) {
    const id = parseJournalKey(cluster.facts.name, key)
    if (id) ids.push(id)
  }
  return ids
}

/** @param content `frames` of at most 1 MiB each @returns false when it is there already */
export async function putJournalChunk(
  cluster: ClusterRepository,
  id: JournalChunkId,
  content: { readonly meta: object; readonly frames: readonly Uint8Array[] },
): Promise<boolean> {
  await using writer = await ContainerWriter.open(cluster.store, cluster.sealing, journalChunkName(cluster, id))
  for (const frame of content.frames) await writer.writeFrame(frame, { level: COMPRESSION_LEVEL })
  return await writer.commit(content.meta)
}

/** @returns undefined when it is not there @throws RetakeError `repo.damaged` */
export async function openJournalChunk(cluster: ClusterRepository, id: JournalChunkId): Promise<Container | undefined> {
  return await openContainer(cluster.store, cluster.sealing, journalChunkName(cluster, id))
}

/** @returns false where it is locked for a while yet */
export async function deleteJournalChunk(cluster: ClusterRepository, id: JournalChunkId): Promise<boolean> {
  try {
    await cluster.store.delete(journalKey(cluster.facts.name, id), { copies: 'reachable' })
    return true
  } catch (error) {
    if (!isRetakeError(error, 'storage.locked')) throw error
    return false
  }
}

export function journalChunkName({ facts }: ClusterRepository, id: JournalChunkId): ContainerName {
  return { key: journalKey(facts.name, id), kind: 'journal' }
}
