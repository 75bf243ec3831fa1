/** What the last verification of a cluster found: without it, damage that was found looks like a verification that never ran. */
import * as z from 'zod'
import type { ClusterRepository } from './cluster.ts'
import { getSmall, replaceSmall } from './container.ts'
import { lastVerificationKey } from './layout.ts'
import { decodeMeta } from './meta.ts'

const lastVerificationSchema = z.object({
  /** Our clock, ISO 8601 UTC. */
  at: z.iso.datetime(),
  depth: z.enum(['quick', 'deep']),
  /** Findings that cost backups or moments; 0: it is sound, as far as it was read. */
  errors: z.int().min(0),
  /** One of them, in a sentence. */
  example: z.string().optional(),
  /** Of the backups that cannot be restored completely because of them, the first. */
  lostBackups: z.array(z.string()),
})

export type LastVerification = z.infer<typeof lastVerificationSchema>

const MOST_NAMED = 100

/** Undefined: none was noted. @throws RetakeError `repo.damaged` */
export async function readLastVerification(cluster: ClusterRepository): Promise<LastVerification | undefined> {
  const key = lastVerificationKey(cluster.facts.name)
  const meta = await getSmall(cluster.store, cluster.sealing, { key, kind: 'verified' })
  return meta === undefined ? undefined : decodeMeta(lastVerificationSchema, meta, { key })
}

/** Replaces what was noted before, unless {@link succeeds} says that it stands. */
export async function putLastVerification(cluster: ClusterRepository, found: LastVerification): Promise<void> {
  const before = await readLastVerification(cluster)
  if (!succeeds(found, before)) return
  const meta = lastVerificationSchema.parse({ ...found, lostBackups: found.lostBackups.slice(0, MOST_NAMED) })
  const key = lastVerificationKey(cluster.facts.name)
  await replaceSmall(cluster.store, cluster.sealing, { key, kind: 'verified', meta })
}

/** A quick look cannot say that what reading every byte has found is gone. */
export function succeeds(found: LastVerification, before: LastVerification | undefined): boolean {
  return (
    found.errors > 0 ||
    found.depth === 'deep' ||
    before === undefined ||
    before.errors === 0 ||
    before.depth === 'quick'
  )
}
