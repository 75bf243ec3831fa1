import { updateJournal as updateClusterJournal } from '../../journal/update.ts'
import type { Retake } from '../open.ts'
import { type Operation, type OperationOptions, startOperation } from '../operation.ts'

export interface UpdateJournalOptions extends OperationOptions {
  /** Make all of it anew. Default false. */
  readonly rebuild?: boolean | undefined
}

export interface JournalReport {
  readonly cluster: string
  /** Stretches of sixteen segments that were stored. */
  readonly stored: number
  /** How much WAL they are about, and what they take before they are compressed. */
  readonly walBytes: number
  readonly encodedBytes: number
  /** Stretches that went, because their WAL is not held any more. */
  readonly removed: number
  /** Why some could not be told. */
  readonly unreadable: readonly string[]
}

/**
 * Reads the WAL that is held and not told of yet, and stores what happened in it, so that {@link findIncidents} need not read it again.
 * `receiveWal` does that by itself; this is for WAL that came another way, and after damage.
 * @throws RetakeError by its `result`: `repo.damaged`, `storage.*`, `aborted`
 */
export function updateJournal(retake: Retake, options: UpdateJournalOptions = {}): Operation<JournalReport> {
  return startOperation(async ({ signal, onProgress }) => {
    const cluster = await retake.cluster()
    const { logBytes, storedBytes, ...rest } = await updateClusterJournal(cluster, {
      signal,
      onProgress,
      isRebuild: options.rebuild,
    })
    return { cluster: cluster.facts.name, ...rest, walBytes: logBytes, encodedBytes: storedBytes }
  }, options)
}
