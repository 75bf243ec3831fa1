/**
 * Executes a plan. What a crash leaves at each point is in docs/design/recovery.md; the short of it: until the control file
 * is renamed into place as the last act of laying out, no server can start from the directory.
 */
import path from 'node:path'
import { throwIfAborted } from '../base/abort.ts'
import { type Clock, systemClock } from '../base/clock.ts'
import { isRetakeError } from '../base/errors.ts'
import { currentProcess, type ProcessIdentity } from '../base/process-identity.ts'
import { type Logger, type ProgressListener, silentLogger } from '../base/progress.ts'
import { historyName } from '../postgres/lsn.ts'
import { type ServerAccount, serverAccount } from '../postgres/server/account.ts'
import { findPostgresBinaries } from '../postgres/server/binaries.ts'
import { findFreePort } from '../postgres/server/free-port.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { registerReader } from '../repository/readers.ts'
import { archiveSource } from './archive-source.ts'
import { CONTROL_FILE } from './backup-survey.ts'
import { addRecoverySettings, changePort, writeConfiguration } from './config-files.ts'
import { type ConfirmedPlan, confirmPlan } from './confirm-plan.ts'
import { layOutDelta } from './delta/lay-out-delta.ts'
import { prepareDelta, requireConfirmation } from './delta/prepare-delta.ts'
import { replaceFile, syncTrees } from './durable-files.ts'
import { type FeederSource, WalFeeder } from './feeder.ts'
import { restoreCommandOf } from './fetch-script.ts'
import { takenTimelines } from './held-archive.ts'
import { type LaidOut, layOut } from './lay-out.ts'
import { type RestorePlan, readPlan } from './plan-types.ts'
import { isPortFree } from './preflight.ts'
import { proveWal, segmentRange } from './prove-wal.ts'
import { readAhead } from './read-ahead.ts'
import type { RestorePhase, RestoreReport } from './report.ts'
import { RestorePool } from './restore-pool.ts'
import { type RecoveredServer, type RunServerOptions, runRecovery } from './run-server.ts'
import { quoteShell, recoverySettings } from './settings.ts'
import type { TableSelection } from './tables/select-tables.ts'
import {
  claimTarget,
  inspectTarget,
  type MarkerPhase,
  occupiedError,
  type RestoreMarker,
  readMarker,
  removeLeftover,
  removeMarker,
  SPOOL,
  writeMarker,
} from './target-directory.ts'
import { makeOwnedDirectory } from './tree-writer.ts'
import { WriteBack } from './write-back.ts'

export interface ApplyRestoreOptions {
  readonly cluster: ClusterRepository
  /** As {@link planRestore} made it, or as it was read from JSON. */
  readonly plan: RestorePlan
  /** Where the plan changes a directory in place: its name, as a person typed it. */
  readonly confirm?: string | undefined
  /** Threads that fetch and write; default one per processor, at most four. */
  readonly workers?: number | undefined
  /** What a plan for single tables was made with. */
  readonly selection?: TableSelection | undefined
  /** What is done to the WAL before the server gets it. Default: nothing. */
  readonly rewriteWal?: ((source: FeederSource) => FeederSource) | undefined
  /** Default true. False: nobody needs these files after a crash of the machine, so nothing waits for the disk. */
  readonly durable?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ProgressListener | undefined
  readonly logger?: Logger | undefined
  readonly clock?: Clock | undefined
}

/** Segments kept ready ahead of the replay, at most, and the space they may take. */
const MAX_FILES_AHEAD = 16
const MAX_BYTES_AHEAD = 256 * 1024 * 1024
/** Segments behind the one that is unpacked of which the storage is asked for the first pieces. */
const FILES_BEGUN = 2
const PORT_ATTEMPTS = 5

/**
 * Restores as planned: lays the files out, makes them durable, starts the server, serves it WAL until its target is reached.
 *
 * A server that was promoted or paused keeps running when this process ends; the report says how to stop it.
 * @throws RetakeError `confirmation.missing`, `plan.stale`, `restore.refused`, `repo.damaged`, `wal.gap`, `storage.full`, `postgres.server`,
 * `restore.mismatch`, `aborted`. What was laid out by then does not start; applying the plan again removes it first.
 */
