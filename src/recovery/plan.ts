/** Makes the plan of a restore: finds the target, chooses the backup, and checks what can be checked before. Changes nothing. */
import path from 'node:path'
import { throwIfAborted } from '../base/abort.ts'
import { type Clock, systemClock } from '../base/clock.ts'
import { isRetakeError, RetakeError } from '../base/errors.ts'
import { onPath } from '../catalog/choose-backup.ts'
import { buildTimelinePath, type TimelinePath } from '../catalog/timeline-path.ts'
import { formatLsn, historyName, parseLsn, segmentName, segmentOf } from '../postgres/lsn.ts'
import { findFreePort } from '../postgres/server/free-port.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import { listBackups, openManifest } from '../repository/manifest-store.ts'
import { type BackupSurvey, surveyBackup } from './backup-survey.ts'
import { checkDelta, type DeltaRequest, deltaWarnings, planDelta, workOf } from './delta/plan-delta.ts'
import { damagedHistory, type HeldArchive, readHeldArchive } from './held-archive.ts'
import { lastTransaction, locateTarget } from './locate.ts'
import { readMeasuredRates } from './measured-rates.ts'
import {
  PLAN_SCHEMA_VERSION,
  type PlanPlace,
  type PlanServer,
  type PlanStop,
  type PlanTablespace,
  type PlanWal,
  type PreflightResult,
  type RestorePlan,
  sealPlan,
} from './plan-types.ts'
import { type DamagedBackup, planWarnings } from './plan-warnings.ts'
import { predictRestore } from './predict.ts'
import {
  checkBinaries,
  checkLibraries,
  checkPort,
  checkSpace,
  checkTablespaces,
  checkTarget,
  isPortFree,
} from './preflight.ts'
import { serverLibraryDirectories } from './server-libraries.ts'
import type { AfterRecovery } from './settings.ts'
import type { Located } from './stop-point.ts'
import { describeSelection, type TableSelection } from './tables/select-tables.ts'
import { placeTablespaces } from './tablespaces.ts'
import { formatTarget, type RecoveryTarget } from './targets.ts'
import { heldTimeline, majorOf, openWalLog, type WalLog } from './wal-log.ts'

export interface PlanRestoreOptions {
  readonly cluster: ClusterRepository
  readonly target: RecoveryTarget
  /** Absolute, or relative to the working directory; must be absent or empty, unless `delta` is given. */
  readonly targetDirectory: string
  /**
   * Changes the data directory that is there already: only what differs is fetched, and what does not belong is removed.
   * `undoDirectory` keeps a copy of all of it first; `keepNothing` says that none is wanted.
   */
  readonly delta?: DeltaRequest | undefined
  /** Default: the newest timeline that can be reached from a backup. */
  readonly timeline?: number | undefined
  /** Default: the newest that fits. */
  readonly backupId?: string | undefined
  /** Default: the cluster's own if it is free on this machine, else any free one. */
  readonly port?: number | undefined
  /** By oid or by original location; default `<targetDirectory>.tablespaces/<oid>`. */
  readonly tablespaceMap?: Readonly<Record<string, string>> | undefined
  /** Extra settings of the restored server; kept in its `postgresql.auto.conf`. */
  readonly settings?: Readonly<Record<string, string>> | undefined
  /** Asked once the backup is chosen: which of its files single tables need. Absent, or without an answer: everything is restored. */
  readonly select?: ((backup: BackupSummary) => Promise<TableSelection | undefined>) | undefined
  /** What the server does at the target; default `promote`. */
  readonly action?: AfterRecovery | undefined
  /** Default true. False lays the files out and writes the recovery settings into them. */
  readonly start?: boolean | undefined
  /** Where the server programs are; default: found. */
  readonly binDir?: string | undefined
  /**
   * What PostgreSQL runs to get WAL when Retake does not serve it itself (`start: false`, and a later start after
   * `shutdown`). `%f` and `%p` as PostgreSQL defines them. Must carry no secret.
   */
  readonly restoreCommand?: string | undefined
  readonly signal?: AbortSignal | undefined
  readonly clock?: Clock | undefined
}

/**
 * Plans a restore. The plan carries failed preflight checks as data; what cannot be planned at all is an error.
 *
 * @throws RetakeError `target.outside`, `target.missing`, `wal.gap`, `wal.history-missing`, `backup.missing`, `repo.damaged`,
 * `config.invalid`
 * @example
 * const plan = await planRestore({ cluster, target: parseTarget('latest'), targetDirectory: '/srv/restored' })
 */
