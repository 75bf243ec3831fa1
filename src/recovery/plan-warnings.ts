/** What a reader of a plan should know; pure. */
import type { RetakeError } from '../base/errors.ts'
import { parseInstant } from '../base/instant.ts'
import type { TimelineCoverage } from '../catalog/coverage.ts'
import { stepAt, type TimelinePath } from '../catalog/timeline-path.ts'
import { type Lsn, parseLsn } from '../postgres/lsn.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import type { BackupSurvey } from './backup-survey.ts'
import type { PlanServer, PlanStop, Prediction } from './plan-types.ts'
import type { RecoveryTarget } from './targets.ts'

export interface DamagedBackup {
  readonly backupId: string
  readonly error: RetakeError
}

/** A backup that begins nearer to the target may take less. */
const LONG_REPLAY_MS = 10 * 60_000

export function planWarnings(facts: {
  readonly damaged: readonly DamagedBackup[]
  readonly survey: BackupSurvey
  readonly backup: BackupSummary
  readonly target: RecoveryTarget
  readonly stop: PlanStop
  readonly path: TimelinePath
  readonly coverage: readonly TimelineCoverage[]
  readonly server: PlanServer
  /** Of the cluster itself. */
  readonly ownPort: number
  readonly predicted: Prediction
}): string[] {
  const { survey, backup, server, predicted, target } = facts
  const warnings: string[] = []
  const long = longReplay(target, predicted)
  if (long !== undefined) warnings.push(long)
  const abandoned = abandonedTimeline(facts)
  if (abandoned !== undefined) {
    warnings.push(
      `At the target's time the server was on timeline ${abandoned}, whose end was abandoned later. This plan follows timeline ${facts.path.at(-1)?.timeline}; to see the abandoned past, add --timeline ${abandoned}.`,
    )
  }
  for (const { backupId, error } of facts.damaged) {
    warnings.push(`Backup ${backupId} was not considered: ${error.message} Run \`retake verify\`.`)
  }
  if (backup.corruptBlockCount > 0) {
    warnings.push(
      `Backup ${backup.backupId} holds ${backup.corruptBlockCount} blocks that were corrupt on the server; they are restored as they are.`,
    )
  }
  const missing = ['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf'].filter((name) => !survey.configFiles.has(name))
  if (missing.length > 0) {
    warnings.push(
      `${missing.join(', ')} ${missing.length === 1 ? 'was' : 'were'} kept outside the data directory and not backed up; minimal ones are written. Bring your own before the server is used.`,
    )
  }
  if (server.anyPort && server.port !== facts.ownPort) {
    warnings.push(
      `Port ${facts.ownPort}, the cluster's own, is in use on this machine, so the server will listen on ${server.port}; name another one with --port.`,
    )
  }
  if (server.settings.listen_addresses === 'localhost') {
    warnings.push(`The server will listen on localhost only; for others add --set listen_addresses='*'.`)
  }
  return warnings
}

/** A time between the switch of a timeline and the next commit existed on the old timeline only, if that went on. */
function abandonedTimeline(facts: {
  readonly target: RecoveryTarget
  readonly stop: PlanStop
  readonly path: TimelinePath
  readonly coverage: readonly TimelineCoverage[]
}): number | undefined {
  const { target, stop, path, coverage } = facts
  if (target.kind !== 'time' || stop.lastTransaction === undefined) return undefined
  if (parseInstant(stop.lastTransaction.at) >= target.instant) return undefined
  const step = stepAt(path, parseLsn(stop.lastTransaction.lsn))
  if (step?.endLsn === undefined || parseLsn(stop.recordLsn) < step.endLsn) return undefined
  const own = coverage.find((one) => one.timeline === step.timeline)
  const end: Lsn = step.endLsn
  return own?.ranges.some((range) => range.beginLsn <= end && end < range.endLsn) ? step.timeline : undefined
}

/** Only a recovery to the newest moment can begin with a backup that is made now. */
export function longReplay(
  { kind }: Pick<RecoveryTarget, 'kind'>,
  { replayMs }: Pick<Prediction, 'replayMs'>,
): string | undefined {
  if (kind !== 'latest' || replayMs <= LONG_REPLAY_MS) return undefined
  return `Replaying takes about ${Math.round(replayMs / 60_000)} minutes. If the server still runs, make a backup first, which is incremental, and plan again: retake backup`
}
