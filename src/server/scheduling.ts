/** Begins what is due. The id of a run says which one it is, so that it is begun once, whoever begins it. */
import type { Kysely } from 'kysely'
import type { Logger } from '../base/progress.ts'
import type { ControlTables } from '../control/database/schema.ts'
import { knownRuns, type RunRequest } from '../control/runs.ts'
import { type KeptSchedule, noteSchedules, sinceOf } from '../control/schedules.ts'
import type { Retake } from '../engine/open.ts'
import { keptSchedules, readSchedules, scheduleDefinitions } from '../engine/schedules.ts'
import type { RunOutcome } from '../schedules/judge.ts'
import { forever } from './forever.ts'
import type { ManagedCluster } from './managed-cluster.ts'
import { type NewestDue, newestDue, nextDueMs } from './newest-due.ts'
import { Waiting } from './waiting.ts'

export interface SchedulingOptions {
  readonly db: Kysely<ControlTables>
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly start: (request: RunRequest) => Promise<void>
}

const EVERY_MS = 5_000
/** What has been due for longer may have been done by somebody else, so the repository is asked. */
const FRESH_MS = 60_000
/** How often it is looked whether one that was put off may begin. */
const WAITING_EVERY_MS = 15_000
/** With these, there is nothing left to do. */
const DONE: readonly RunOutcome[] = ['succeeded', 'running', 'idle']

export async function keepSchedules(cluster: ManagedCluster, options: SchedulingOptions): Promise<void> {
  const { db, signal, logger } = options
  const quietUntil = new Map<string, number>()
  const waiting = new Waiting({ db, cluster: cluster.name, signal, logger })
  let kept: readonly KeptSchedule[] | undefined
  const turn = async () => {
    const retake = await cluster.open()
    kept ??= await noteKept(db, retake)
    await beginDue(retake, { ...options, quietUntil, waiting, kept })
  }
  await forever(turn, {
    signal,
    everyMs: EVERY_MS,
    onError: ({ message, code }) =>
      logger.warn(`The schedules of ${cluster.name} could not be kept: ${message}`, { code }),
  })
}

function noteKept(db: SchedulingOptions['db'], { clusterName, config, clock }: Retake): Promise<KeptSchedule[]> {
  return noteSchedules(db, { cluster: clusterName, schedules: scheduleDefinitions(config), now: clock.now() })
}

interface Turn extends SchedulingOptions {
  /** Until when nothing is to be done for a schedule, by its name: asking a calendar takes a millisecond, which many clusters have many times. */
  readonly quietUntil: Map<string, number>
  readonly waiting: Waiting
  readonly kept: readonly KeptSchedule[]
}

/** Of what was due while nobody was there, only the last of each schedule is caught up on. */
async function beginDue(retake: Retake, { db, logger, start, quietUntil, waiting, kept }: Turn): Promise<void> {
  const now = retake.clock.now()
  const at = { cluster: retake.clusterName, now }
  const keptSince = sinceOf(kept)
  const awake = keptSchedules(retake.config, keptSince).filter(
    ({ name }) => (quietUntil.get(name) ?? 0) <= now.getTime(),
  )
  const due = awake.flatMap((schedule) => newestDue(schedule, at) ?? [])
  const known = await knownRuns(
    db,
    due.map(({ id }) => id),
  )
  const open = due.filter(({ id }) => !known.has(id))
  const isOld = ({ run }: NewestDue) => now.getTime() - run.startAt.getTime() > FRESH_MS
  const outcomeOf = open.some(isOld) ? await readOutcomes(retake) : () => undefined
  const unsettled = new Set<string>()
  for (const one of open) {
    const outcome = outcomeOf(one)
    if (outcome === 'running') unsettled.add(one.schedule.name)
    // Old ones that the repository tells nothing of were due before the cluster was there.
    if (isOld(one) && (outcome === undefined || DONE.includes(outcome))) continue
    if (!(await waiting.mayBegin(retake, one))) {
      unsettled.add(one.schedule.name)
      quietUntil.set(one.schedule.name, now.getTime() + WAITING_EVERY_MS)
      continue
    }
    logger.info(`${one.schedule.name} of ${at.cluster} is due since ${one.run.startAt.toISOString()}.`)
    await start(requestOf(one, at.cluster))
    await waiting.begun(one)
  }
  for (const schedule of awake) {
    if (!unsettled.has(schedule.name)) quietUntil.set(schedule.name, nextDueMs(schedule, at))
  }
}

async function readOutcomes(retake: Retake): Promise<(due: NewestDue) => RunOutcome | undefined> {
  const { schedules } = await readSchedules(retake, { next: 0 })
  const outcomes = new Map(
    schedules.flatMap(({ name, runs }) => runs.map(({ at, outcome }) => [`${name} ${at}`, outcome] as const)),
  )
  return ({ schedule, run }) => outcomes.get(`${schedule.name} ${run.at.toISOString()}`)
}

function requestOf({ id, schedule, run }: NewestDue, cluster: string): RunRequest {
  const { name, task, type, deep, target } = schedule
  return {
    id,
    cluster,
    task,
    options: { ...(type ? { type } : {}), ...(deep ? { deep } : {}), ...(target ? { at: target } : {}) },
    startedBy: `schedule ${name}`,
    dueAt: run.at.toISOString(),
  }
}
