/** What drills have shown, for whoever has the repository. */
import { RetakeError } from '../base/errors.ts'
import type { Retake } from '../engine/open.ts'
import {
  type DrillRecord,
  type ListDrillsOptions,
  listDrillIds,
  listDrills as listStored,
  readDrill as readStored,
} from '../repository/drills.ts'

/**
 * The drills on record, newest first.
 *
 * ```ts
 * for (const { id, outcome, rtoMs } of await listDrills(retake, { limit: 12 })) console.log(id, outcome, rtoMs)
 * ```
 * @throws RetakeError `repo.damaged` when a record cannot be read and `onDamage` is not given
 */
export async function listDrills(retake: Retake, options: ListDrillsOptions = {}): Promise<DrillRecord[]> {
  return await Array.fromAsync(listStored(await retake.cluster(), options))
}

/** One drill; without an id the newest. @throws RetakeError `drill.missing`, `repo.damaged` */
export async function readDrill(retake: Retake, id?: string): Promise<DrillRecord> {
  const cluster = await retake.cluster()
  const wanted = id ?? (await listDrillIds(cluster)).at(-1)
  if (wanted !== undefined) return await readStored(cluster, wanted)
  throw new RetakeError('drill.missing', `No recovery of "${retake.clusterName}" was rehearsed yet.`, {
    hint: 'Do it: retake drill run',
  })
}
