/**
 * The physical backup, full or incremental. Order (R1, F1): every pack durable, then the manifest, which is the commit. Whatever ends it
 * before that, an error, an abort, a lost lease, leaves nothing that a reader sees.
 */
import { throwIfAborted } from '../../base/abort.ts'
import { type Clock, systemClock } from '../../base/clock.ts'
import { isRetakeError, RetakeError, toRetakeError } from '../../base/errors.ts'
import { timeOrderedIdAfter } from '../../base/ids.ts'
import { type Logger, type ProgressListener, silentLogger } from '../../base/progress.ts'
import { retakeVersion } from '../../base/version.ts'
import { buildTimelinePath, type TimelinePath } from '../../catalog/timeline-path.ts'
import type { ConnectionTarget } from '../../postgres/connection/config.ts'
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import { type BaseBackupOptions, type BaseBackupResult, runBaseBackup } from '../../postgres/replication/base-backup.ts'
import { openReplication, type ReplicationConnection } from '../../postgres/replication/connection.ts'
import { parseTimelineHistory } from '../../postgres/timeline.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { readCondemnedPacks } from '../../repository/condemned.ts'
import { forgetOldFailures, recordFailure, rememberInterrupted } from '../../repository/failures.ts'
import { acquireLease, type Lease } from '../../repository/lease.ts'
import type { BackupSummary } from '../../repository/manifest.ts'
import { listBackupIds, listBackups } from '../../repository/manifest-store.ts'
import { beginRun, cleanInterruptedRuns, listRuns } from '../../repository/runs.ts'
import { BackupCopy, type BackupStart, type Gate } from './backup-copy.ts'
import { type BackupType, Basis } from './basis.ts'
import { chooseWay, type Way } from './choose-way.ts'
import { copyFiles } from './direct/copy-files.ts'
import { readBlock } from './direct/read-pieces.ts'
import type { BlockPlace } from './page-judgement.ts'
import {
  assertBackupPossible,
  assertSameCluster,
  readDatabases,
  readServerSettings,
  readServerTime,
  type ServerSettings,
} from './preflight.ts'
import { ServerLine } from './server-line.ts'
import { hasSummaries, refusesSummaries, uploadParent } from './wal-summaries.ts'

export interface BackUpOptions {
  readonly cluster: ClusterRepository
  readonly target: ConnectionTarget
  /**
   * `full` reads and compares everything by its content; `incremental` refers to what its parent holds. Default: incremental, and full
   * where there is no parent or it does not fit, which the summary then says. Either is complete by itself.
   */
  readonly type?: BackupType | undefined
  /** Free text, kept with the backup. */
  readonly label?: string | undefined
  /** Names what asks for this backup. When one that was made for it is held, that one is the result, and no other is made. */
  readonly request?: string | undefined
  /** zstd level, 1 to 19; higher is smaller and slower. Default 1, by measurement. */
  readonly compressionLevel?: number | undefined
  /** Threads that compress and seal. Default: one per processor, at most eight; 0 works in the caller's thread. */
  readonly workers?: number | undefined
  /** `fast` (default) begins at once, at the price of a burst of writes on the server; `spread` may wait for minutes. */
  readonly checkpoint?: 'fast' | 'spread' | undefined
  /** Upper limit of what is read from the server, in KiB per second, from 32. Default: none. */
  readonly maxRateKiB?: number | undefined
  /** `files` reads the server's files on this machine, `replication` has the server send them. Default: files where that is possible. */
  readonly via?: 'replication' | 'files' | undefined
  /** Holds the reading back, for whoever watches the server meanwhile. */
  readonly gate?: Gate | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
  readonly logger?: Logger | undefined
  readonly clock?: Clock | undefined
}

interface BackupContext {
  readonly options: BackUpOptions
  readonly basis: Basis
  readonly backupId: string
  readonly line: ServerLine
  readonly replication: ReplicationConnection
  readonly way: Way
  readonly settings: ServerSettings
  readonly signal: AbortSignal
  readonly lease: Lease
}

/**
 * Takes a backup and commits it. The WAL from its start to its stop must be archived
 * as well before it can be restored; `ensureWal` sees to that.
 *
 * Memory is bounded whatever the size of the database. Corrupt pages do not fail the backup: they are counted in the
 * summary, named in the manifest, and logged.
 * @throws RetakeError `cluster.foreign`, `backup.refused`, `postgres.*`, `repo.locked`, `repo.lease-lost`, `storage.*`, `aborted`
 */
