import { RetakeError } from '../base/errors.ts'
import { applyRestore as applyPlan } from '../recovery/apply.ts'
import type { DeltaRequest } from '../recovery/delta/plan-delta.ts'
import { planRestore as planClusterRestore } from '../recovery/plan.ts'
import { type RestorePlan, readPlan } from '../recovery/plan-types.ts'
import type { RestoreReport } from '../recovery/report.ts'
import type { AfterRecovery } from '../recovery/settings.ts'
import { parseTarget, type RecoveryTarget } from '../recovery/targets.ts'
import { listBackupIds } from '../repository/manifest-store.ts'
import type { Retake } from './open.ts'
import { type Operation, type OperationOptions, startOperation } from './operation.ts'

export interface PlanRestoreOptions extends Pick<OperationOptions, 'signal'> {
  /** As one word (`latest`, `2026-11-22T09:04:11Z`, `lsn:0/3000060`, `xid:812`, `before-xid:812`, `name:before_deploy`) or as data. */
  readonly at: string | RecoveryTarget
  /** The new data directory; must be absent or empty, unless `delta` is given. */
  readonly to: string
  /**
   * Changes the data directory that is there: only what differs is fetched. `undoDirectory` keeps a copy of all of it first;
   * `keepNothing` says that none is wanted.
   */
  readonly delta?: DeltaRequest | undefined
  /** Default: the newest timeline that holds the target. */
  readonly timeline?: number | undefined
  /** Default: the newest backup before the target. */
  readonly backupId?: string | undefined
  /** Default: the cluster's own if it is free on this machine, else any free one. */
  readonly port?: number | undefined
  /** Where tablespaces go: by original location, or by oid. */
  readonly tablespaceMap?: Readonly<Record<string, string>> | undefined
  /** Settings of the recovered server. */
  readonly settings?: Readonly<Record<string, string>> | undefined
  /** What the server does at the target. Default `promote`. */
  readonly action?: AfterRecovery | undefined
  /** Default true; false only lays the files out. */
  readonly start?: boolean | undefined
  /** Written as `restore_command` where the server is started by somebody else. Must carry no secret. */
  readonly restoreCommand?: string | undefined
}

/**
 * Says what a restore would do, and changes nothing. Checks that would refuse it are in `preflight`, as data.
 *
 * ```ts
 * const plan = await planRestore(retake, { at: 'before-xid:812', to: '/srv/restored' })
 * console.log(plan.backup.backupId, plan.predicted.totalMs, plan.preflight)
 * ```
 * @throws RetakeError `target.invalid`, `target.outside`, `target.missing`, `wal.gap`, `wal.history-missing`, `backup.missing`
 */
export async function planRestore(retake: Retake, options: PlanRestoreOptions): Promise<RestorePlan> {
  const { at, to, ...rest } = options
  const cluster = await retake.cluster()
  if ((await listBackupIds(cluster)).length === 0) {
    throw new RetakeError(
      'backup.missing',
      `There is no backup of "${retake.clusterName}", so nothing can be restored.`,
      {
        hint: 'Make one: retake backup',
      },
    )
  }
  return planClusterRestore({
    ...rest,
    cluster,
    target: typeof at === 'string' ? parseTarget(at) : at,
    targetDirectory: to,
    binDir: retake.config.postgresBinDirectory,
    clock: retake.clock,
  })
}

export interface ApplyRestoreOptions extends OperationOptions {
  /** Where the plan changes a directory in place: its name (the last part of its path), as a person typed it. */
  readonly confirm?: string | undefined
}

/**
 * Carries a plan out: exactly the one that was shown. A plan that was changed, or that no longer fits, is refused.
 *
 * ```ts
 * const run = applyRestore(retake, plan)
 * for await (const step of run.progress) console.error(step.phase, step.done, step.total)
 * const report = await run.result
 * ```
 * @throws RetakeError by its `result`: `confirmation.missing`, `plan.stale`, `restore.refused`, `restore.mismatch`, `repo.damaged`, `wal.gap`, `aborted`
 */
export function applyRestore(
  retake: Retake,
  plan: RestorePlan,
  options: ApplyRestoreOptions = {},
): Operation<RestoreReport> {
  return startOperation(async (context) => {
    const { logger, clock } = retake
    const { confirm } = options
    return applyPlan({ ...context, confirm, cluster: await retake.cluster(), plan: readPlan(plan), logger, clock })
  }, options)
}
