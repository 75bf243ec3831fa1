/**
 * The directory that is restored into. Nothing that is not ours is ever overwritten or removed (R9): it must be absent or
 * empty, or hold what an interrupted restore of this cluster has left, which its marker tells.
 *
 * The marker goes through phases, each written durably before what it announces:
 * `files` (no pg_control yet, so no server can start), `recovering` (a recovery of ours has not ended), `complete`.
 */
import { link, open, readdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { RetakeError, systemErrorCode } from '../base/errors.ts'
import { currentProcess, hasCertainlyEnded, type ProcessIdentity } from '../base/process-identity.ts'
import { replaceFile, syncDirectory } from './durable-files.ts'

export const MARKER = '.retake-restore.json'
/** Where WAL lies ready for the recovering server. */
export const SPOOL = '.retake-spool'
/** The log of the recovery, and of the server until it is started by somebody else. */
export const LOG_NAME = 'retake-recovery.log'

export type MarkerPhase = 'files' | 'recovering' | 'complete'

export interface RestoreMarker {
  readonly tool: 'retake'
  readonly planHash: string
  readonly systemIdentifier: string
  readonly phase: MarkerPhase
  /** Where tablespaces were placed; each was absent or empty when the restore began. */
  readonly tablespaces: readonly string[]
  readonly at: string
  /** The directory was there before and is changed in place; `undo` is the finished copy of what it was. */
  readonly delta?: { readonly undo?: string | undefined } | undefined
  /** Who is restoring; absent when nobody is any more. */
  readonly process?: ProcessIdentity | undefined
}

/** What is found at the target. `leftover` may be removed; `occupied` may not. */
export type TargetState =
  | { readonly state: 'absent' | 'empty' }
  | { readonly state: 'leftover'; readonly marker: RestoreMarker }
  | { readonly state: 'occupied'; readonly why: string }

/** Facts of a directory, for {@link judgeTarget}. */
export interface TargetFacts {
  /** Undefined: it does not exist. */
  readonly names: readonly string[] | undefined
  readonly marker: RestoreMarker | undefined
  readonly hasControlFile: boolean
  readonly hasRecoverySignal: boolean
  /** The process that postmaster.pid names is alive. */
  readonly serverRuns: boolean
  /** The process that the marker names may be alive. */
  readonly restoreRuns: boolean
}

/** Total over the facts; the table is in docs/design/recovery.md. */
export function judgeTarget(facts: TargetFacts, cluster: { readonly systemIdentifier: string }): TargetState {
  const { names, marker } = facts
  if (names === undefined) return { state: 'absent' }
  // A restore that was killed before it had claimed the directory has left the draft of its marker and nothing else.
  if (names.every(isMarkerDraft)) return { state: 'empty' }
  if (!marker) return { state: 'occupied', why: 'it is not empty' }
  if (marker.systemIdentifier !== cluster.systemIdentifier) {
    return { state: 'occupied', why: 'it holds a restore of another cluster' }
  }
  if (facts.restoreRuns) return { state: 'occupied', why: 'another restore into it is running' }
  if (facts.serverRuns) return { state: 'occupied', why: 'a server is running in it' }
  if (marker.delta)
    return { state: 'occupied', why: 'it was there before a delta restore into it began (do that again with --delta)' }
  if (!facts.hasControlFile) return { state: 'leftover', marker }
  if (marker.phase === 'recovering' && facts.hasRecoverySignal) return { state: 'leftover', marker }
  return { state: 'occupied', why: 'it holds a finished restore' }
}

export async function inspectTarget(
  directory: string,
  cluster: { readonly systemIdentifier: string },
): Promise<TargetState> {
  const names = await namesIn(directory)
  if (names === undefined || names.length === 0) return judgeTarget(factsOf(names), cluster)
  const marker = await readMarker(directory)
  return judgeTarget(
    {
      names,
      marker,
      hasControlFile: (await namesIn(path.join(directory, 'global')))?.includes('pg_control') ?? false,
      hasRecoverySignal: names.includes('recovery.signal'),
      serverRuns: await serverRuns(directory),
      restoreRuns: marker?.process !== undefined && !hasEnded(marker.process),
    },
    cluster,
  )
}

/** Undefined when there is no marker, or it is not one of ours. */
export async function readMarker(directory: string): Promise<RestoreMarker | undefined> {
  try {
    const marker = JSON.parse(await readFile(path.join(directory, MARKER), 'utf8')) as Partial<RestoreMarker>
    return marker.tool === 'retake' && Array.isArray(marker.tablespaces) ? (marker as RestoreMarker) : undefined
  } catch (error) {
    if (error instanceof SyntaxError || systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Puts the first marker into an empty directory; durable when it resolves.
 * @throws RetakeError `restore.refused` when somebody else did so in the same moment
 */
export async function claimTarget(directory: string, marker: RestoreMarker): Promise<void> {
  const draft = `${path.join(directory, MARKER)}.${process.pid}`
  try {
    {
      await using handle = await open(draft, 'w', 0o600)
      await handle.writeFile(render(marker))
      await handle.sync()
    }
    // Whole or not at all, and only for one.
    await link(draft, path.join(directory, MARKER))
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'EEXIST' || code === 'ENOENT') throw occupiedError(directory, 'another restore into it is running')
    throw error
  }
  for (const name of (await namesIn(directory)) ?? []) {
    if (name !== MARKER && isMarkerDraft(name)) await rm(path.join(directory, name), { force: true })
  }
  await syncDirectory(directory)
}

function isMarkerDraft(name: string): boolean {
  return name.startsWith(`${MARKER}.`)
}

/** Replaces the marker; durable when it resolves. */
export async function writeMarker(directory: string, marker: RestoreMarker): Promise<void> {
  await replaceFile(path.join(directory, MARKER), render(marker))
}

/** The restore is complete and the server is on its own. */
export async function removeMarker(directory: string): Promise<void> {
  await rm(path.join(directory, MARKER), { force: true })
}

/**
 * Removes what an interrupted restore has left. The control file goes first and the marker last, so that a removal which is
 * itself interrupted leaves a leftover again, never something that starts.
 */
export async function removeLeftover(directory: string, marker: RestoreMarker): Promise<void> {
  await rm(path.join(directory, 'global', 'pg_control'), { force: true })
  for (const tablespace of marker.tablespaces) {
    for (const name of (await namesIn(tablespace)) ?? []) {
      // Only what PostgreSQL makes there.
      if (/^PG_\d+_\d+$/.test(name)) await rm(path.join(tablespace, name), { recursive: true })
    }
  }
  for (const name of (await namesIn(directory)) ?? []) {
    if (name !== MARKER) await rm(path.join(directory, name), { recursive: true, maxRetries: 2 })
  }
  await rm(path.join(directory, MARKER), { force: true })
}

export function occupiedError(directory: string, why: string): RetakeError {
  return new RetakeError('restore.refused', `${directory} cannot be restored into: ${why}. Nothing was changed.`, {
    hint: 'Name a directory that does not exist yet with --to, or empty this one yourself.',
    details: { targetDirectory: directory },
  })
}

export async function namesIn(directory: string): Promise<string[] | undefined> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

function render(marker: RestoreMarker): string {
  return `${JSON.stringify(marker, undefined, 2)}\n`
}

/** A process of this machine that belongs to an earlier boot has ended; one of another machine may live. */
export function hasEnded(identity: ProcessIdentity): boolean {
  const observer = currentProcess()
  return identity.realm === observer.realm && (identity.boot !== observer.boot || hasCertainlyEnded(identity, observer))
}

function factsOf(names: readonly string[] | undefined): TargetFacts {
  return {
    names,
    marker: undefined,
    hasControlFile: false,
    hasRecoverySignal: false,
    serverRuns: false,
    restoreRuns: false,
  }
}

export async function serverRuns(directory: string): Promise<boolean> {
  try {
    const pid = Number((await readFile(path.join(directory, 'postmaster.pid'), 'utf8')).split('\n')[0])
    process.kill(pid, 0)
    return true
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'ERR_INVALID_ARG_TYPE') return false
    // EPERM: it lives and belongs to somebody else.
    return true
  }
}
