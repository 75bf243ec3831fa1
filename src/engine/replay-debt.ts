/** How long the WAL since the newest backup takes to replay, and whether another backup is worth its time. */
import { parseLsn } from '../postgres/lsn.ts'
import { readMeasuredRates } from '../recovery/measured-rates.ts'
import { predictRestore } from '../recovery/predict.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import type { Retake } from './open.ts'
import { readHoldings } from './window.ts'

export interface ReplayDebt {
  /** The newest backup, from which a recovery to the newest moment begins. */
  readonly backupId: string
  readonly walBytes: number
  /** By the rates that the plan of a recovery goes by. */
  readonly replayMs: number
  /** What the newest backup took: the next one, which is incremental, takes about as much or less. */
  readonly backupMs: number
}

/** Undefined: there is no backup that WAL goes on from. @throws RetakeError `cluster.missing`, `repo.damaged` */
export async function readReplayDebt(retake: Retake): Promise<ReplayDebt | undefined> {
  const { backups, report } = await readHoldings(retake)
  const newest = backups.at(-1)
  const window = newest && report.windows.find((one) => one.backups.includes(newest.backupId))
  if (!window) return undefined
  const walBytes = Math.max(0, Number(parseLsn(window.to.lsn) - parseLsn(newest.startLsn)))
  const { replayMs } = predictRestore({ writtenBytes: 0, walBytes }, await readMeasuredRates(await retake.cluster()))
  return { backupId: newest.backupId, walBytes, replayMs, backupMs: durationOf(newest) }
}

const durationOf = ({ startedAt, stoppedAt }: BackupSummary) => Date.parse(stoppedAt) - Date.parse(startedAt)

/** It is long, and a backup takes less time than the next recovery saves by it. */
export function isWorthABackup({ replayMs, backupMs }: ReplayDebt, maxReplayMs: number): boolean {
  return replayMs >= maxReplayMs && backupMs < replayMs
}
