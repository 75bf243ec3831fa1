/** What drills have left whose process was killed: their servers end, their directories go, and that they were interrupted is put on record. */
import { readdir, rmdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import { systemErrorCode } from '../base/errors.ts'
import { retakeVersion } from '../base/version.ts'
import type { Retake } from '../engine/open.ts'
import { hasEnded } from '../recovery/target-directory.ts'
import { type DrillRecord, parseDrill, putDrill } from '../repository/drills.ts'
import { emptySandbox, readDraft, readSandbox, removeSandbox, SANDBOX_PREFIX, type SandboxMarker } from './sandbox.ts'

/** Whoever makes one has marked it within moments. */
const UNMARKED_MS = 600_000

/** Where sandboxes are made when nobody says otherwise. */
export function drillDirectory({ config, directory }: Pick<Retake, 'config' | 'directory'>): string {
  return config.drillDirectory === undefined ? tmpdir() : path.resolve(directory, config.drillDirectory)
}

/**
 * Removes the sandboxes of this repository whose process has certainly ended, and stops their servers. Those that were kept on purpose, those
 * of other repositories, and those of processes that may live are left alone.
 * @returns the drills that were interrupted
 */
export async function sweepDrills(retake: Retake, parent = drillDirectory(retake)): Promise<string[]> {
  const swept: string[] = []
  for (const name of await namesIn(parent)) {
    if (!name.startsWith(SANDBOX_PREFIX)) continue
    const directory = path.join(parent, name)
    const found = await readSandbox(directory)
    if (!found) {
      await removeUnmarked(directory, retake.clock)
      continue
    }
    const { sandbox, marker } = found
    if (marker.kept || marker.repositoryId !== retake.repository.id || !hasEnded(marker.process)) continue
    await emptySandbox(sandbox)
    const cluster = await retake.repository.openCluster(marker.cluster)
    const draft = parseDrill(await readDraft(sandbox))
    const record = draft?.id === marker.id ? draft : interrupted(marker, { clock: retake.clock, ...cluster.facts })
    await putDrill(cluster, record)
    await removeSandbox(sandbox)
    retake.logger.warn('what an interrupted drill had left was removed', { drill: marker.id, directory })
    swept.push(marker.id)
  }
  return swept
}

function interrupted(
  { id, cluster, beganAt, by, request, deep, process }: SandboxMarker,
  { clock, serverVersionNum }: { readonly clock: Clock; readonly serverVersionNum: number },
): DrillRecord {
  return {
    ...{ id, cluster, beganAt, by, deep },
    ...(request === undefined ? {} : { request }),
    host: process.host,
    endedAt: clock.now().toISOString(),
    outcome: 'interrupted',
    versions: { retake: retakeVersion(), server: serverVersionNum },
    phases: [],
    checks: [],
    warnings: [],
    error: { code: 'interrupted', message: 'The process or the machine ended before the drill did.' },
  }
}

async function namesIn(parent: string): Promise<string[]> {
  try {
    return await readdir(parent)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw error
  }
}

/** Killed between making it and marking it; only ever when it is empty. */
async function removeUnmarked(directory: string, clock: Clock): Promise<void> {
  try {
    const { mtimeMs, uid } = await stat(directory)
    const isOwn = process.getuid === undefined || uid === process.getuid()
    if (isOwn && clock.now().getTime() - mtimeMs > UNMARKED_MS) await rmdir(directory)
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) throw error
  }
}
