/** Makes sure, before anything is changed, that a plan still fits the repository and this machine. */
import { isRetakeError, RetakeError } from '../base/errors.ts'
import { coverageOfPath, rangeHolding } from '../catalog/coverage.ts'
import { buildTimelinePath, type TimelinePath } from '../catalog/timeline-path.ts'
import { parseLsn } from '../postgres/lsn.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { readCondemned } from '../repository/condemned.ts'
import type { BackupSummary } from '../repository/manifest.ts'
import { readSummary } from '../repository/manifest-store.ts'
import { type BackupSurvey, surveyBackup } from './backup-survey.ts'
import { type HeldArchive, readHeldArchive } from './held-archive.ts'
import { recheck } from './plan.ts'
import { canonicalJson, type RestorePlan } from './plan-types.ts'
import { failedChecks } from './preflight.ts'
import { describeSelection, type TableSelection } from './tables/select-tables.ts'

export interface ConfirmedPlan {
  readonly survey: BackupSurvey
  readonly held: HeldArchive & { readonly path: TimelinePath }
}

/** @throws RetakeError `plan.stale` when backup or WAL are not what the plan was made of; `restore.refused` when a check fails */
export async function confirmPlan(
  cluster: ClusterRepository,
  plan: RestorePlan,
  options: { readonly signal?: AbortSignal | undefined; readonly selection?: TableSelection | undefined },
): Promise<ConfirmedPlan> {
  confirmSelection(plan, options.selection)
  const { repositoryId } = cluster.sealing
  const { name, systemIdentifier } = cluster.facts
  if (plan.cluster.repositoryId !== repositoryId || plan.cluster.systemIdentifier !== systemIdentifier) {
    throw stale(
      `it was made for the cluster "${plan.cluster.name}" of another repository, not for "${name}" of this one`,
    )
  }
  const { signal, selection } = options
  const [survey, held] = await Promise.all([
    planned(cluster, plan).then((summary) =>
      surveyBackup(cluster, summary, { signal, leavesOut: selection?.leavesOut }),
    ),
    readHeldArchive(cluster),
  ])
  const path = confirmWal(cluster, plan, held)
  const failed = failedChecks(await recheck(cluster, plan, survey))
  if (failed.length > 0) throw refused(failed)
  return { survey, held: { ...held, path } }
}

/** What a plan for single tables leaves out is not written in it: whoever applies it must bring that. */
function confirmSelection(plan: RestorePlan, selection: TableSelection | undefined): void {
  const [planned, given] = [plan.tables, selection && describeSelection(selection)]
  if (planned === undefined && given === undefined) return
  if (canonicalJson(planned) === canonicalJson(given) && selection?.backupId === plan.backup.backupId) return
  throw stale('the tables that it was made for are not those that it is to be applied for')
}

async function planned(cluster: ClusterRepository, plan: RestorePlan): Promise<BackupSummary> {
  const { backupId, startLsn, stopLsn } = plan.backup
  const condemned = await readCondemned(cluster, { onDamage: () => {} })
  if (condemned.backups.has(backupId))
    throw stale(`its backup ${backupId} was given up by retention and is being deleted`)
  try {
    const summary = await readSummary(cluster, backupId)
    if (summary.startLsn === startLsn && summary.stopLsn === stopLsn) return summary
  } catch (error) {
    if (!isRetakeError(error, 'backup.missing')) throw error
  }
  throw stale(`its backup ${backupId} is no longer there`)
}

function confirmWal(cluster: ClusterRepository, plan: RestorePlan, held: HeldArchive): TimelinePath {
  const path = buildTimelinePath(held.histories, plan.target.timeline)
  const known = plan.target.path.map((step) => [step.timeline, step.beginLsn])
  const now = path.map((step) => [step.timeline, step.beginLsn])
  const expected = known.map(([timeline, lsn]) => [timeline, parseLsn(String(lsn)).toString()])
  if (canonicalJson(now.map(([timeline, lsn]) => [timeline, String(lsn)])) !== canonicalJson(expected)) {
    throw stale('the way through the timelines has changed')
  }
  const coverage = coverageOfPath(held.coverage, path, { segmentSizeBytes: cluster.facts.walSegmentSizeBytes })
  const wanted = { beginLsn: parseLsn(plan.wal.beginLsn), endLsn: parseLsn(plan.wal.endLsn) }
  if (!rangeHolding(coverage.ranges, wanted))
    throw stale(`WAL from ${plan.wal.beginLsn} to ${plan.wal.endLsn} is no longer complete`)
  return path
}

function refused(failed: ReturnType<typeof failedChecks>): RetakeError {
  const [first] = failed
  const fixes = failed.map((one) => one.fix).filter((fix) => fix !== undefined)
  return new RetakeError(
    'restore.refused',
    `The restore was not begun: ${failed.map((one) => `${one.name}: ${one.detail}`).join('; ')}.`,
    {
      hint: fixes.join(' '),
      details: { failed, check: first?.name },
    },
  )
}

function stale(why: string): RetakeError {
  return new RetakeError('plan.stale', `The plan no longer fits: ${why}. Nothing was changed.`, {
    hint: 'Make a new plan with `retake restore plan`.',
  })
}
