/** The small objects of the WAL archive: ranges, history files, the position. */
import * as z from 'zod'
import { RetakeError } from '../base/errors.ts'
import { historyName, parseLsn } from '../postgres/lsn.ts'
import type { ClusterRepository } from './cluster.ts'
import { damaged, getSmall, putSmall, replaceSmall } from './container.ts'
import { decodeMeta } from './meta.ts'
import { historyKey, positionKey, rangeKey } from './wal-layout.ts'

/** Says that WAL is held from a position on, and why it begins there. A hole that no range explains is damage. */
export interface WalRange {
  readonly timeline: number
  /** `X/Y` */
  readonly beginLsn: string
  /** `pruned`: what lay before was given up on purpose. */
  readonly reason: 'first-contact' | 'gap' | 'new-timeline' | 'pruned'
  /** For a gap, and for what was given up in between: where the WAL before it ends, `X/Y`. */
  readonly heldUntilLsn?: string | undefined
  /** Our clock, ISO 8601 UTC. */
  readonly at: string
  /** A sentence for people. */
  readonly explanation: string
}

/** How far the archive is durable. Written after the WAL it speaks of, so it never says too much. */
export interface WalPosition {
  readonly timeline: number
  /** `X/Y` */
  readonly flushLsn: string
  /** Our clock, ISO 8601 UTC. */
  readonly at: string
  /** The server's clock when it last spoke to us. */
  readonly serverTime: string
  /** The server's clock: at this instant everything it had was held. */
  readonly caughtUpAt?: string | undefined
  readonly slot?: string | undefined
  /** The receiver acknowledges what is in a spool on its machine: up to where it had by then, `X/Y`. */
  readonly spool?: { readonly host: string; readonly acknowledgedLsn: string } | undefined
}

const lsnText = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/)
const timeline = z.int().positive()
const rangeSchema = z.object({
  timeline,
  beginLsn: lsnText,
  reason: z.enum(['first-contact', 'gap', 'new-timeline', 'pruned']),
  heldUntilLsn: lsnText.optional(),
  at: z.string(),
  explanation: z.string(),
})
const positionSchema = z.object({
  timeline,
  flushLsn: lsnText,
  at: z.string(),
  serverTime: z.string(),
  caughtUpAt: z.string().optional(),
  slot: z.string().optional(),
  spool: z.object({ host: z.string(), acknowledgedLsn: lsnText }).optional(),
})
const historySchema = z.object({ timeline, content: z.string() })

/** Records where held WAL begins. A range that is recorded already stays as it is. */
export async function putRange(cluster: ClusterRepository, range: WalRange): Promise<void> {
  const meta = rangeSchema.parse(range)
  const key = rangeKey(cluster.facts.name, { timeline: range.timeline, begin: parseLsn(range.beginLsn) })
  await putSmall(cluster.store, cluster.sealing, { key, kind: 'walRange', meta })
}

/** @throws RetakeError `repo.damaged` */
export async function readRange(cluster: ClusterRepository, key: string): Promise<WalRange | undefined> {
  const name = { key, kind: 'walRange' } as const
  const meta = await getSmall(cluster.store, cluster.sealing, name)
  if (meta === undefined) return undefined
  const range = decodeMeta(rangeSchema, meta, name)
  const expected = rangeKey(cluster.facts.name, { timeline: range.timeline, begin: parseLsn(range.beginLsn) })
  if (expected !== key) throw damaged(name, 'it speaks of another place')
  return range
}

/**
 * Stores the `.history` file of a timeline, before any WAL of it. The same content again is fine.
 * @throws RetakeError `wal.diverged` when another content is stored
 */
export async function putHistory(
  cluster: ClusterRepository,
  history: { readonly timeline: number; readonly content: Uint8Array },
): Promise<void> {
  const { timeline, content } = history
  const meta = { timeline, content: Buffer.from(content).toString('base64') }
  const key = historyKey(cluster.facts.name, timeline)
  if (await putSmall(cluster.store, cluster.sealing, { key, kind: 'walHistory', meta })) return
  const stored = await readHistory(cluster, timeline)
  if (stored !== undefined && Buffer.from(stored).equals(content)) return
  throw new RetakeError(
    'wal.diverged',
    `${historyName(timeline)} differs from the one that is stored: two servers claim timeline ${timeline} of the cluster "${cluster.facts.name}".`,
    {
      hint: 'Protect the other server under a cluster name of its own. What is stored was not changed.',
      details: { object: key, timeline },
    },
  )
}

/** The bytes of a timeline's `.history` file, or undefined. @throws RetakeError `repo.damaged` */
export async function readHistory(cluster: ClusterRepository, timeline: number): Promise<Uint8Array | undefined> {
  const name = { key: historyKey(cluster.facts.name, timeline), kind: 'walHistory' } as const
  const meta = await getSmall(cluster.store, cluster.sealing, name)
  if (meta === undefined) return undefined
  const history = decodeMeta(historySchema, meta, name)
  if (history.timeline !== timeline) throw damaged(name, 'it is about another timeline')
  return Buffer.from(history.content, 'base64')
}

/** Says how far the archive is durable; the WAL up to there must be. */
export async function putPosition(cluster: ClusterRepository, position: WalPosition): Promise<void> {
  const meta = positionSchema.parse(position)
  await replaceSmall(cluster.store, cluster.sealing, {
    key: positionKey(cluster.facts.name),
    kind: 'walPosition',
    meta,
  })
}

/** @throws RetakeError `repo.damaged` */
export async function readPosition(cluster: ClusterRepository): Promise<WalPosition | undefined> {
  const name = { key: positionKey(cluster.facts.name), kind: 'walPosition' } as const
  const meta = await getSmall(cluster.store, cluster.sealing, name)
  return meta === undefined ? undefined : decodeMeta(positionSchema, meta, name)
}
