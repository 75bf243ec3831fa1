/** Backups that must not go, whatever the policy says: one sealed object per hold, written once, deleted on release. */
import * as z from 'zod'
import { isRetakeError, RetakeError } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import type { ClusterRepository } from './cluster.ts'
import { readCondemned } from './condemned.ts'
import { getSmall, putSmall } from './container.ts'
import { assertBackupId, holdsPrefix, isBackupId } from './layout.ts'
import { newestRevision } from './manifest-revisions.ts'
import { decodeMeta } from './meta.ts'

export interface Hold {
  readonly backupId: string
  /** For people: who needs it, and what for. */
  readonly reason: string
  /** ISO 8601 UTC; afterwards the policy decides again. Absent: until it is released. */
  readonly until?: string | undefined
  /** When it was placed, our clock, ISO 8601 UTC. */
  readonly at: string
}

export interface StoredHold extends Hold {
  readonly key: string
}

const holdSchema = z.object({
  backupId: z.string().refine(isBackupId),
  reason: z.string(),
  until: z.iso.datetime().optional(),
  at: z.iso.datetime(),
})

/**
 * Holds a backup. Written first and compared with what is condemned afterwards, while pruning condemns first and looks for holds
 * afterwards: whichever comes second sees the other.
 * @throws RetakeError `backup.missing` when there is no such backup, or it is condemned already
 */
export async function placeHold(cluster: ClusterRepository, hold: Hold): Promise<StoredHold> {
  const { backupId } = hold
  assertBackupId(backupId)
  const key = `${holdsPrefix(cluster.facts.name)}${backupId}.${randomId(4)}`
  await putSmall(cluster.store, cluster.sealing, { key, kind: 'hold', meta: holdSchema.parse(hold) })
  try {
    await assertHoldable(cluster, backupId)
  } catch (error) {
    await cluster.store.delete(key)
    throw error
  }
  return { ...hold, key }
}

/** @throws RetakeError `backup.missing` when there is no such backup, or it is condemned already */
export async function assertHoldable(cluster: ClusterRepository, backupId: string): Promise<void> {
  assertBackupId(backupId)
  const { backups } = await readCondemned(cluster, { onDamage: () => {} })
  const exists = (await newestRevision(cluster, backupId)) !== undefined
  if (exists && !backups.has(backupId)) return
  const { name } = cluster.facts
  const problem = exists ? 'was given up by retention already and is being deleted' : 'does not exist'
  throw new RetakeError('backup.missing', `The backup ${backupId} of "${name}" ${problem}; it cannot be held.`, {
    hint: 'List the backups with `retake backups`.',
    details: { backupId },
  })
}

/** Removes every hold of a backup; returns those that there were. With `dryRun` it only returns them. */
export async function releaseHolds(
  cluster: ClusterRepository,
  backupId: string,
  options: { readonly dryRun?: boolean | undefined } = {},
): Promise<StoredHold[]> {
  assertBackupId(backupId)
  const holds = (await readHolds(cluster)).filter((hold) => hold.backupId === backupId)
  if (options.dryRun) return holds
  for (const { key } of holds) await cluster.store.delete(key)
  return holds
}

export interface ReadHoldsOptions {
  /** Told of a hold that cannot be read, which is then left out. Without it, damage is thrown. */
  readonly onDamage?: ((error: RetakeError, key: string) => void) | undefined
}

/** All holds, also those whose time is over, in the order of backups. @throws RetakeError `repo.damaged` */
export async function readHolds(cluster: ClusterRepository, options: ReadHoldsOptions = {}): Promise<StoredHold[]> {
  const prefix = holdsPrefix(cluster.facts.name)
  const holds: StoredHold[] = []
  for await (const { key } of cluster.store.list(prefix)) {
    if (!isHoldName(key.slice(prefix.length))) continue
    try {
      const meta = await getSmall(cluster.store, cluster.sealing, { key, kind: 'hold' })
      if (meta !== undefined) holds.push({ ...decodeMeta(holdSchema, meta, { key }), key })
    } catch (error) {
      if (!isRetakeError(error, 'repo.damaged') || !options.onDamage) throw error
      options.onDamage(error, key)
    }
  }
  return holds
}

/** Whether this can be the name of an object below `holds/`. */
export function isHoldName(name: string): boolean {
  const [backupId = '', random = '', ...rest] = name.split('.')
  return isBackupId(backupId) && /^[0-9a-f]{8}$/.test(random) && rest.length === 0
}

export function isActive(hold: Hold, now: Date): boolean {
  return hold.until === undefined || Date.parse(hold.until) > now.getTime()
}
