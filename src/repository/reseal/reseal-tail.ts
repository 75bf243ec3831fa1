/** The open end of the WAL under the newest key: another part with the same bytes, then the old parts go. */
import type { ClusterRepository } from '../cluster.ts'
import { epochOf } from '../epoch-usage.ts'
import { parseWalKey, type TailId, tailPartKey, walPrefix } from '../wal-layout.ts'
import { putPosition, readPosition } from '../wal-records.ts'
import { listTailParts, readTail, TailWriter } from '../wal-tail.ts'

/** The tails of which a part is sealed by an older key. */
export async function findOldTails(cluster: ClusterRepository): Promise<TailId[]> {
  const { name } = cluster.facts
  const tails = new Map<string, TailId>()
  for await (const { key } of cluster.store.list(walPrefix(name))) {
    const parsed = parseWalKey(name, key)
    if (parsed?.type !== 'tail') continue
    const epoch = await epochOf(cluster, key)
    if (epoch === undefined || epoch >= cluster.sealing.epoch) continue
    const { timeline, segment } = parsed
    tails.set(`${timeline}/${segment}`, { timeline, segment })
  }
  return [...tails.values()]
}

/**
 * Seals a tail anew. The caller holds the lease `wal`, so that nobody appends to it. Parts may overlap, so that after a crash the
 * old and the new one together are the same tail.
 * @returns bytes of WAL @throws RetakeError `repo.damaged`, `storage.*`
 */
export async function resealTail(cluster: ClusterRepository, tail: TailId): Promise<number> {
  const old = await listTailParts(cluster, tail)
  const content = await readTail(cluster, tail)
  if (content === undefined) return 0
  const { beginBytes, validBytes, bytes } = content
  if (validBytes > beginBytes) {
    await using writer = await TailWriter.open(cluster, { ...tail, offsetBytes: beginBytes })
    for await (const piece of bytes) await writer.append(piece)
    await writer.sync()
  }
  for (const part of old) await cluster.store.delete(tailPartKey(cluster.facts.name, part))
  return validBytes - beginBytes
}

/** Writes the position again, under the newest key. The caller holds the lease `wal`. */
export async function resealPosition(cluster: ClusterRepository): Promise<void> {
  const position = await readPosition(cluster)
  if (position) await putPosition(cluster, position)
}
