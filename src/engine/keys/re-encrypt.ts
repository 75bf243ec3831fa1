import { planReseal } from '../../repository/reseal/plan.ts'
import { type ReEncryptReport, reEncryptCluster } from '../../repository/reseal/re-encrypt.ts'
import type { Retake } from '../open.ts'
import { type Operation, type OperationOptions, startOperation } from '../operation.ts'

export interface ReEncryptOptions extends OperationOptions {
  /** Upper limit of what is read and written again, in bytes a second. Default: none. */
  readonly maxBytesPerSecond?: number | undefined
}

export interface ReEncryptPlan {
  readonly cluster: string
  /** What everything is sealed with afterwards. */
  readonly epoch: number
  readonly packs: number
  readonly packBytes: number
  readonly manifests: number
  readonly objects: number
  readonly objectBytes: number
  /** What cannot be read, and so stays as it is. */
  readonly damaged: readonly { readonly object: string; readonly message: string }[]
}

/** Says what {@link reEncrypt} would seal anew. @throws RetakeError `cluster.missing`, `cluster.shredded`, `aborted` */
export async function planReEncrypt(retake: Retake, options: OperationOptions = {}): Promise<ReEncryptPlan> {
  const { epoch, packs, manifests, objects, damaged } = await planReseal(await retake.cluster(), options)
  const sum = (sizes: ReadonlyMap<string, number>) => [...sizes.values()].reduce((total, bytes) => total + bytes, 0)
  return {
    cluster: retake.clusterName,
    epoch,
    packs: packs.size,
    packBytes: sum(packs),
    manifests: manifests.size,
    objects: objects.size,
    objectBytes: sum(objects),
    damaged,
  }
}

/**
 * Seals everything of the cluster that older keys seal with the newest. Runs beside backups, receivers and restores; may be
 * stopped and begun again. What it replaces is given up like what is pruned: `retake prune` deletes it after its time of grace.
 *
 * ```ts
 * const { packs, left } = await reEncrypt(retake, { maxBytesPerSecond: 50e6 }).result
 * ```
 * @throws RetakeError by its `result`: `repo.locked` while pruning runs, `repo.lease-lost`, `storage.*`, `aborted`
 */
export function reEncrypt(retake: Retake, options: ReEncryptOptions = {}): Operation<ReEncryptReport> {
  return startOperation(async (context) => {
    const { logger, clock } = retake
    const { maxBytesPerSecond } = options
    return await reEncryptCluster(await retake.cluster(), { ...context, maxBytesPerSecond, logger, clock })
  }, options)
}