export async function backUp(options: BackUpOptions): Promise<BackupSummary> {
  const { cluster, clock = systemClock, logger = silentLogger } = options
  throwIfAborted(options.signal)
  await using lease = await acquireLease(cluster, { role: 'backup', holder: 'retake backup', clock, logger })
  const signal = options.signal ? AbortSignal.any([options.signal, lease.signal]) : lease.signal
  await cleanInterruptedRuns(cluster, rememberInterrupted(cluster, clock))
  await forgetOldFailures(cluster, clock)
  const made = await findRequested(options)
  if (made) return made
  const backupId = timeOrderedIdAfter(clock.now(), await newestId(cluster))
  try {
    return await makeBackup({ options, backupId, signal, lease })
  } catch (error) {
    const reason = explain(error)
    const isCancelled = options.signal?.aborted === true
    await cleanUp(cluster, { backupId, error: reason, isCancelled, signal: lease.signal, clock, logger })
    throw reason
  }
}

/** Of backups, and of those that failed: what comes after a failure sorts after it. */
async function newestId(cluster: ClusterRepository): Promise<string | undefined> {
  const { failed } = await listRuns(cluster)
  return [...(await listBackupIds(cluster)).slice(-1), ...failed].sort().at(-1)
}

async function makeBackup({
  options,
  backupId,
  signal,
  lease,
}: Pick<BackupContext, 'options' | 'backupId' | 'signal' | 'lease'>) {
  const { cluster, target, logger = silentLogger } = options
  await using line = new ServerLine(target, { applicationName: 'retake backup', signal })
  const settings = await readServerSettings(line)
  const way = await chooseWay(line, options)
  if (way.via === 'replication' && way.reason !== undefined)
    logger.info(`The backup is read through replication. ${way.reason}`)
  await using replication = await openReplication(target, { signal, applicationName: 'retake backup' })
  assertSameCluster(cluster.facts, (await replication.identifySystem()).systemIdentifier)
  assertBackupPossible(cluster.facts, settings)
  await beginRun(cluster, backupId)
  // Condemned packs are read once the run is on record: what is condemned later stays while we run.
  using basis = await openBasis({ options, line, replication, settings, signal })
  return await copyAndCommit({ options, basis, backupId, line, replication, way, settings, signal, lease })
}

/** Whoever asked may have been ended after the commit, before it could note that. */
async function findRequested({ cluster, request }: BackUpOptions): Promise<BackupSummary | undefined> {
  if (request === undefined) return undefined
  // One that cannot be read was made for nobody: a new one is needed.
  const backups = await listBackups(cluster, { onDamage: () => {} })
  return backups.findLast((backup) => backup.request === request)
}

async function openBasis(
  context: Pick<BackupContext, 'options' | 'line' | 'replication' | 'settings' | 'signal'>,
): Promise<Basis> {
  const { options, line, replication, settings, signal } = context
  const { cluster, type, logger = silentLogger } = options
  const { timeline, flushLsn } = await replication.identifySystem()
  return await Basis.open({
    cluster,
    type,
    server: { ...settings, lsn: flushLsn, timelinePath: await readTimelinePath(replication, timeline) },
    databases: await readDatabases(line),
    condemned: await readCondemnedPacks(cluster),
    logger,
    signal,
  })
}

/** The timelines that the server came through. */
async function readTimelinePath(replication: ReplicationConnection, timeline: number): Promise<TimelinePath> {
  const file = timeline > 1 ? await replication.timelineHistory(timeline) : undefined
  return buildTimelinePath(file ? [parseTimelineHistory(timeline, file.content.toString('utf8'))] : [], timeline)
}

async function copyAndCommit(context: BackupContext): Promise<BackupSummary> {
  const { options, basis, backupId, line, way, settings, signal, lease } = context
  const { cluster, onProgress } = options
  const begun = async (start: BackupStart) => basis.begun(start, await readDatabases(line))
  const reread = way.via === 'files' ? (place: BlockPlace) => readBlock(way.local.dataDirectory, place) : undefined
  await using copy = await BackupCopy.open({ ...options, backupId, line, settings, basis, begun, signal, reread })
  const startedAt = await readServerTime(line)
  onProgress?.({ phase: 'checkpoint', done: 0, unit: 'steps', message: 'Waiting for a checkpoint on the server.' })
  const stop = await copy.guard(readServer(context, copy))
  const stoppedAt = await readServerTime(line)
  for (const warning of stop.warnings) options.logger?.warn(`The server warned during the backup: ${warning}`)
  onProgress?.({ phase: 'commit', done: 0, total: 1, unit: 'steps', message: 'Making the backup durable.' })
  const { start, totals, storedBytes, readBytes } = await copy.finish()
  await lease.assertHeld()
  const { changedBytes, ...counts } = totals
  const { databases, ...kind } = basis.facts
  const summary: BackupSummary = {
    backupId,
    ...kind,
    via: stop.via,
    ...(options.label === undefined ? {} : { label: options.label }),
    ...(options.request === undefined ? {} : { request: options.request }),
    cluster: cluster.facts.name,
    systemIdentifier: cluster.facts.systemIdentifier,
    serverVersionNum: settings.serverVersionNum,
    blockSizeBytes: settings.blockSizeBytes,
    walSegmentSizeBytes: settings.walSegmentSizeBytes,
    dataChecksums: settings.dataChecksums,
    timeline: start.timeline,
    startLsn: formatLsn(start.lsn),
    stopTimeline: stop.stopTimeline,
    stopLsn: formatLsn(stop.stopLsn),
    startedAt,
    stoppedAt,
    tablespaces: start.tablespaces,
    databases,
    ...counts,
    storedBytes,
    readBytes,
    ...(kind.type === 'incremental' ? { changedBytes } : {}),
    retakeVersion: retakeVersion(),
  }
  await copy.commit(summary)
  onProgress?.({ phase: 'commit', done: 1, total: 1, unit: 'steps' })
  return summary
}

