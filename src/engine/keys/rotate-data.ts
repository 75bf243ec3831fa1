import { createEpoch, readEpochs } from '../../repository/epochs.ts'
import type { Retake } from '../open.ts'
import { judgeRotation } from './rotation-policy.ts'

export interface RotateDataOptions {
  /** Only when `keyRotationDays` of the configuration have passed since the newest epoch began. */
  readonly ifDue?: boolean | undefined
  /** Say what would be done, and change nothing. */
  readonly dryRun?: boolean | undefined
}

export interface RotatedData {
  readonly cluster: string
  /** `raced`: somebody else began this epoch at the same time; it counts all the same. */
  readonly outcome: 'created' | 'raced' | 'planned' | 'not-due'
  /** The epoch that new objects are sealed with; of a plan, the one that it would be. */
  readonly epoch: number
  readonly createdAt?: string | undefined
  readonly dueAt?: string | undefined
}

/**
 * Begins a new data key of the cluster. Backups and receivers that begin from now on seal with it; those that are running go on
 * with theirs, and everything stored stays readable. What older keys seal is sealed anew by {@link reEncrypt}.
 * @throws RetakeError `cluster.missing`, `cluster.shredded`, `repo.damaged`
 */
export async function rotateData(retake: Retake, options: RotateDataOptions = {}): Promise<RotatedData> {
  const { repository, clock, clusterName } = retake
  // Refuses what is not registered, or was shredded.
  await retake.cluster()
  const newest = (await readEpochs(repository, clusterName)).at(-1)
  const { dueAt, due } = judgeRotation(newest?.createdAt ?? '', {
    days: retake.config.keyRotationDays,
    now: clock.now(),
  })
  const facts = { cluster: clusterName, epoch: newest?.epoch ?? 0, dueAt }
  if (options.ifDue && !due) return { ...facts, outcome: 'not-due', createdAt: newest?.createdAt }
  if (options.dryRun) return { ...facts, outcome: 'planned', epoch: facts.epoch + 1 }
  const { created, ...epoch } = await createEpoch({ ...repository, clock }, clusterName)
  return { ...facts, ...epoch, outcome: created ? 'created' : 'raced' }
}
