import type { ProgressListener } from '../base/progress.ts'
import { formatLsn, parseLsn } from '../postgres/lsn.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import { backUp as backUpCluster } from '../sources/physical/backup.ts'
import { ensureWal } from '../sources/physical/ensure-wal.ts'
import type { Retake } from './open.ts'
import { type Operation, type OperationContext, type OperationOptions, startOperation } from './operation.ts'

export interface BackUpOptions extends OperationOptions {
  /** A name to find it by. */
  readonly label?: string | undefined
  /** Upper limit of what is read from the server, in KiB per second. Default: none. */
  readonly maxRateKiB?: number | undefined
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
 * Takes a full backup and sees to it that it can be restored: the WAL up to its end is held when this is done.
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
  const common = {
    cluster: await retake.cluster(),
    target: retake.target(),
    logger: retake.logger,
    clock: retake.clock,
  }
  const { compressionLevel, workers } = retake.config
  const { label, maxRateKiB } = options
  const backup = await backUpCluster({ ...common, ...context, label, maxRateKiB, compressionLevel, workers })
  const wal = await ensureWal({
    ...common,
    ...context,
    onProgress: renamed(context.onProgress, 'receiving WAL'),
    slot: common.cluster.facts.slot,
    untilLsn: parseLsn(backup.stopLsn),
  })
  return {
    backup,
    wal: { timeline: wal.timeline, flushLsn: formatLsn(wal.flushLsn), by: wal.by },
    durationMs: Math.round(retake.clock.monotonicMs() - begunMs),
  }
}

function renamed(onProgress: ProgressListener, phase: string): ProgressListener {
  return (progress) => onProgress({ ...progress, phase })
}
