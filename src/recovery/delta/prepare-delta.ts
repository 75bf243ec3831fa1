/**
 * What happens before a directory is changed in place, in this order: the marker claims it; the undo is copied and durable; the
 * marker says so; the control file is taken away, and from here on no server starts until it is put back as the last act.
 */
import { rename } from 'node:fs/promises'
import path from 'node:path'
import { RetakeError, systemErrorCode } from '../../base/errors.ts'
import type { ProgressListener } from '../../base/progress.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { CONTROL_FILE } from '../backup-survey.ts'
import { syncDirectory } from '../durable-files.ts'
import type { PlanDelta, RestorePlan } from '../plan-types.ts'
import { claimTarget, type RestoreMarker, removeMarker, serverRuns, writeMarker } from '../target-directory.ts'
import { inspectDelta } from './delta-target.ts'
import { makeUndo } from './undo-copy.ts'

export interface PrepareDeltaOptions {
  readonly plan: RestorePlan
  readonly delta: PlanDelta
  /** The marker of this restore in its first phase. */
  readonly marker: RestoreMarker
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
}

/** @returns the directory's undo, if there is one @throws RetakeError `restore.refused`, `storage.full`, `aborted`; then nothing was changed */
export async function prepareDelta(
  cluster: ClusterRepository,
  options: PrepareDeltaOptions,
): Promise<{ readonly undo?: string | undefined }> {
  const { plan, marker } = options
  const directory = plan.place.targetDirectory
  const found = await inspectDelta(directory, cluster.facts)
  if (found.state === 'refused') throw refusedDelta(directory, found.why, found.fix)
  // Of a directory that is half changed already, the copy made at first is the one worth keeping.
  const earlier = found.state === 'unfinished' ? found.marker?.delta?.undo : undefined
  if (found.marker) await writeMarker(directory, { ...marker, delta: { undo: earlier } })
  else await claimTarget(directory, { ...marker, delta: {} })
  try {
    const undo = found.state === 'unfinished' ? earlier : await keepUndo(options)
    await takeControlFileAway(directory)
    return { undo }
  } catch (error) {
    if (found.marker) await writeMarker(directory, found.marker)
    else await removeMarker(directory)
    throw error
  }
}

async function keepUndo({ plan, delta, marker, signal, onProgress }: PrepareDeltaOptions): Promise<string | undefined> {
  const { targetDirectory } = plan.place
  const { undoDirectory } = delta
  if (undoDirectory === undefined) return undefined
  const totalBytes = delta.presentBytes + delta.removedBytes
  await makeUndo(targetDirectory, undoDirectory, { signal, onProgress, totalBytes })
  await writeMarker(targetDirectory, { ...marker, delta: { undo: undoDirectory } })
  return undoDirectory
}

/** A server may have been started in the moment before; then it gets its file back and nothing happens. */
async function takeControlFileAway(directory: string): Promise<void> {
  const file = path.join(directory, CONTROL_FILE)
  const aside = path.join(directory, 'global', 'pg_control.retake-before')
  try {
    await rename(file, aside)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return
    throw error
  }
  if (await serverRuns(directory)) {
    await rename(aside, file)
    throw refusedDelta(directory, 'a server was started in it just now', `Stop it: pg_ctl stop -D '${directory}'`)
  }
  await syncDirectory(path.dirname(file))
}

function refusedDelta(directory: string, why: string, fix: string): RetakeError {
  return new RetakeError('restore.refused', `${directory} cannot be changed in place: ${why}. Nothing was changed.`, {
    hint: fix,
    details: { targetDirectory: directory },
  })
}

/**
 * What is changed in place must be meant: its name is typed (R9).
 * @throws RetakeError `confirmation.missing`
 */
export function requireConfirmation(plan: RestorePlan, confirm: string | undefined): void {
  const { targetDirectory, delta } = plan.place
  const name = path.basename(targetDirectory)
  if (!delta || confirm === name) return
  throw new RetakeError(
    'confirmation.missing',
    confirm === undefined
      ? `The restore changes ${targetDirectory} in place, and nobody has confirmed that.`
      : `"${confirm}" is not the name of ${targetDirectory}, so nothing was changed.`,
    { hint: `Look at the plan, then say the directory's name: --confirm ${name}`, details: { targetDirectory } },
  )
}
