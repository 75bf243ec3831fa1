import { RetakeError } from '../base/errors.ts'
import type { ProgressListener } from '../base/progress.ts'
import { formatLsn, parseLsn } from '../postgres/lsn.ts'
import { keepLocked } from '../repository/keep-locked.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import { refreshSummaryIndex } from '../repository/manifest-store.ts'
import { backUp as backUpCluster } from '../sources/physical/backup.ts'
import { ensureWal } from '../sources/physical/ensure-wal.ts'
import { assertMirrorsConfigured } from './mirrors/keep-copies.ts'
import type { Retake } from './open.ts'
import { type Operation, type OperationContext, type OperationOptions, startOperation } from './operation.ts'
import { readWindow } from './window.ts'

export interface BackUpOptions extends OperationOptions {
  /**
   * `incremental` stores only what changed since its parent and refers to the rest; `full` reads and compares everything by its
   * content. Default: incremental, and full where there is no parent that fits; `backup.reason` then says why.
   */
  readonly type?: 'full' | 'incremental' | undefined
  /** A name to find it by. */
  readonly label?: string | undefined
  /**
   * Names what asks for the backup, such as a job and its time. When one that was made for it is held, that one is reported and no
   * other is made, so that whoever was interrupted can ask again.
   */
  readonly request?: string | undefined
  /** Upper limit of what is read from the server, in KiB per second. Default: none. */
  readonly maxRateKiB?: number | undefined
  /**
   * `files` reads the server's files on this machine, with several threads; `replication` has the server send them. Default: files where
   * this user can read them and they are proven to be the server's. Which it was is `backup.via`.
   */
  readonly via?: 'replication' | 'files' | undefined
  /**
   * Asked before each piece (at most 1 MiB) that is read from the server is taken; while the promise is pending, nothing further is read.
   * It must not be pending for long without a piece in between: what is on the way may take the connection for dead. Default: none.
   */
  readonly gate?: ((signal: AbortSignal) => Promise<void> | undefined) | undefined
}

export interface BackupReport {
  readonly backup: BackupSummary
  /** How the WAL that makes the backup restorable came into the archive. */
  readonly wal: {
    readonly timeline: number
    readonly flushLsn: string
    /** `this-run`: no receiver was running, so it was received here, and nothing is received from now on. */
    readonly by: 'this-run' | 'other-receiver'
  }
  readonly durationMs: number
}

/**
 * Takes a backup and sees to it that it can be restored: the WAL up to its end is held when this is done.
 *
 * ```ts
 * const run = backUp(retake, { label: 'before-upgrade' })
 * for await (const step of run.progress) console.error(step.phase, step.done, step.total)
 * const { backup } = await run.result
 * ```
 * @throws RetakeError by its `result`: `repo.locked`, `cluster.foreign`, `backup.refused`, `postgres.*`, `storage.*`, `wal.gap`, `aborted`
 */
export function backUp(retake: Retake, options: BackUpOptions = {}): Operation<BackupReport> {
  return startOperation((context) => runBackUp(retake, options, context), options)
}

// The public functions of this package are `subject, options`; this one also carries what every operation has.
async function runBackUp(retake: Retake, options: BackUpOptions, context: OperationContext): Promise<BackupReport> {
  const begunMs = retake.clock.monotonicMs()
  await assertMirrorsConfigured(retake)
  const common = {
    cluster: await retake.cluster(),
    target: retake.target(),
    logger: retake.logger,
    clock: retake.clock,
  }
  const { compressionLevel, workers } = retake.config
  const { type, label, request, maxRateKiB, via, gate } = options
  const backup = await backUpCluster({
    ...common,
    ...context,
    type,
    label,
    request,
    maxRateKiB,
    via,
    gate,
    compressionLevel,
    workers,
  })
  const wal = await ensureWal({
    ...common,
    ...context,
    onProgress: renamed(context.onProgress, 'receiving WAL'),
    slot: common.cluster.facts.slot,
    untilLsn: parseLsn(backup.stopLsn),
  })
  if (wal.standby) await assertRestorable(retake, backup)
  await keepLocked(common.cluster, backup)
  await refreshSummaryIndex(common.cluster).catch((error: unknown) => {
    // The backup is complete; listing many of them is slower until the next one.
    retake.logger.warn('The index of backups could not be written.', { error: String(error) })
  })
  return {
    backup,
    wal: { timeline: wal.timeline, flushLsn: formatLsn(wal.flushLsn), by: wal.by },
    durationMs: Math.round(retake.clock.monotonicMs() - begunMs),
  }
}

/**
 * The backup of a standby begins where the standby last had a checkpoint of its primary, which may be before the first WAL that is held.
 * @throws RetakeError `wal.gap`
 */
async function assertRestorable(retake: Retake, { backupId, startLsn }: BackupSummary): Promise<void> {
  if (!(await readWindow(retake)).strandedBackups.includes(backupId)) return
  throw new RetakeError(
    'wal.gap',
    `The backup ${backupId} is stored, but cannot be restored: the WAL from ${startLsn} on, where it begins, is not held without a gap.`,
    {
      hint: 'Run retake backup again; when it is taken from a standby, run CHECKPOINT on the primary and let the standby replay it first.',
      details: { backupId, startLsn },
    },
  )
}

function renamed(onProgress: ProgressListener, phase: string): ProgressListener {
  return (progress) => onProgress({ ...progress, phase })
}
