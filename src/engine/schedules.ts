/** `retake schedules`: what is due when, and what became of it by what the repository holds. Facts here, judgement in `schedules/`. */
import { planRetention } from '../catalog/retention/plan.ts'
import { readCondemned } from '../repository/condemned.ts'
import { readEpochs } from '../repository/epochs.ts'
import { readLeaseHolder } from '../repository/lease.ts'
import { readReaders } from '../repository/readers.ts'
import { readVerified } from '../repository/verified.ts'
import { dueAfter, lastDue } from '../schedules/due.ts'
import { type Evidence, type JudgedSchedule, judgeSchedule, type RunOutcome } from '../schedules/judge.ts'
import { proposedSchedules, type Schedule, type ScheduleConfig, scheduleOf } from '../schedules/schedule.ts'
import { cronInWords } from '../schedules/words.ts'
import type { Config } from './config-options.ts'
import type { Retake } from './open.ts'
import { PRUNE_HOLDER, PRUNED } from './prune.ts'
import { gatherRetention, retentionPolicy } from './retention-facts.ts'
import { backupEvidence, pruneEvidence, verificationEvidence } from './schedule-evidence.ts'
import { findRuns } from './unfinished-runs.ts'
import { VERIFY_HOLDER } from './verify.ts'
import { type Holdings, readHoldings } from './window.ts'

export interface DueRunView {
  /** ISO 8601 UTC. */
  readonly at: string
  /** When it begins, after jitter and blackouts. */
  readonly startAt: string
}

export interface JudgedRunView extends DueRunView {
  readonly outcome: RunOutcome
  /** The backup's id. */
  readonly runId?: string | undefined
  readonly beganAt?: string | undefined
  readonly endedAt?: string | undefined
  readonly beganLate: boolean
}

export interface ScheduleView {
  readonly name: string
  readonly task: Schedule['task']
  readonly type?: 'full' | 'incremental' | undefined
  readonly deep?: true | undefined
  readonly cron: string
  readonly words: string
  readonly zone: string
  readonly jitterMs: number
  readonly graceMs: number
  readonly verdict: JudgedSchedule['verdict']
  /** The newest run that was due. */
  readonly last?: JudgedRunView | undefined
  /** What the verdict is about: the newest that is not due just now, and not running. */
  readonly settled?: JudgedRunView | undefined
  /** Oldest first. */
  readonly runs: readonly JudgedRunView[]
  /** Earlier than this, a run of which nothing is held is unknown, not missed. */
  readonly knownFrom: string
  readonly next: readonly DueRunView[]
}

export interface SchedulesReport {
  readonly cluster: string
  /** ISO 8601 UTC. */
  readonly at: string
  /** False: nothing is configured, and these are only proposed. */
  readonly configured: boolean
  /** `missed`: the newest settled run of a schedule is late, failed or missed. Of what is only proposed, nothing is missed. */
  readonly verdict: 'ok' | 'missed' | 'unknown'
  readonly schedules: readonly ScheduleView[]
}

export interface ReadSchedulesOptions {
  /** How many runs to come of each schedule are listed. Default 5. */
  readonly next?: number | undefined
  /** What was listed already. */
  readonly holdings?: Holdings | undefined
}

/** The schedules of a configuration; without any, those that Retake proposes. */
export function configuredSchedules({ schedules }: Config): readonly ScheduleConfig[] {
  return schedules ?? proposedSchedules
}

/**
 * Each schedule with what became of its runs and when the next ones are due. Only what is certain is said: see `docs/schedules.md`.
 *
 * ```ts
 * const { verdict, schedules } = await readSchedules(retake)
 * for (const { name, settled, next } of schedules) console.log(name, settled?.outcome, next[0]?.startAt)
 * ```
 * @throws RetakeError `cluster.missing`, `repo.damaged`
 */
export async function readSchedules(retake: Retake, options: ReadSchedulesOptions = {}): Promise<SchedulesReport> {
  const now = retake.clock.now()
  const schedules = configuredSchedules(retake.config).map(scheduleOf)
  const gather = await evidenceGatherer(retake, { ...options, now })
  const views: ScheduleView[] = []
  for (const schedule of schedules) {
    const evidence = await gather(schedule)
    const judged = judgeSchedule(schedule, { cluster: retake.clusterName, evidence, now })
    views.push(viewSchedule(schedule, { judged, evidence, now, cluster: retake.clusterName, next: options.next ?? 5 }))
  }
  const configured = retake.config.schedules !== undefined
  const is = (verdict: ScheduleView['verdict']) => views.some((view) => view.verdict === verdict)
  const verdict = !configured ? 'ok' : is('missed') ? 'missed' : is('unknown') ? 'unknown' : 'ok'
  return { cluster: retake.clusterName, at: now.toISOString(), configured, verdict, schedules: views }
}

