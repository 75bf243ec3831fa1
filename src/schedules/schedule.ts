/** What is done regularly, as people configure it and with everything that they left out filled in. */
import { type CronExpression, parseCron } from './cron.ts'

export type ScheduleTask = 'backup' | 'verify' | 'prune' | 'drill'

/** Out of all that can be recovered, or the newest moment. */
export type DrillTarget = 'random' | 'latest'

/** A time in which nothing is begun: from an instant to another, or regularly for so many minutes. */
export type BlackoutConfig =
  | { readonly from: string; readonly until: string }
  | { readonly cron: string; readonly minutes: number }

/** One entry of `schedules` in the configuration. */
export interface ScheduleConfig {
  /** 1 to 32 lower-case letters, digits and dashes; tells it from the others. */
  readonly name: string
  readonly task: ScheduleTask
  /** Of a backup. Default: incremental. */
  readonly type?: 'full' | 'incremental' | undefined
  /** Of a verification: every byte. Of a drill: every row. Default: false. */
  readonly deep?: boolean | undefined
  /** Of a drill: which moment is brought back. Default: one at random. */
  readonly target?: DrillTarget | undefined
  readonly cron: string
  /** IANA name. Default: UTC. */
  readonly zone?: string | undefined
  /** Begins up to so much later, always the same for a cluster, so that many do not begin at once. Default: 0. */
  readonly jitterMinutes?: number | undefined
  /** Then it is late. Default: 60. */
  readonly graceMinutes?: number | undefined
  readonly blackouts?: readonly BlackoutConfig[] | undefined
  /** An instant with offset: earlier runs were not due. Default: since the cluster is registered. */
  readonly since?: string | undefined
}

export type Blackout =
  | { readonly kind: 'once'; readonly fromMs: number; readonly untilMs: number }
  | { readonly kind: 'regular'; readonly cron: CronExpression; readonly lengthMs: number }

export interface Schedule {
  readonly name: string
  readonly task: ScheduleTask
  readonly type: 'full' | 'incremental' | undefined
  readonly deep: boolean
  readonly target: DrillTarget | undefined
  readonly cron: CronExpression
  readonly zone: string
  readonly jitterMs: number
  readonly graceMs: number
  readonly blackouts: readonly Blackout[]
  readonly sinceMs: number | undefined
}

export const DEFAULT_ZONE = 'UTC'
export const DEFAULT_GRACE_MINUTES = 60
const MINUTE_MS = 60_000

/**
 * What Retake proposes to whoever has configured nothing: a backup each night, a full one on Sundays; then it is verified and pruned. On the
 * first of each month a recovery is rehearsed, and each quarter one whose every row is read.
 */
export const proposedSchedules: readonly ScheduleConfig[] = [
  { name: 'backup', task: 'backup', type: 'incremental', cron: '0 2 * * mon-sat' },
  { name: 'full', task: 'backup', type: 'full', cron: '0 2 * * sun' },
  { name: 'verify', task: 'verify', cron: '0 4 * * *' },
  { name: 'prune', task: 'prune', cron: '0 5 * * *' },
  { name: 'drill', task: 'drill', target: 'random', cron: '0 6 1 * *' },
  { name: 'deep-drill', task: 'drill', target: 'random', deep: true, cron: '0 6 15 1,4,7,10 *' },
]

/** The schedule that a checked entry describes. */
export function scheduleOf(config: ScheduleConfig): Schedule {
  const { name, task, type, deep = false, target, zone = DEFAULT_ZONE, since, blackouts = [] } = config
  return {
    name,
    task,
    type: task === 'backup' ? (type ?? 'incremental') : undefined,
    deep,
    target: task === 'drill' ? (target ?? 'random') : undefined,
    cron: cronOf(config.cron),
    zone,
    jitterMs: (config.jitterMinutes ?? 0) * MINUTE_MS,
    graceMs: (config.graceMinutes ?? DEFAULT_GRACE_MINUTES) * MINUTE_MS,
    blackouts: blackouts.map((one) =>
      'cron' in one
        ? { kind: 'regular', cron: cronOf(one.cron), lengthMs: one.minutes * MINUTE_MS }
        : { kind: 'once', fromMs: Date.parse(one.from), untilMs: Date.parse(one.until) },
    ),
    sinceMs: since === undefined ? undefined : Date.parse(since),
  }
}

function cronOf(text: string): CronExpression {
  const parsed = parseCron(text)
  // The configuration was checked.
  if ('problem' in parsed) throw new Error(`assertion failed: "${text}": ${parsed.problem}`)
  return parsed.cron
}
