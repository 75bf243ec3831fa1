/**
 * Whether a directory may be changed in place: it must be a data directory of this very cluster in which no server runs. The
 * decision is a function of facts; docs/design/recovery.md has the table.
 */
import { readFile, readlink } from 'node:fs/promises'
import { createConnection } from 'node:net'
import path from 'node:path'
import { isRetakeError, systemErrorCode } from '../../base/errors.ts'
import { parseControlFile } from '../../postgres/control-file.ts'
import { readPostmasterFile } from '../../postgres/server/postmaster-file.ts'
import { CONTROL_FILE } from '../backup-survey.ts'
import type { PlanPlace, PlanTablespace } from '../plan-types.ts'
import { hasEnded, namesIn, type RestoreMarker, readMarker, serverRuns } from '../target-directory.ts'

/**
 * `unfinished`: an interrupted restore of ours has left it, so there is nothing in it that somebody could want back.
 * `usable`: a data directory like any other.
 */
export type DeltaState =
  | { readonly state: 'usable' | 'unfinished'; readonly marker: RestoreMarker | undefined }
  | { readonly state: 'refused'; readonly why: string; readonly fix: string }

export interface DeltaFacts {
  readonly directory: string
  /** Undefined: it does not exist. */
  readonly names: readonly string[] | undefined
  readonly marker: RestoreMarker | undefined
  /** Of its control file; `damaged` when that cannot be read. */
  readonly systemIdentifier: string | 'damaged' | undefined
  readonly hasRecoverySignal: boolean
  /** The process that postmaster.pid names is alive. */
  readonly serverRuns: boolean
  /** Something answers at the socket that postmaster.pid names: a server in another container, perhaps. */
  readonly socketAnswers: boolean
  /** The process that the marker names may be alive. */
  readonly restoreRuns: boolean
}

const ELSEWHERE = 'Leave --delta out and restore into a new directory.'

/** Total over the facts. */
export function judgeDelta(facts: DeltaFacts, cluster: { readonly systemIdentifier: string }): DeltaState {
  const { directory, names, marker, systemIdentifier } = facts
  if (names === undefined) return refused('it does not exist', ELSEWHERE)
  if (facts.restoreRuns) return refused('another restore into it is running', 'Wait until that one has ended.')
  if (facts.serverRuns) return refused('a server is running in it', `Stop it: pg_ctl stop -D '${directory}'`)
  if (facts.socketAnswers) {
    return refused(
      'a server answers at the socket that its postmaster.pid names',
      `Stop that server; when it certainly is another one, remove ${path.join(directory, 'postmaster.pid')}.`,
    )
  }
  if (marker && marker.systemIdentifier !== cluster.systemIdentifier)
    return refused('it holds a restore of another cluster', ELSEWHERE)
  if (systemIdentifier === undefined) {
    if (marker) return { state: 'unfinished', marker }
    return refused('it has no control file, so it is no data directory, or nobody knows of which cluster', ELSEWHERE)
  }
  if (systemIdentifier === 'damaged')
    return refused('its control file is damaged, so nobody knows of which cluster it is', ELSEWHERE)
  if (systemIdentifier !== cluster.systemIdentifier) return refused('it belongs to another cluster', ELSEWHERE)
  const unfinished = marker?.phase === 'recovering' && facts.hasRecoverySignal
  return { state: unfinished ? 'unfinished' : 'usable', marker }
}

function refused(why: string, fix: string): DeltaState {
  return { state: 'refused', why, fix }
}

export async function inspectDelta(
  directory: string,
  cluster: { readonly systemIdentifier: string },
): Promise<DeltaState> {
  const names = await namesOf(directory)
  const marker = names ? await readMarker(directory) : undefined
  return judgeDelta(
    {
      directory,
      names,
      marker,
      systemIdentifier: await systemIdentifierOf(directory),
      hasRecoverySignal: names?.includes('recovery.signal') ?? false,
      serverRuns: await serverRuns(directory),
      socketAnswers: await socketAnswers(directory),
      restoreRuns: marker?.process !== undefined && !hasEnded(marker.process),
    },
    cluster,
  )
}

/** Where a tablespace goes in a delta restore: a new place, or the one that is there and was meant. */
export async function isUsableTablespace(place: PlanPlace, tablespace: PlanTablespace): Promise<boolean> {
  const names = (await namesIn(tablespace.location)) ?? []
  if (names.length === 0) return true
  // Only what PostgreSQL makes there, in the place that this very directory uses.
  return (
    names.every((name) => /^PG_\d+_\d+$/.test(name)) && (await usedLocation(place, tablespace)) === tablespace.location
  )
}

/** Where the directory's own link leads; undefined when it has none. */
export async function usedLocation(place: PlanPlace, { oid }: { readonly oid: number }): Promise<string | undefined> {
  const directory = path.join(place.targetDirectory, 'pg_tblspc')
  try {
    return path.resolve(directory, await readlink(path.join(directory, String(oid))))
  } catch (error) {
    if (['ENOENT', 'EINVAL', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return undefined
    throw error
  }
}

async function namesOf(directory: string): Promise<string[] | undefined> {
  try {
    return await namesIn(directory)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOTDIR') return undefined
    throw error
  }
}

async function systemIdentifierOf(directory: string): Promise<DeltaFacts['systemIdentifier']> {
  try {
    return parseControlFile(await readFile(path.join(directory, CONTROL_FILE))).systemIdentifier
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return undefined
    if (isRetakeError(error, 'postgres.protocol') || isRetakeError(error, 'postgres.unsupported')) return 'damaged'
    throw error
  }
}

async function socketAnswers(directory: string): Promise<boolean> {
  const file = await readPostmasterFile(directory).catch((error: unknown) => {
    if (systemErrorCode(error) !== 'ENOTDIR') throw error
  })
  if (!file?.socketDir || file.port === undefined) return false
  const socketPath = path.join(file.socketDir, `.s.PGSQL.${file.port}`)
  return await new Promise((resolve) => {
    const probe = createConnection(socketPath)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
}
