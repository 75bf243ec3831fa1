/** What a plan says of a directory that is changed in place: the quick look, its checks, and what its reader should know. */
import { readlink, stat } from 'node:fs/promises'
import path from 'node:path'
import { RetakeError, systemErrorCode } from '../../base/errors.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import type { BackupSurvey } from '../backup-survey.ts'
import type { PlanDelta, PlanPlace, PreflightResult } from '../plan-types.ts'
import { checkSpace, closedParent, failed, passed } from '../preflight.ts'
import { inspectDelta, isUsableTablespace, usedLocation } from './delta-target.ts'
import { surveyDelta } from './survey.ts'
import { undoTablespaces } from './undo-copy.ts'

/** One of the two must be said: there is no undo by accident, and no lack of one either (R9). */
export type DeltaRequest = { readonly undoDirectory: string } | { readonly keepNothing: true }

/** @throws RetakeError `config.invalid` when the undo would lie inside of what is changed */
export async function planDelta(
  cluster: ClusterRepository,
  options: {
    readonly backupId: string
    readonly place: PlanPlace
    readonly request: DeltaRequest
    readonly signal?: AbortSignal | undefined
  },
): Promise<PlanDelta> {
  const { backupId, place, request, signal } = options
  const undoDirectory = 'undoDirectory' in request ? path.resolve(request.undoDirectory) : undefined
  if (undoDirectory !== undefined) requireOutside(undoDirectory, place)
  return surveyDelta(cluster, { backupId, place, undoDirectory, signal })
}

function requireOutside(undoDirectory: string, place: PlanPlace): void {
  for (const directory of [place.targetDirectory, ...place.tablespaces.map((one) => one.location)]) {
    const relative = path.relative(directory, undoDirectory)
    if (relative.startsWith('..') || path.isAbsolute(relative)) continue
    throw new RetakeError(
      'config.invalid',
      `The undo, ${undoDirectory}, would lie inside ${directory}, which is changed.`,
      {
        hint: `Name a directory outside of it: --undo-dir ${place.targetDirectory}.before`,
      },
    )
  }
}

/** What a prediction counts: in a directory that is there, at most what looks different. */
export function workOf(
  place: PlanPlace,
  survey: BackupSurvey,
): { readonly writtenBytes: number; readonly comparedBytes?: number } {
  const { delta } = place
  if (!delta) return { writtenBytes: survey.writtenBytes }
  return { writtenBytes: delta.atMostBytes, comparedBytes: delta.presentBytes }
}

export async function checkDelta(
  cluster: ClusterRepository,
  place: PlanPlace,
  sizes: { readonly survey: BackupSurvey; readonly walBytes: number },
): Promise<PreflightResult[]> {
  const results = [await checkDirectory(cluster, place), await checkPlaces(place)]
  const { delta } = place
  if (!delta) return results
  const growthBytes = Math.max(0, sizes.survey.writtenBytes - delta.presentBytes - delta.removedBytes)
  const parts = [{ directory: place.targetDirectory, bytes: growthBytes + sizes.walBytes }]
  if (delta.undoDirectory !== undefined) {
    results.push(await checkUndo(cluster, place, delta.undoDirectory))
    parts.push({ directory: delta.undoDirectory, bytes: delta.presentBytes + delta.removedBytes })
  }
  return [...results, ...(await checkSpace(parts))]
}

async function checkDirectory(cluster: ClusterRepository, place: PlanPlace): Promise<PreflightResult> {
  const name = 'target directory'
  const { targetDirectory } = place
  const closed = await closedParent(targetDirectory)
  if (closed) return closed
  const found = await inspectDelta(targetDirectory, cluster.facts)
  if (found.state === 'refused')
    return failed(name, `${targetDirectory} cannot be changed in place: ${found.why}`, found.fix)
  return found.state === 'usable'
    ? passed(name, `${targetDirectory} is a data directory of this cluster, and no server runs in it`)
    : passed(name, `${targetDirectory} holds what an interrupted restore of this cluster has left; it is completed`)
}

async function checkPlaces(place: PlanPlace): Promise<PreflightResult> {
  const name = 'tablespaces'
  for (const tablespace of place.tablespaces) {
    if (await isUsableTablespace(place, tablespace)) continue
    const { oid, location } = tablespace
    return failed(
      name,
      `${location}, for tablespace ${oid}, is not empty, and it is not the tablespace of this data directory`,
      `Give it another place with --tablespace-map ${oid}=DIR, or empty that directory yourself.`,
    )
  }
  return passed(name, place.tablespaces.map((one) => one.location).join(', ') || 'the cluster has none')
}

/** The undo of an attempt that was interrupted is kept, so its name may be there. */
async function checkUndo(
  cluster: ClusterRepository,
  place: PlanPlace,
  undoDirectory: string,
): Promise<PreflightResult> {
  const name = 'undo'
  const found = await inspectDelta(place.targetDirectory, cluster.facts)
  if (found.state === 'unfinished') {
    const earlier = found.marker?.delta?.undo
    return passed(name, earlier ? `${earlier} was made by the first attempt and is kept` : 'there is nothing to keep')
  }
  for (const directory of [undoDirectory, undoTablespaces(undoDirectory)]) {
    if (!(await exists(directory))) continue
    return failed(name, `${directory} is there already`, 'Name a directory that does not exist yet with --undo-dir.')
  }
  const closed = await closedParent(undoDirectory)
  if (closed) return { ...closed, name }
  return passed(name, `everything is kept as it is now in ${undoDirectory}`)
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file)
    return true
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false
    throw error
  }
}

/** What a reader should know before a directory is changed. */
export async function deltaWarnings(place: PlanPlace): Promise<string[]> {
  const { delta, targetDirectory, tablespaces } = place
  if (!delta) return []
  const warnings: string[] = []
  if (delta.undoDirectory === undefined) {
    warnings.push(`${targetDirectory} is changed in place and nothing of it is kept; with --undo-dir DIR a copy is.`)
    if (delta.removedWalFiles > 0) {
      warnings.push(
        `${delta.removedWalFiles} WAL files in pg_wal are removed; what of them was never archived is then gone for good.`,
      )
    }
  }
  for (const { oid, location } of tablespaces) {
    const used = await usedLocation(place, { oid })
    if (used === undefined || used === location) continue
    warnings.push(
      `Tablespace ${oid} now lies in ${used}, which is not touched; it is laid out anew in ${location}. To change it in place: --tablespace-map ${oid}=${used}`,
    )
  }
  const wal = await linkTarget(path.join(targetDirectory, 'pg_wal'))
  if (wal)
    warnings.push(
      `pg_wal is a link to ${wal}; it becomes a directory in ${targetDirectory}, and ${wal} is not touched.`,
    )
  return warnings
}

async function linkTarget(file: string): Promise<string | undefined> {
  try {
    return await readlink(file)
  } catch {
    // No link, or nothing there at all: the checks say so.
    return undefined
  }
}
