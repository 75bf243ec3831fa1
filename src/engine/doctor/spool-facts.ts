/** The facts about the spool of a receiver on this machine. Looking changes nothing. */
import { access, constants, stat, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type RetakeError, systemErrorCode, toRetakeError } from '../../base/errors.ts'
import { currentProcess } from '../../base/process-identity.ts'
import { parseLsn } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { readPosition, type WalPosition } from '../../repository/wal-records.ts'
import { networkFileSystemOf } from '../../sources/physical/direct/network-file-system.ts'
import { lookAtSpool, type SpoolLook } from '../../sources/physical/look-at-spool.ts'
import { listClusterBackups } from '../backups.ts'
import { type Retake, type RetakeSettings, spoolDirectory } from '../open.ts'
import { readReceiver } from '../receiver-state.ts'
import { type FreeSpace, freeSpace } from './space.ts'

/** Where the spool lies, or would be made. */
export interface SpoolPlace {
  readonly exists: boolean
  /** Of the directory, or where it would be made. */
  readonly problem?: string | undefined
  /** `memory` is gone after a reboot, `layer` with a container; undefined: a disk, as far as can be seen. */
  readonly fileSystem?: string | undefined
  /** Nothing else of the machine fills it. */
  readonly ownFileSystem: boolean
  readonly sharesDiskWithData: boolean | undefined
  readonly space: FreeSpace
}

export interface SpoolFacts {
  /** Undefined: none is configured. */
  readonly directory: string | undefined
  /** The place is not there, or closed to this user. */
  readonly place: SpoolPlace | { readonly error: string } | undefined
  /** Undefined while the repository is not open, or the cluster not registered. */
  readonly held: SpoolLook | RetakeError | undefined
  /** What the archive's position says of the spool of the last receiver. */
  readonly recorded: { readonly host: string; readonly isHere: boolean; readonly ahead: boolean } | undefined
  /** The repository makes WAL durable as soon as a spool would, and a receiver refuses to use one. */
  readonly isNeedless: boolean
  readonly receiver: { readonly holder: string } | undefined
  /** The mean since the last backup; undefined when there is none, or too little time has passed. */
  readonly walBytesPerMinute: number | undefined
  readonly walSegmentSizeBytes: number
}

const DEFAULT_SEGMENT_BYTES = 16 * 1024 ** 2

export async function gatherSpoolFacts(
  settings: RetakeSettings,
  known: { readonly retake: Retake | undefined; readonly dataDirectory: string | undefined },
): Promise<SpoolFacts> {
  const directory = spoolDirectory(settings)
  const cluster = known.retake && (await registered(known.retake))
  const position = cluster && (await readPosition(cluster).catch(() => undefined))
  return {
    directory,
    place: directory === undefined ? undefined : await lookAtPlace(directory, known.dataDirectory),
    held: directory === undefined || !cluster ? undefined : await lookAtSpool(directory, cluster).catch(toRetakeError),
    recorded: position && recordedBy(position),
    isNeedless: cluster?.store.openAppender !== undefined,
    receiver: cluster && (await readReceiver(cluster, settings.clock)),
    walBytesPerMinute: cluster && (await walRate(cluster, position)),
    walSegmentSizeBytes: cluster?.facts.walSegmentSizeBytes ?? DEFAULT_SEGMENT_BYTES,
  }
}

async function registered(retake: Retake): Promise<ClusterRepository | undefined> {
  const names = await retake.repository.listClusters()
  return names.includes(retake.clusterName) ? await retake.cluster() : undefined
}

function recordedBy({ spool, flushLsn }: WalPosition): SpoolFacts['recorded'] {
  return (
    spool && {
      host: spool.host,
      isHere: spool.host === currentProcess().host,
      ahead: parseLsn(spool.acknowledgedLsn) > parseLsn(flushLsn),
    }
  )
}

async function lookAtPlace(
  directory: string,
  dataDirectory: string | undefined,
): Promise<SpoolPlace | { readonly error: string }> {
  try {
    const exists = await isThere(directory)
    const nearest = await nearestExisting(directory)
    const [info, above, space, fileSystem] = await Promise.all([
      stat(nearest),
      stat(dirname(nearest)),
      freeSpace(nearest),
      fileSystemOf(nearest),
    ])
    const data = dataDirectory === undefined ? undefined : await stat(dataDirectory).catch(() => undefined)
    return {
      exists,
      problem: info.isDirectory() ? await whyNotWritable(nearest) : `${nearest} is no directory`,
      fileSystem,
      ownFileSystem: exists && info.dev !== above.dev,
      sharesDiskWithData: data && data.dev === info.dev,
      space,
    }
  } catch (error) {
    return { error: `${directory} cannot be looked at (${systemErrorCode(error) ?? String(error)})` }
  }
}

async function whyNotWritable(directory: string): Promise<string | undefined> {
  try {
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK)
    return undefined
  } catch (error) {
    return `${directory} cannot be written by this user (${systemErrorCode(error) ?? String(error)})`
  }
}

async function nearestExisting(directory: string): Promise<string> {
  for (let path = directory; ; path = dirname(path)) if ((await isThere(path)) || dirname(path) === path) return path
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false
    throw error
  }
}

/** `f_type` of statfs(2) on Linux, of what does not outlive the machine's next start, or its container. */
const PASSING_TYPES: ReadonlyMap<number, string> = new Map([
  [0x01021994, 'memory'],
  [0x858458f6, 'memory'],
  [0x794c7630, 'layer'],
])

async function fileSystemOf(path: string): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined
  const { type } = await statfs(path)
  return PASSING_TYPES.get(type >>> 0) ?? (await networkFileSystemOf(path))
}

const LEAST_MINUTES = 1

async function walRate(cluster: ClusterRepository, position: WalPosition | undefined): Promise<number | undefined> {
  const last = (await listClusterBackups(cluster)).backups.at(-1)
  if (position === undefined || last === undefined || last.stopTimeline !== position.timeline) return undefined
  const minutes = (Date.parse(position.at) - Date.parse(last.stoppedAt)) / 60_000
  const bytes = Number(parseLsn(position.flushLsn) - parseLsn(last.stopLsn))
  return minutes < LEAST_MINUTES || bytes < 0 ? undefined : bytes / minutes
}