export async function applyRestore(options: ApplyRestoreOptions): Promise<RestoreReport> {
  const { cluster, clock = systemClock, signal } = options
  const plan = readPlan(options.plan)
  requireConfirmation(plan, options.confirm)
  const stages = new Stages(clock)
  const account = serverAccount(plan.place.targetDirectory)
  // Threads need a while to start; meanwhile the plan is confirmed.
  await using writeBack = new WriteBack(treesOf(plan))
  // They get the keys once: those of epochs that were begun since the cluster was opened belong to them.
  await cluster.sealing.refresh?.()
  await using pool = plan.place.delta ? undefined : openPool(options, { plan, account, writeBack })
  // Before anything is looked at: what is not given up by now is not deleted until this ends.
  await using _reader = await registerReader(cluster, { holder: 'retake restore', clock, logger: options.logger })
  const { selection } = options
  const { survey, held } = await stages.run('check', () => confirmPlan(cluster, plan, { signal, selection }))
  // A server that is started proves its WAL by replaying it; otherwise nobody would have, when the files are called ready.
  if (!plan.server.start) {
    await stages.run('wal', () => proveWal(cluster, { plan, held, signal, onProgress: options.onProgress }))
  }
  const preparing = () => prepare({ ...options, plan, clock, account })
  const { undo } = await (plan.place.delta ? stages.run('undo', preparing) : preparing())
  try {
    return await execute({ ...options, plan, clock, account, undo, pool, writeBack, survey, held, stages })
  } catch (error) {
    await disown(plan, clock)
    throw error
  }
}

interface Preparation extends ApplyRestoreOptions {
  readonly clock: Clock
  readonly account: ServerAccount | undefined
}

interface Execution extends Preparation, ConfirmedPlan {
  /** Absent where a directory is changed in place. */
  readonly pool: RestorePool | undefined
  readonly writeBack: WriteBack
  /** What a directory that is changed in place was before. */
  readonly undo: string | undefined
  readonly stages: Stages
}

function openPool(
  options: ApplyRestoreOptions,
  { plan, account, writeBack }: Pick<Execution, 'plan' | 'account' | 'writeBack'>,
): RestorePool {
  const { cluster, workers, signal, onProgress } = options
  const { writtenBytes } = plan.files
  return new RestorePool({
    cluster,
    account,
    workers,
    expectedBytes: writtenBytes,
    signal,
    onProgress: ({ plainBytes }) => {
      if (options.durable ?? true) writeBack.wrote(plainBytes)
      onProgress?.({ phase: 'files', done: plainBytes, total: writtenBytes, unit: 'bytes' })
    },
  })
}

async function execute(options: Execution): Promise<RestoreReport> {
  const { plan, pool, stages, durable = true, logger = silentLogger } = options
  const { targetDirectory } = plan.place
  await using stack = new AsyncDisposableStack()
  const startFeeder = async () => stack.use(await feed(options))
  // Ahead of the files where nothing waits for the disk, which would wait for the WAL as well.
  const early = plan.server.start && !durable ? await startFeeder() : undefined
  const laidOut = await stages.run('files', () => (pool ? layOut({ ...options, pool }) : layOutDelta(options)))
  const notes = await stages.run('durable', () => makeComplete({ ...options, laidOut }))
  const warnings = [...plan.warnings, ...notes, ...skippedLinks(laidOut), ...undoNote(options)]
  logger.info('restored files are durable', { targetDirectory, writtenBytes: laidOut.writtenBytes })
  if (!plan.server.start) return reportOf({ ...options, laidOut, warnings })
  const recovered = await stages.run('recovery', async () => recover(options, early ?? (await startFeeder())))
  return reportOf({ ...options, laidOut, warnings: [...warnings, ...recovered.warnings], recovered })
}

/** Everything that may be refused has been; from here on things change. */
async function prepare(options: Preparation): Promise<{ readonly undo?: string | undefined }> {
  const { cluster, plan, clock, account } = options
  const { targetDirectory, tablespaces, delta } = plan.place
  const marker = markerOf(plan, { phase: 'files', clock, process: currentProcess() })
  if (delta) return await prepareDelta(cluster, { ...options, delta, marker })
  const found = await inspectTarget(targetDirectory, cluster.facts)
  if (found.state === 'occupied') throw occupiedError(targetDirectory, found.why)
  if (found.state === 'leftover') await removeLeftover(targetDirectory, found.marker)
  for (const { location } of tablespaces) {
    const own = await inspectTarget(location, cluster.facts)
    if (own.state !== 'absent' && own.state !== 'empty') throw occupiedError(location, 'it is not empty')
  }
  await makeOwnedDirectory(targetDirectory, account)
  await claimTarget(targetDirectory, marker)
  return {}
}