export async function planRestore(options: PlanRestoreOptions): Promise<RestorePlan> {
  const { cluster, target, signal, clock = systemClock } = options
  // At once: a storage that is far away answers each request late.
  const [held, { backups, damaged }, rates] = await Promise.all([
    readHeldArchive(cluster),
    readBackups(cluster, options.backupId),
    readMeasuredRates(cluster),
  ])
  const path = choosePath({ held, backups, timeline: options.timeline })
  const log = openWalLog(cluster, { held, path, signal })
  const located = await locateReadable(options, { log, backups, damaged })
  throwIfAborted(signal)
  const selection = await options.select?.(located.choice.backup)
  const survey = await surveyBackup(cluster, located.choice.backup, { signal, leavesOut: selection?.leavesOut })
  const wal = planWal(log, located)
  const stop = await planStop(log, located)
  const place = await placeOf(options, { backup: located.choice.backup, survey })
  const server = await serverOf(options, survey)
  const predicted = predictRestore({ ...workOf(place, survey), walBytes: wal.bytes }, rates)
  return sealPlan({
    schemaVersion: PLAN_SCHEMA_VERSION,
    created: clock.now().toISOString(),
    cluster: clusterOf(cluster),
    target: { asked: formatTarget(target), timeline: path.at(-1)?.timeline ?? 1, path: path.map(formatStep) },
    backup: backupOf(located, damaged),
    stop,
    wal,
    files: {
      count: survey.fileCount,
      bytes: survey.bytes,
      writtenBytes: survey.writtenBytes,
      fetchedBytes: survey.fetchedBytes,
    },
    ...(selection ? { tables: describeSelection(selection) } : {}),
    place,
    server,
    predicted,
    preflight: await preflight({ cluster, place, server, survey, wal }),
    warnings: [
      ...(await deltaWarnings(place)),
      ...planWarnings({
        damaged,
        survey,
        backup: located.choice.backup,
        target,
        predicted,
        stop,
        path,
        coverage: held.coverage,
        server,
        ownPort: ownPort(options, survey),
      }),
    ],
  })
}

/** Runs the checks of a plan again, as they are now. */
export async function recheck(
  cluster: ClusterRepository,
  plan: RestorePlan,
  survey: BackupSurvey,
): Promise<PreflightResult[]> {
  return await preflight({ cluster, place: plan.place, server: plan.server, survey, wal: plan.wal })
}

async function preflight(options: {
  readonly cluster: ClusterRepository
  readonly place: PlanPlace
  readonly server: PlanServer
  readonly survey: BackupSurvey
  readonly wal: PlanWal
}): Promise<PreflightResult[]> {
  const { cluster, place, server, survey, wal } = options
  const { result, binaries } = await checkBinaries({
    major: majorOf(cluster),
    binDir: server.binDir,
    start: server.start,
  })
  const libraries = server.settings.shared_preload_libraries ?? survey.configured.get('shared_preload_libraries') ?? ''
  const walBytes = spoolBytes(wal, cluster)
  return [
    ...(place.delta
      ? await checkDelta(cluster, place, { survey, walBytes })
      : await checkNew(cluster, place, { survey, walBytes })),
    result,
    ...(binaries
      ? [
          await checkLibraries({
            libraries,
            binDir: binaries.binDir,
            libraryDirectories: await serverLibraryDirectories(binaries.binDir),
          }),
        ]
      : []),
    ...(server.start ? [await checkPort(server)] : []),
    {
      name: 'WAL',
      status: 'passed',
      detail: `complete from ${wal.beginLsn} to ${wal.endLsn}: ${wal.segmentCount} segments, ${Math.ceil(wal.bytes / 1e6)} MB`,
    },
  ]
}

/** The checks of a place that is filled anew. */
async function checkNew(
  cluster: ClusterRepository,
  place: PlanPlace,
  { survey, walBytes }: { readonly survey: BackupSurvey; readonly walBytes: number },
): Promise<PreflightResult[]> {
  const leftover = await checkTarget(place.targetDirectory, cluster.facts)
  const tablespaceBytes = place.tablespaces.reduce((sum, one) => sum + one.bytes, 0)
  return [
    leftover,
    // An interrupted restore has left something there, which will be removed; it is checked again then.
    ...(leftover.status === 'warning' ? [] : [await checkTablespaces(place.tablespaces)]),
    ...(await checkSpace([
      { directory: place.targetDirectory, bytes: survey.writtenBytes - tablespaceBytes + walBytes },
      ...place.tablespaces.map((one) => ({ directory: one.location, bytes: one.bytes })),
    ])),
  ]
}