interface GatherOptions {
  readonly now: Date
  readonly holdings?: Holdings | undefined
}

/** Reads what all schedules have in common once, and the rest only for those that need it. */
async function evidenceGatherer(retake: Retake, { now, ...options }: GatherOptions) {
  const cluster = await retake.cluster()
  const { clock, clusterName } = retake
  const holdings = options.holdings ?? (await readHoldings(retake))
  const { backups, damaged } = holdings
  const begin = await registeredAt(retake)
  return async (schedule: Schedule): Promise<Evidence> => {
    const common = { ...(begin ? { begin } : {}) }
    if (schedule.task === 'backup') {
      const runs = await findRuns(retake, holdings)
      const lost = damaged.map(({ backupId }) => backupId)
      const keptDays = retentionPolicy(retake.config).days
      return { ...common, ...backupEvidence(schedule, { ...runs, backups, damaged: lost, keptDays, now }) }
    }
    if (schedule.task === 'verify') {
      const verified = await readVerified(cluster, { onDamage: () => {} })
      const reader = (await readReaders(cluster, { clock })).find(({ holder }) => holder === VERIFY_HOLDER)
      const runningSince = reader && new Date(reader.acquiredAt)
      return { ...common, ...verificationEvidence(schedule, { backups, verified, runningSince, begin }) }
    }
    const { records } = await readCondemned(cluster, { onDamage: () => {} })
    const holder = await readLeaseHolder(cluster, { role: 'prune', clock })
    const fromMs = Math.max(begin?.getTime() ?? 0, schedule.sinceMs ?? 0)
    const lastDueAt = lastDue(schedule, { cluster: clusterName, now, count: 1, fromMs })[0]?.at
    return {
      ...common,
      ...pruneEvidence({
        gaveUpAt: records.filter(({ why }) => why === PRUNED).map(({ condemnedAt }) => condemnedAt),
        runningSince: holder?.holder === PRUNE_HOLDER ? new Date(holder.acquiredAt) : undefined,
        lastDueAt,
        overdue: lastDueAt !== undefined && (await wasDueThen(retake, { holdings, at: lastDueAt })),
        now,
      }),
    }
  }
}

/** When the cluster was registered, as the oldest of its keys and backups that are still held tells. */
async function registeredAt(retake: Retake): Promise<Date | undefined> {
  const [oldest] = await readEpochs(retake.repository, retake.clusterName)
  return oldest && new Date(oldest.createdAt)
}

/** Whether a backup is still held that a pruning at that time would have given up. */
async function wasDueThen(
  retake: Retake,
  { holdings, at }: { readonly holdings: Holdings; readonly at: Date },
): Promise<boolean> {
  const { input, holds, verified } = await gatherRetention(retake, holdings)
  const backups = input.backups.filter(({ stoppedAt }) => Date.parse(stoppedAt) <= at.getTime())
  const policy = retentionPolicy(retake.config)
  const plan = planRetention({ ...input, backups, policy, holds, verified, now: at })
  return plan.backups.some(({ action }) => action === 'drop')
}

interface ViewFacts {
  readonly judged: JudgedSchedule
  readonly evidence: Evidence
  readonly now: Date
  readonly cluster: string
  readonly next: number
}

function viewSchedule(schedule: Schedule, { judged, evidence, now, cluster, next }: ViewFacts): ScheduleView {
  const { name, task, type, deep, cron, zone, jitterMs, graceMs } = schedule
  const runs = judged.runs.map(viewRun)
  return {
    name,
    task,
    ...(type ? { type } : {}),
    ...(deep ? { deep } : {}),
    cron: cron.text,
    words: cronInWords(cron),
    zone,
    jitterMs,
    graceMs,
    verdict: judged.verdict,
    ...(runs.length > 0 ? { last: runs.at(-1) } : {}),
    ...(judged.settled ? { settled: viewRun(judged.settled) } : {}),
    runs,
    knownFrom: evidence.knownFrom.toISOString(),
    next: [...dueAfter(schedule, { cluster, after: now }).take(next)].map(viewDue),
  }
}

const viewDue = ({ at, startAt }: { at: Date; startAt: Date }): DueRunView => ({
  at: at.toISOString(),
  startAt: startAt.toISOString(),
})

function viewRun({
  outcome,
  runId,
  beganAt,
  endedAt,
  beganLate,
  ...due
}: JudgedSchedule['runs'][number]): JudgedRunView {
  return {
    ...viewDue(due),
    outcome,
    beganLate,
    ...(runId === undefined ? {} : { runId }),
    ...(beganAt ? { beganAt: beganAt.toISOString() } : {}),
    ...(endedAt ? { endedAt: endedAt.toISOString() } : {}),
  }
}