async function makeComplete(options: Execution & { readonly laidOut: LaidOut }): Promise<string[]> {
  const { plan, survey, account, laidOut, clock, undo, writeBack } = options
  const { targetDirectory } = plan.place
  const recovery = plan.server.start ? undefined : laterRecovery(plan)
  const notes = await writeConfiguration({ plan, survey, account, recovery })
  const { start } = plan.server
  await mark(
    plan,
    start ? { phase: 'recovering', clock, undo, process: currentProcess() } : { phase: 'complete', clock, undo },
  )
  await writeBack.settle()
  if (options.durable ?? true) await syncTrees(treesOf(plan))
  // Only now is there something that could start.
  await replaceFile(path.join(targetDirectory, CONTROL_FILE), laidOut.controlFile, { account })
  return notes
}

/** Where files are laid out. */
function treesOf({ place }: RestorePlan): string[] {
  return [place.targetDirectory, ...place.tablespaces.map((one) => one.location)]
}

/** The settings for a server that somebody starts later, without Retake serving it. */
function laterRecovery(plan: RestorePlan) {
  const { restoreCommand = `retake wal get --cluster ${quoteShell(plan.cluster.name)} %f "%p"`, action } = plan.server
  return recoverySettings({ stop: plan.stop.setting, timeline: plan.target.timeline, restoreCommand, action })
}

/** Begins to lay ready the WAL that the server will ask for. */
async function feed(options: Execution): Promise<WalFeeder> {
  const { cluster, plan, account, held, signal } = options
  throwIfAborted(signal)
  const size = plan.cluster.walSegmentSizeBytes
  const [firstSegment, lastSegment] = segmentRange(plan, size)
  const archived = readAhead(archiveSource(cluster, { held, path: held.path, firstSegment, lastSegment }), {
    files: FILES_BEGUN,
  })
  const source = options.rewriteWal?.(archived) ?? archived
  const filesAhead = Math.max(2, Math.min(MAX_FILES_AHEAD, Math.floor(MAX_BYTES_AHEAD / size)))
  return await WalFeeder.start({ spoolDirectory: spoolOf(plan), source, filesAhead, account })
}

const spoolOf = ({ place }: RestorePlan): string => path.join(place.targetDirectory, SPOOL)

async function recover(
  options: Execution,
  feeder: WalFeeder,
): Promise<
  RecoveredServer & { readonly segments: number; readonly bytes: number; readonly warnings: readonly string[] }
> {
  const { plan, account, held, clock, undo, signal, onProgress } = options
  const { binDir } = await findPostgresBinaries({ major: plan.cluster.major, directory: plan.server.binDir, account })
  const recovered = await runOnUsablePort(options, { plan, binDir, account, feeder, signal, onProgress })
  const warnings: string[] = []
  if (recovered.outcome !== 'promoted') await feeder.freeze(takenTimelines(held).map(historyName))
  if (recovered.outcome === 'shut-down') {
    const { stop, target, place } = plan
    const restoreCommand = restoreCommandOf(spoolOf(plan))
    const recovery = recoverySettings({
      stop: stop.setting,
      timeline: target.timeline,
      restoreCommand,
      action: 'promote',
    })
    await addRecoverySettings(place.targetDirectory, { recovery, account })
    warnings.push(
      'Started again, the server promotes at exactly this point; keep its .retake-spool directory until then.',
    )
  }
  if (recovered.outcome === 'paused') {
    warnings.push('Promote with SELECT pg_wal_replay_resume(); keep the .retake-spool directory until then.')
  }
  if (recovered.outcome === 'promoted' && plan.server.action === 'pause') {
    warnings.push(
      'The server could not pause, because it was not yet open to queries at the target; it was promoted there.',
    )
  }
  if (recovered.outcome === 'promoted') await removeMarker(plan.place.targetDirectory)
  else await mark(plan, { phase: 'complete', clock, undo })
  return { ...recovered, segments: feeder.delivered.files, bytes: feeder.delivered.bytes, warnings }
}

/** A port that nobody asked for may have been taken since the plan was made; before recovery begins, another one does as well. */
async function runOnUsablePort(execution: Execution, run: Omit<RunServerOptions, 'port'>): Promise<RecoveredServer> {
  const { anyPort, port: planned } = execution.plan.server
  for (let attempt = 1; ; attempt += 1) {
    const keep = !anyPort || (attempt === 1 && (await isPortFree(planned)))
    const port = keep ? planned : await findFreePort()
    if (!keep) await changePort(execution, port)
    try {
      return await runRecovery({ ...run, port })
    } catch (error) {
      const taken = isRetakeError(error, 'postgres.server') && error.details.portTaken === true
      if (!taken || !anyPort || attempt === PORT_ATTEMPTS) throw error
    }
  }
}