/** PostgreSQL keeps the segments it was given in pg_wal for a while, beside those of the spool. */
function spoolBytes(wal: PlanWal, cluster: ClusterRepository): number {
  const segmentBytes = cluster.facts.walSegmentSizeBytes
  return Math.min(wal.segmentCount * segmentBytes, 1024 * 1024 * 1024 + 32 * segmentBytes)
}

/** The path to the timeline asked for, or to the newest that holds WAL or a backup and leads back to a backup. */
export function choosePath(options: {
  readonly held: HeldArchive
  readonly backups: readonly BackupSummary[]
  readonly timeline: number | undefined
}): TimelinePath {
  const { held, backups, timeline } = options
  const known = new Set([...held.coverage.map((one) => one.timeline), ...backups.map((one) => one.stopTimeline)])
  if (timeline !== undefined) {
    if (!known.has(timeline)) {
      throw new RetakeError('target.outside', `Nothing of timeline ${timeline} is held.`, {
        hint: `Held are: ${[...known].sort((a, b) => a - b).join(', ')}. Name one of them with --timeline.`,
      })
    }
    return pathTo(held, timeline)
  }
  const newestFirst = [...known].sort((a, b) => b - a)
  for (const candidate of newestFirst) {
    // A missing history is an error here: the newest past must not be passed over silently for an older one.
    const path = pathTo(held, candidate)
    if (backups.some((backup) => onPath(backup, path))) return path
  }
  return pathTo(held, newestFirst[0] ?? 1)
}

/** @throws RetakeError `repo.damaged` when the history file cannot be read, `wal.history-missing` */
function pathTo(held: HeldArchive, timeline: number): TimelinePath {
  const cause = damagedHistory(held, timeline)
  if (cause === undefined) return buildTimelinePath(held.histories, timeline)
  throw new RetakeError(
    'repo.damaged',
    `${cause.message} Where timeline ${timeline} left its parent is therefore unknown, and no target on it can be restored.`,
    {
      hint: `Put back ${historyName(timeline)} of this archive from a copy of the repository; or restore to an older timeline with --timeline.`,
      details: { ...cause.details, timeline },
      cause,
    },
  )
}

/**
 * All backups that can be read. A damaged manifest costs its own backup only (R2); it is an error when it was asked for, or
 * when nothing else is left.
 */
async function readBackups(
  cluster: ClusterRepository,
  backupId: string | undefined,
): Promise<{ readonly backups: readonly BackupSummary[]; readonly damaged: DamagedBackup[] }> {
  const damaged: DamagedBackup[] = []
  const backups = await listBackups(cluster, { onDamage: (error, id) => damaged.push({ backupId: id, error }) })
  const fatal = damaged.find((one) => one.backupId === backupId) ?? (backups.length === 0 ? damaged[0] : undefined)
  if (fatal) throw fatal.error
  return { backups, damaged }
}

/** The index of summaries may name a manifest that cannot be read any more: it costs its own backup only, here too (R2). */
async function locateReadable(
  options: PlanRestoreOptions,
  found: { readonly log: WalLog; readonly backups: readonly BackupSummary[]; readonly damaged: DamagedBackup[] },
): Promise<Located> {
  const { log, damaged } = found
  let { backups } = found
  for (;;) {
    const located = await locateTarget(options.target, { log, backups: candidates(backups, options.backupId) })
    const { backupId } = located.choice.backup
    try {
      await openManifest(options.cluster, backupId)
      return located
    } catch (error) {
      if (!isRetakeError(error, 'repo.damaged') || backupId === options.backupId || backups.length === 1) throw error
      damaged.push({ backupId, error })
      backups = backups.filter((one) => one.backupId !== backupId)
    }
  }
}

function candidates(backups: readonly BackupSummary[], backupId: string | undefined): readonly BackupSummary[] {
  if (backupId === undefined) return backups
  const chosen = backups.filter((backup) => backup.backupId === backupId)
  if (chosen.length > 0) return chosen
  throw new RetakeError('backup.missing', `There is no backup ${backupId}.`, {
    hint: 'Run `retake backups` to list them.',
  })
}

