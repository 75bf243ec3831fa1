/** Times in which nobody is told, again and again: as crontab says, in a time zone, with its daylight saving. Pure. */
import type { CronExpression } from '../../schedules/cron.ts'
import { occurrencesBefore } from '../../schedules/occurrences.ts'
import type { QuietTime } from './policy.ts'

export interface RegularMaintenance {
  /** When it begins. */
  readonly cron: CronExpression
  /** IANA name. */
  readonly zone: string
  /** Of time that really passes, also when clocks are changed meanwhile. */
  readonly lengthMs: number
  /** Undefined: all. */
  readonly clusters?: readonly string[] | undefined
  /** Undefined: all. */
  readonly rules?: readonly string[] | undefined
  readonly reason: string
}

export interface OpenMaintenance extends QuietTime {
  readonly reason: string
}

/** Those that are open for a cluster at an instant. */
export function openMaintenance(
  windows: readonly RegularMaintenance[],
  { cluster, now }: { readonly cluster: string; readonly now: Date },
): OpenMaintenance[] {
  return windows
    .filter(({ clusters }) => clusters === undefined || clusters.includes(cluster))
    .flatMap(({ cron, zone, lengthMs, rules, reason }) => {
      // The one that began last reaches furthest; one that begins now has begun.
      const [from] = occurrencesBefore(cron, { zone, before: new Date(now.getTime() + 1) }).take(1)
      const until = from && new Date(from.getTime() + lengthMs)
      return until && now < until ? [{ from, until, rules, reason }] : []
    })
}
