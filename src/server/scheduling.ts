/** Begins what is due. The id of a run says which one it is, so that it is begun once, whoever begins it. */
import type { Kysely } from 'kysely'
import type { Logger } from '../base/progress.ts'
import type { ControlTables } from '../control/database/schema.ts'
import { knownRuns, type RunRequest } from '../control/runs.ts'
import type { Retake } from '../engine/open.ts'
import { configuredSchedules, readSchedules } from '../engine/schedules.ts'
import type { RunOutcome } from '../schedules/judge.ts'
import { scheduleOf } from '../schedules/schedule.ts'
import { forever } from './forever.ts'
import type { ManagedCluster } from './managed-cluster.ts'
import { type NewestDue, newestDue, nextDueMs } from './newest-due.ts'

export interface SchedulingOptions {
  readonly db: Kysely<ControlTables>
  readonly signal: AbortSignal
  readonly logger: Logger
  readonly start: (request: RunRequest) => Promise<void>
}

const EVERY_MS = 5_000
/** What has been due for longer may have been done by somebody else, so the repository is asked. */
const FRESH_MS = 60_000
/** With these, there is nothing left to do. */
const DONE: readonly RunOutcome[] = ['succeeded', 'running', 'idle']

export async function keepSchedules(cluster: ManagedCluster, options: SchedulingOptions): Promise<void> {
  const { signal, logger } = options
  const quietUntil = new Map<string, number>()
  await forever(() => beginDue(cluster, { ...options, quietUntil }), {
    signal,
    everyMs: EVERY_MS,
    onError: ({ message, code }) =>
      logger.warn(`The schedules of ${cluster.name} could not be kept: ${message}`, { code }),
  })
}

interface Turn extends SchedulingOptions {
  /** Until when nothing is to be done for a schedule, by its name: asking a calendar takes a millisecond, which many clusters have many times. */
  readonly quietUntil: Map<string, number>
}

/** Of what was due while nobody was there, only the last of each schedule is caught up on. */
async function beginDue(cluster: ManagedCluster, { db, logger, start, quietUntil }: Turn): Promise<void> {
  const retake = await cluster.open()
  const now = retake.clock.now()
  const at = { cluster: cluster.name, now }
  const awake = configuredSchedules(retake.config)
    .filter(({ name }) => (quietUntil.get(name) ?? 0) <= now.getTime())
    .map(scheduleOf)
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
    logger.info(`${one.schedule.name} of ${cluster.name} is due since ${one.run.startAt.toISOString()}.`)
    await start(requestOf(one, cluster.name))
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
  const { name, task, type, deep } = schedule
  return {
    id,
    cluster,
    task,
    options: { ...(type ? { type } : {}), ...(deep ? { deep } : {}) },
    startedBy: `schedule ${name}`,
    dueAt: run.at.toISOString(),
  }
}