interface MarkOptions {
  readonly phase: MarkerPhase
  readonly clock: Clock
  readonly undo?: string | undefined
  readonly process?: ProcessIdentity | undefined
}

async function mark(plan: RestorePlan, options: MarkOptions): Promise<void> {
  await writeMarker(plan.place.targetDirectory, markerOf(plan, options))
}

function markerOf(plan: RestorePlan, { phase, clock, undo, process }: MarkOptions): RestoreMarker {
  return {
    tool: 'retake',
    planHash: plan.hash,
    systemIdentifier: plan.cluster.systemIdentifier,
    phase,
    tablespaces: plan.place.tablespaces.map((one) => one.location),
    at: clock.now().toISOString(),
    ...(plan.place.delta ? { delta: { undo } } : {}),
    process,
  }
}

/** A restore that failed is nobody's any more, so that this process may do it again. */
async function disown(plan: RestorePlan, clock: Clock): Promise<void> {
  try {
    const marker = await readMarker(plan.place.targetDirectory)
    if (marker?.process) await mark(plan, { phase: marker.phase, clock, undo: marker.delta?.undo })
  } catch {
    // The first error counts; another process will see that this one has ended.
  }
}

function reportOf(context: {
  readonly plan: RestorePlan
  readonly undo: string | undefined
  readonly laidOut: LaidOut & { readonly comparedBytes?: number | undefined }
  readonly stages: Stages
  readonly warnings: readonly string[]
  readonly recovered?: (RecoveredServer & { readonly segments: number; readonly bytes: number }) | undefined
}): RestoreReport {
  const { plan, undo, laidOut, stages, warnings, recovered } = context
  const { fileCount, writtenBytes, fetchedBytes, comparedBytes } = laidOut
  return {
    schemaVersion: 1,
    planHash: plan.hash,
    cluster: plan.cluster.name,
    backupId: plan.backup.backupId,
    target: plan.target.asked,
    targetDirectory: plan.place.targetDirectory,
    outcome: recovered?.outcome ?? 'laid-out',
    phases: stages.phases,
    totalMs: stages.phases.reduce((sum, phase) => sum + phase.durationMs, 0),
    files: {
      count: fileCount + 1,
      writtenBytes,
      fetchedBytes,
      ...(comparedBytes === undefined ? {} : { comparedBytes }),
    },
    ...(undo === undefined ? {} : { undoDirectory: undo }),
    wal: { segments: recovered?.segments ?? 0, bytes: recovered?.bytes ?? 0, replayMs: recovered?.facts.replayMs },
    reached: recovered && reachedBy(plan, recovered),
    server: recovered?.server && serverOf(recovered.server, plan),
    warnings,
  }
}

function reachedBy(plan: RestorePlan, { facts }: RecoveredServer): RestoreReport['reached'] {
  const { stop } = plan
  return {
    lsn: stop.applied ? stop.endLsn : stop.recordLsn,
    xid: stop.lastTransaction?.xid,
    at: stop.lastTransaction?.at,
    stopping: facts.stopping,
    newTimeline: facts.newTimeline,
  }
}

function serverOf(server: NonNullable<RecoveredServer['server']>, plan: RestorePlan): RestoreReport['server'] {
  const { pid, port, socketDir, logFile } = server
  return {
    pid,
    port,
    socketDirectory: socketDir,
    logFile,
    connect: `psql -h ${socketDir} -p ${port}`,
    stop: `pg_ctl stop -D ${quoteShell(plan.place.targetDirectory)}`,
  }
}

function undoNote({ undo }: Execution): string[] {
  return undo === undefined
    ? []
    : [`The directory as it was before is kept in ${undo}; remove it when nobody wants it back.`]
}

function skippedLinks(laidOut: LaidOut): string[] {
  if (laidOut.skippedLinks.length === 0) return []
  return [`Links that lead out of the data directory were not made: ${laidOut.skippedLinks.join(', ')}`]
}

/** Times the phases of a restore. */
class Stages {
  readonly phases: RestorePhase[] = []
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async run<T>(name: RestorePhase['name'], work: () => Promise<T>): Promise<T> {
    const begun = this.#clock.monotonicMs()
    const result = await work()
    this.phases.push({ name, durationMs: Math.round(this.#clock.monotonicMs() - begun) })
    return result
  }
}
