import { type EpochRetirement, retireEpochs } from '../../repository/retire-epoch.ts'
import type { Retake } from '../open.ts'
import { currentActor } from './actor.ts'

export interface RetireKeysOptions {
  /** Between the announcement and the destruction of a key. Default 7 days. */
  readonly graceMs?: number | undefined
  readonly dryRun?: boolean | undefined
  /** For the record. Default: `user@host`. */
  readonly by?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Destroys the data keys of the cluster that seal nothing any more, in two phases: announced by one call, destroyed by one after the
 * time of grace. A key that still seals something stays, with the reason.
 * @throws RetakeError `repo.locked` while pruning or re-encryption runs, `repo.damaged` when a manifest cannot be read
 */
export async function retireKeys(retake: Retake, options: RetireKeysOptions = {}): Promise<EpochRetirement[]> {
  const { repository, clock } = retake
  return await retireEpochs(repository, await retake.cluster(), { ...options, by: options.by ?? currentActor(), clock })
}
