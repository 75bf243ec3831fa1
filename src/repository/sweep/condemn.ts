/** First phase: what is given up is written down, then who was under way. */
import { type Clock, systemClock } from '../../base/clock.ts'
import { isRetakeError } from '../../base/errors.ts'
import type { ClusterRepository } from '../cluster.ts'
import { type Condemnation, type CondemnedRecord, dropCondemned, putCondemned, putReady } from '../condemned.ts'
import { openContainer } from '../container.ts'
import { isActive, readHolds } from '../holds.ts'
import { packKey } from '../layout.ts'
import { listReaders } from '../readers.ts'
import { listRuns } from '../runs.ts'
import type { Survey } from './survey.ts'

/** A record stays small enough to be read at once. */
const MOST_PACKS = 10_000

export interface CondemnOptions {
  readonly clock?: Clock | undefined
}

/**
 * Gives things up. Backups and what replaced them come first: while their record is missing, their packs are in use.
 * @returns undefined when a hold was placed on one of the backups meanwhile: then nothing was given up
 */
export async function condemn(
  cluster: ClusterRepository,
  what: Omit<Condemnation, 'packs' | 'bytes'> & { readonly packs: ReadonlyMap<string, number>; readonly bytes: number },
  options: CondemnOptions = {},
): Promise<readonly CondemnedRecord[] | undefined> {
  const { clock = systemClock } = options
  const packs = [...what.packs]
  const records: CondemnedRecord[] = []
  for (let start = 0; start === 0 || start < packs.length; start += MOST_PACKS) {
    const part = packs.slice(start, start + MOST_PACKS)
    const others = start === 0 ? what : { ...what, backups: [], revisions: [], segments: [], walKeys: [], bytes: 0 }
    const bytes = others.bytes + part.reduce((sum, [, size]) => sum + size, 0)
    const record = await putCondemned(cluster, { ...others, bytes, packs: part.map(([id]) => id) }, clock.now())
    if (start === 0 && (await isHeld(cluster, { backups: record.backups, clock }))) {
      await dropCondemned(cluster, record)
      return undefined
    }
    records.push(await noteUnderWay(cluster, record, { clock }))
  }
  return records
}

async function isHeld(
  cluster: ClusterRepository,
  { backups, clock }: { readonly backups: readonly string[]; readonly clock: Clock },
): Promise<boolean> {
  if (backups.length === 0) return false
  const now = clock.now()
  return (await readHolds(cluster)).some((hold) => isActive(hold, now) && backups.includes(hold.backupId))
}

/** Only after the record is durable: whoever is not noted here has read it. */
export async function noteUnderWay(
  cluster: ClusterRepository,
  record: CondemnedRecord,
  options: CondemnOptions = {},
): Promise<CondemnedRecord> {
  const { clock = systemClock } = options
  const readers = await listReaders(cluster, { clock })
  const { begun, done } = await listRuns(cluster)
  const runs = [...begun].filter((id) => !done.has(id))
  return await putReady(cluster, record, { at: clock.now().toISOString(), runs, readers })
}

/**
 * The packs of this cluster that nothing needs once `dropped` are gone. A pack that no readable backup has ever named is only
 * taken when it opens with this cluster's key: it may be another cluster's.
 */
export async function findUnusedPacks(
  cluster: ClusterRepository,
  options: {
    readonly survey: Survey
    readonly dropped: ReadonlySet<string>
    readonly condemned: ReadonlySet<string>
  },
): Promise<{ readonly packs: Map<string, number>; readonly unknown: number }> {
  const { survey, dropped, condemned } = options
  const packs = new Map<string, number>()
  for (const packId of survey.users.usedOnlyBy(dropped)) {
    const sizeBytes = survey.packs.get(packId)
    if (sizeBytes !== undefined) packs.set(packId, sizeBytes)
  }
  let unknown = 0
  for (const [packId, sizeBytes] of survey.packs) {
    if (survey.users.has(packId) || condemned.has(packId) || survey.busyPrefixes.has(packId.slice(0, 8))) continue
    const owner = await ownerOf(cluster, packId)
    if (owner === 'own') packs.set(packId, sizeBytes)
    else if (owner === 'unknown') unknown += 1
  }
  return { packs, unknown }
}

/** `gone`: deleted since the survey, by the first half of the same pruning for example. */
async function ownerOf(cluster: ClusterRepository, packId: string): Promise<'own' | 'unknown' | 'gone'> {
  try {
    const name = { key: packKey(packId), kind: 'pack' } as const
    return (await openContainer(cluster.store, cluster.sealing, name)) ? 'own' : 'gone'
  } catch (error) {
    if (isRetakeError(error, 'repo.damaged')) return 'unknown'
    throw error
  }
}