interface ServerRead {
  readonly stopLsn: Lsn
  readonly stopTimeline: number
  readonly warnings: readonly string[]
  readonly via: Way['via']
}

/** Increments by the server's summaries where it has them and they fit, because only those spare reading every file; else all files. */
async function readServer(context: BackupContext, copy: BackupCopy): Promise<ServerRead> {
  const { options, backupId, basis, line, replication, way, settings } = context
  const { target, maxRateKiB, clock = systemClock } = options
  const { signal, lost, intake } = copy
  const request: BaseBackupOptions = {
    label: `retake ${backupId}`,
    fastCheckpoint: options.checkpoint !== 'spread',
    // Where single blocks can be read again, that tells torn from corrupt; elsewhere the server does it for us.
    verifyChecksums: settings.dataChecksums && !settings.mayReadFiles,
    maxRateKiB,
    signal,
  }
  if (options.via !== 'files' && basis.usesPageLsns && hasSummaries(settings)) {
    const read = await readSummarised(context, copy, request)
    if (read) return { ...read, via: 'replication' }
  }
  if (way.via === 'replication') return { ...(await runBaseBackup(replication, request, copy.sink)), via: way.via }
  // Nothing more is asked of it, and it would be idle for long.
  await replication[Symbol.asyncDispose]()
  const { local, via } = way
  return { ...(await copyFiles({ ...request, target, line, local, signal, lost, clock }, intake)), via }
}

/** Undefined when the server's summaries are of no use, which the basis is told. */
async function readSummarised(
  context: BackupContext,
  copy: BackupCopy,
  request: BaseBackupOptions,
): Promise<BaseBackupResult | undefined> {
  const { options, basis, replication } = context
  const why = await uploadParent({ ...context, cluster: options.cluster, signal: copy.signal })
  if (why !== undefined) {
    basis.refuseSummaries(why)
    return undefined
  }
  basis.useSummaries()
  try {
    return await runBaseBackup(replication, { ...request, incremental: true }, copy.sink)
  } catch (error) {
    if (copy.hasBegun || !refusesSummaries(error)) throw error
    basis.refuseSummaries(error.message)
    return undefined
  }
}

interface CleanUpOptions {
  readonly backupId: string
  readonly error: unknown
  readonly signal: AbortSignal
  readonly isCancelled: boolean
  readonly clock: Clock
  readonly logger: Logger
}

/** Writes down that it failed, then gives back at once the space that it took; if that fails as well, the next backup does it. */
async function cleanUp(cluster: ClusterRepository, options: CleanUpOptions): Promise<void> {
  const { backupId, error, signal, isCancelled, clock, logger } = options
  // Without the lease another backup may be running, whose packs are not ours to judge.
  if (signal.aborted) return
  try {
    // What somebody did not want any more has not failed.
    if (!isCancelled) await recordFailure(cluster, { backupId, error: toRetakeError(error), clock })
    await cleanInterruptedRuns(cluster)
  } catch (error) {
    logger.warn('What the failed backup had stored could not be removed; the next backup will try again.', {
      cause: error instanceof Error ? error.message : String(error),
    })
  }
}

/** Says what the failure means for a backup, where the error cannot know. */
function explain(error: unknown): unknown {
  if (isRetakeError(error, 'postgres.error') && error.details.sqlState === '55000') return refusedByServer(error)
  if (!isRetakeError(error, 'postgres.connection-lost')) return error
  return new RetakeError(
    error.code,
    `${error.message} The backup was not finished, and nothing of it is visible; earlier backups are untouched.`,
    {
      hint: 'Run the backup again: a stream cannot be continued. If it breaks each time, check firewalls between here and the server, and wal_sender_timeout on the server.',
      details: error.details,
      cause: error,
    },
  )
}

/** Such as a standby that was promoted meanwhile, or whose primary has turned full_page_writes off. */
function refusedByServer(error: RetakeError): RetakeError {
  return new RetakeError(
    'backup.refused',
    `The server does not accept the backup. ${error.message} Nothing of it is visible; earlier backups are untouched.`,
    {
      hint: 'Run the backup again. A standby that was promoted is a primary now, and can be backed up as one.',
      details: error.details,
      cause: error,
    },
  )
}