function backupOf({ choice }: Located, damaged: readonly DamagedBackup[]): RestorePlan['backup'] {
  const { backup, why, rejected } = choice
  const unreadable = damaged.map(({ backupId: id, error }) => ({ backupId: id, why: error.message }))
  const { backupId, timeline, startLsn, stopLsn, startedAt, stoppedAt } = backup
  return { backupId, timeline, startLsn, stopLsn, startedAt, stoppedAt, why, others: [...unreadable, ...rejected] }
}

async function planStop(log: WalLog, { stop, choice }: Located): Promise<PlanStop> {
  const last = await lastTransaction(log, { stop, startLsn: parseLsn(choice.backup.startLsn) })
  return {
    setting: stop.setting,
    recordLsn: formatLsn(stop.recordLsn),
    applied: stop.applied,
    endLsn: formatLsn(stop.endLsn),
    ...(last === undefined ? {} : { lastTransaction: last }),
    why: stop.why,
  }
}

function planWal(log: WalLog, { stop, choice }: Located): PlanWal {
  const size = log.segmentSizeBytes
  const beginLsn = parseLsn(choice.backup.startLsn)
  const first = segmentOf(beginLsn, size)
  // The end of the record may be the very beginning of a segment that does not exist yet.
  const last = segmentOf(stop.endLsn > beginLsn ? stop.endLsn - 1n : stop.endLsn, size)
  const name = (segment: bigint) =>
    segmentName({ timeline: heldTimeline(log, segment) ?? choice.backup.timeline, segment }, size)
  return {
    beginLsn: formatLsn(beginLsn),
    endLsn: formatLsn(stop.endLsn),
    segmentCount: Number(last - first) + 1,
    bytes: Number(stop.endLsn - beginLsn),
    firstSegment: name(first),
    lastSegment: name(last),
  }
}

function clusterOf(cluster: ClusterRepository): RestorePlan['cluster'] {
  const { name, systemIdentifier, serverVersionNum, walSegmentSizeBytes } = cluster.facts
  const { repositoryId } = cluster.sealing
  return { name, repositoryId, systemIdentifier, serverVersionNum, major: majorOf(cluster), walSegmentSizeBytes }
}

async function placeOf(
  options: PlanRestoreOptions,
  facts: { readonly backup: BackupSummary; readonly survey: BackupSurvey },
): Promise<PlanPlace> {
  const targetDirectory = path.resolve(options.targetDirectory)
  const tablespaces: PlanTablespace[] = placeTablespaces(facts.backup.tablespaces, {
    targetDirectory,
    map: options.tablespaceMap ?? {},
  }).map((one) => ({ ...one, bytes: facts.survey.bytesByTablespace.get(one.oid) ?? 0 }))
  const place = { targetDirectory, tablespaces }
  if (!options.delta) return place
  const { cluster, delta, signal } = options
  return {
    ...place,
    delta: await planDelta(cluster, { backupId: facts.backup.backupId, place, request: delta, signal }),
  }
}

async function serverOf(options: PlanRestoreOptions, survey: BackupSurvey): Promise<PlanServer> {
  const start = options.start ?? true
  const { port: portSetting, ...settings } = options.settings ?? {}
  const own = ownPort(options, survey)
  const anyPort = options.port === undefined && portSetting === undefined
  const port = options.port ?? (!start || !anyPort || (await isPortFree(own)) ? own : await findFreePort())
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new RetakeError('config.invalid', `${port} is not a port.`, { hint: 'Use a number from 1 to 65535.' })
  }
  return {
    start,
    action: options.action ?? 'promote',
    port,
    anyPort,
    // By itself a restored server is reachable from its own machine only (R10).
    settings: { listen_addresses: 'localhost', ...settings, port: String(port) },
    ...(options.binDir === undefined ? {} : { binDir: options.binDir }),
    ...(options.restoreCommand === undefined ? {} : { restoreCommand: options.restoreCommand }),
  }
}

/** The port of the cluster itself, unless a setting names another one. */
function ownPort(options: PlanRestoreOptions, survey: BackupSurvey): number {
  return Number(options.settings?.port ?? survey.configured.get('port') ?? 5432)
}

function formatStep(step: TimelinePath[number]): RestorePlan['target']['path'][number] {
  return {
    timeline: step.timeline,
    beginLsn: formatLsn(step.beginLsn),
    ...(step.endLsn === undefined ? {} : { endLsn: formatLsn(step.endLsn) }),
  }
}
