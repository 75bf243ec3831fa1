/** `retake schedules`: what is due when, and what became of it by what the repository holds. Facts here, judgement in `schedules/`. */
import { planRetention } from '../catalog/retention/plan.ts'
import { readCondemned } from '../repository/condemned.ts'
import { DRILL_HOLDER, listDrills } from '../repository/drills.ts'
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
import { backupEvidence, drillEvidence, pruneEvidence, verificationEvidence } from './schedule-evidence.ts'
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

/** Why a run that is due has not begun yet. */
export interface PutOffView {
  /** Which run: when it was due, ISO 8601 UTC. */
  readonly at: string
  readonly since: string
  /** Then it begins anyway. */
  readonly until: string
  /** Each part of a sentence, such as `94 of 100 connections active`. */
  readonly because: readonly string[]
}

export interface ScheduleView {
  readonly name: string
  readonly task: Schedule['task']
  readonly type?: 'full' | 'incremental' | undefined
  readonly deep?: true | undefined
  readonly target?: Schedule['target']
  readonly cron: string
  readonly words: string
  readonly zone: string
  readonly jitterMs: number
  readonly graceMs: number
  readonly verdict: JudgedSchedule['verdict']
  /** Since when a server keeps it, ISO 8601 UTC; of what was due before, nothing is late or missed. */
  readonly keptSince?: string | undefined
  /** The newest run waits until the server to protect has less to do. */
  readonly putOff?: PutOffView | undefined
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
  /** `missed`: the newest settled run of a schedule is late, failed or missed. Of what is only proposed and kept by nobody, nothing is missed. */
  readonly verdict: 'ok' | 'missed' | 'unknown'
  readonly schedules: readonly ScheduleView[]
}

export interface ReadSchedulesOptions {
  /** How many runs to come of each schedule are listed. Default 5. */
  readonly next?: number | undefined
  /** What was listed already. */
  readonly holdings?: Holdings | undefined
  /** Since when whoever keeps schedules has kept each, by its name. Default: nobody is known to; proposed ones are then not judged. */
  readonly keptSince?: ReadonlyMap<string, Date> | undefined
}

/** The schedules of a configuration; without any, those that Retake proposes. */
export function configuredSchedules({ schedules }: Config): readonly ScheduleConfig[] {
  return schedules ?? proposedSchedules
}

/** The same as they are kept: one that is only proposed exists since it is kept. */
export function keptSchedules(config: Config, keptSince: ReadonlyMap<string, Date>): Schedule[] {
  return configuredSchedules(config).map((one) => {
    const schedule = scheduleOf(one)
    return config.schedules === undefined ? { ...schedule, sinceMs: keptSince.get(one.name)?.getTime() } : schedule
  })
}

/** By name, what makes each the schedule that it is: with other times or another task it is a new one. */
export function scheduleDefinitions(config: Config): { readonly name: string; readonly definition: string }[] {
  return configuredSchedules(config).map((one) => {
    const { name, task, type, deep, target, cron, zone } = scheduleOf(one)
    return { name, definition: JSON.stringify([task, type ?? '', deep, cron.text, zone, ...(target ? [target] : [])]) }
  })
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
  const keptSince = options.keptSince ?? new Map<string, Date>()
  const schedules = keptSchedules(retake.config, keptSince)
  const gather = await evidenceGatherer(retake, { ...options, now })
  const views: ScheduleView[] = []
  for (const schedule of schedules) {
    const since = keptSince.get(schedule.name)
    const evidence = { ...(await gather(schedule)), ...(since ? { keptFrom: since } : {}) }
    const judged = judgeSchedule(schedule, { cluster: retake.clusterName, evidence, now })
    views.push(viewSchedule(schedule, { judged, evidence, now, cluster: retake.clusterName, next: options.next ?? 5 }))
  }
  const configured = retake.config.schedules !== undefined
  const is = (verdict: ScheduleView['verdict']) => views.some((view) => view.verdict === verdict)
  const isJudged = configured || schedules.some(({ name }) => keptSince.has(name))
  const verdict = !isJudged ? 'ok' : is('missed') ? 'missed' : is('unknown') ? 'unknown' : 'ok'
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
    if (schedule.task === 'drill') {
      const drills = await Array.fromAsync(listDrills(cluster, { onDamage: () => {}, limit: DRILLS_LOOKED_AT }))
      const reader = (await readReaders(cluster, { clock })).find(({ holder }) => holder === DRILL_HOLDER)
      const runningSince = reader && new Date(reader.acquiredAt)
      return {
        ...common,
        ...drillEvidence(schedule, { drills, runningSince, isAll: drills.length < DRILLS_LOOKED_AT, now }),
      }
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

/** A schedule is judged by what was due in the last 30 days. */
const DRILLS_LOOKED_AT = 100

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
  const { name, task, type, deep, target, cron, zone, jitterMs, graceMs } = schedule
  const runs = judged.runs.map(viewRun)
  return {
    name,
    task,
    ...(type ? { type } : {}),
    ...(deep ? { deep } : {}),
    ...(target ? { target } : {}),
    cron: cron.text,
    words: cronInWords(cron),
    zone,
    jitterMs,
    graceMs,
    verdict: judged.verdict,
    ...(evidence.keptFrom ? { keptSince: evidence.keptFrom.toISOString() } : {}),
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
