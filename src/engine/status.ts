/** `retake status`: how much would be lost just now, and what endangers recovery. Facts first, then a pure judgement. */
import { type RetakeError, toRetakeError } from '../base/errors.ts'
import { openSql } from '../postgres/connection/sql.ts'
import { formatLsn } from '../postgres/lsn.ts'
import { querySlotStatus, type SlotStatus } from '../sources/physical/slot-status.ts'
import type { NativeState } from '../supabase/native/state.ts'
import { type MirrorsReport, readMirrors } from './mirrors/copies.ts'
import { type BackupCopies, readBackupCopies } from './mirrors/three-two-one.ts'
import { readBesideNative } from './native/read-native.ts'
import type { Retake } from './open.ts'
import type { OperationOptions } from './operation.ts'
import { type ReceiverState, readReceiver } from './receiver-state.ts'
import { queryServerView, type ServerView } from './server-view.ts'
import { judgeRpo, judgeStatus, type Reason, type RpoView } from './status-judgement.ts'
import { type DamageView, type GapView, readHoldings, viewGap, type WindowView } from './window.ts'

export interface SlotView {
  readonly name: string
  readonly exists: boolean
  /** A receiver is connected to it. */
  readonly active: boolean
  readonly restartLsn?: string | undefined
  readonly walStatus?: string | undefined
  /** WAL that it keeps on the server. */
  readonly heldBytes?: number | undefined
  /** How much the server may still write before the slot could be lost. */
  readonly safeBytes?: number | undefined
}

export interface StatusReport {
  readonly cluster: string
  readonly at: string
  /** `endangered` when a reason of the severity `danger` is given. */
  readonly verdict: 'ok' | 'endangered'
  readonly reasons: readonly Reason[]
  readonly backupCount: number
  readonly lastBackup?:
    | {
        readonly backupId: string
        readonly label?: string | undefined
        readonly stoppedAt: string
        readonly ageMs: number
      }
    | undefined
  readonly windows: readonly WindowView[]
  readonly archive?:
    | {
        readonly timeline: number
        readonly flushLsn: string
        readonly at: string
        readonly caughtUpAt?: string | undefined
        /** The receiver acknowledges from a spool on its machine: up to here when it last said so. */
        readonly spool?: { readonly host: string; readonly acknowledgedLsn: string } | undefined
      }
    | undefined
  readonly rpo: RpoView
  readonly receiver?: ReceiverState | undefined
  readonly server?: ServerView | undefined
  readonly serverError?: { readonly code: string; readonly message: string } | undefined
  readonly slot?: SlotView | undefined
  readonly gaps: readonly GapView[]
  /** What cannot be read of the WAL archive. */
  readonly damage: readonly DamageView[]
  /** The copies of the repository, where mirrors are configured. */
  readonly mirrors?: MirrorsReport | undefined
  /** Which copies hold the last backup, and what 3-2-1 lacks. */
  readonly lastBackupCopies?: BackupCopies | undefined
  /** What Supabase itself holds, where a project is configured. */
  readonly native?: NativeState | undefined
}

/**
 * Everything about the protection of one cluster at this moment.
 *
 * ```ts
 * const { verdict, rpo, reasons } = await readStatus(retake)
 * if (verdict === 'endangered') alert(reasons)
 * ```
 * A server that cannot be reached is part of the report, not an error.
 * @throws RetakeError `cluster.missing`, `repo.damaged`
 */
export async function readStatus(
  retake: Retake,
  options: Pick<OperationOptions, 'signal'> = {},
): Promise<StatusReport> {
  const { own: facts, native } = await readBesideNative(retake, () => gatherFacts(retake, options), options)
  const { damagedBackups, ...shown } = facts
  const reasons = judgeStatus({
    ...facts,
    native,
    backupMaxAgeHours: retake.config.backupMaxAgeHours,
    rpoTargetSeconds: retake.config.rpoTargetSeconds,
  })
  const verdict = reasons.some(({ severity }) => severity === 'danger') ? 'endangered' : 'ok'
  return { verdict, reasons, ...shown, ...(native ? { native } : {}) }
}

async function gatherFacts(retake: Retake, options: Pick<OperationOptions, 'signal'>) {
  const cluster = await retake.cluster()
  const { backups, damaged, archive, report } = await readHoldings(retake)
  const receiver = await readReceiver(cluster, retake.clock)
  const asked = await askServer(retake, { slot: cluster.facts.slot, signal: options.signal })
  const server = 'error' in asked ? undefined : asked.server
  const slot = 'error' in asked ? undefined : viewSlot(cluster.facts.slot, asked.slot)
  const now = retake.clock.now()
  const last = backups.at(-1)
  const mirrors = await readMirrors(retake)
  const held = mirrors && last ? (await readBackupCopies(retake, [last.backupId])).get(last.backupId) : undefined
  return {
    damagedBackups: damaged.map(({ backupId }) => backupId),
    cluster: retake.clusterName,
    at: now.toISOString(),
    backupCount: backups.length,
    ...(last
      ? {
          lastBackup: {
            backupId: last.backupId,
            label: last.label,
            stoppedAt: last.stoppedAt,
            ageMs: now.getTime() - Date.parse(last.stoppedAt),
            startLsn: last.startLsn,
            timeline: last.timeline,
          },
        }
      : {}),
    windows: report.windows,
    ...(archive.position
      ? {
          archive: {
            timeline: archive.position.timeline,
            flushLsn: archive.position.flushLsn,
            at: archive.position.at,
            caughtUpAt: archive.position.caughtUpAt,
            ...(archive.position.spool ? { spool: archive.position.spool } : {}),
          },
        }
      : {}),
    rpo: judgeRpo({ server, position: archive.position }),
    receiver,
    server,
    ...('error' in asked ? { serverError: { code: asked.error.code, message: asked.error.message } } : {}),
    slot,
    gaps: archive.coverage.flatMap(({ gaps }) => gaps).map(viewGap),
    damage: report.damage,
    ...(mirrors ? { mirrors } : {}),
    ...(held ? { lastBackupCopies: held } : {}),
  }
}

async function askServer(
  retake: Retake,
  options: { readonly slot: string; readonly signal: AbortSignal | undefined },
): Promise<{ server: ServerView; slot: SlotStatus } | { error: RetakeError }> {
  try {
    await using sql = await openSql(retake.target(), {
      applicationName: 'retake status',
      signal: options.signal,
      connectTimeoutMs: 10_000,
    })
    return { server: await queryServerView(sql), slot: await querySlotStatus(sql, options.slot) }
  } catch (error) {
    if (options.signal?.aborted) throw error
    return { error: toRetakeError(error) }
  }
}

function viewSlot(name: string, slot: SlotStatus): SlotView {
  return {
    name,
    exists: slot.exists,
    active: slot.active,
    restartLsn: slot.restartLsn === undefined ? undefined : formatLsn(slot.restartLsn),
    walStatus: slot.walStatus,
    heldBytes: slot.lagBytes,
    safeBytes: slot.safeWalSizeBytes,
  }
}
