/** What may stand in `schedules`. What would never be due, or silently do nothing, is refused. */
import * as z from 'zod'
import { endOfBlackouts } from '../schedules/blackouts.ts'
import { parseCron } from '../schedules/cron.ts'
import { isTimeZone } from '../schedules/occurrences.ts'
import { type ScheduleConfig, scheduleOf } from '../schedules/schedule.ts'

const cron = z.string().superRefine((text, context) => {
  const parsed = parseCron(text)
  if ('problem' in parsed) context.addIssue({ code: 'custom', message: `cron: ${parsed.problem}` })
})

const instant = z.iso.datetime({
  offset: true,
  error: 'an instant is written with its offset, as in 2026-11-22T09:00:00Z',
})

const DAY_MINUTES = 1440
const LONGEST_BLACKOUT_DAYS = 31

const blackout = z.union(
  [
    z.strictObject({ from: instant, until: instant }).refine(({ from, until }) => {
      const ms = Date.parse(until) - Date.parse(from)
      return ms > 0 && ms <= LONGEST_BLACKOUT_DAYS * DAY_MINUTES * 60_000
    }, `a blackout ends after it begins, and within ${LONGEST_BLACKOUT_DAYS} days`),
    z.strictObject({
      cron,
      minutes: z
        .number()
        .int()
        .min(1)
        .max(7 * DAY_MINUTES),
    }),
  ],
  { error: 'a blackout has `from` and `until` (instants with offset), or `cron` and `minutes` (at most a week)' },
)

const schedule = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, {
      error: 'a schedule\'s name is 1 to 32 lower-case letters, digits or "-"',
    }),
    task: z.enum(['backup', 'verify', 'prune', 'drill'], { error: 'a task is backup, verify, prune or drill' }),
    type: z.enum(['full', 'incremental'], { error: 'a type is full or incremental' }).optional(),
    deep: z.boolean().optional(),
    target: z.enum(['random', 'latest'], { error: 'a target is random or latest' }).optional(),
    cron,
    zone: z
      .string()
      .refine(isTimeZone, { error: 'a zone is a name of the IANA time zone database, such as Europe/Berlin or UTC' })
      .optional(),
    jitterMinutes: z.number().min(0).max(DAY_MINUTES).optional(),
    graceMinutes: z
      .number()
      .min(0)
      .max(7 * DAY_MINUTES)
      .optional(),
    blackouts: z.array(blackout).max(100).optional(),
    since: instant.optional(),
  })
  .refine(({ task, type }) => task === 'backup' || type === undefined, 'only a backup has a type')
  .refine(
    ({ task, deep }) => task === 'verify' || task === 'drill' || deep === undefined,
    'only a verification or a drill is deep',
  )
  .refine(({ task, target }) => task === 'drill' || target === undefined, 'only a drill has a target')
  .refine(leavesTime, 'its blackouts leave no time in which it could run')

/** Regular blackouts that leave nothing do so from any instant on. */
function leavesTime(config: ScheduleConfig): boolean {
  const { blackouts, ...rest } = config
  const regular = (blackouts ?? []).filter((one) => 'cron' in one)
  // What cannot be read was said already.
  if ([rest, ...regular].some((one) => 'problem' in parseCron(one.cron)) || !isTimeZone(rest.zone ?? 'UTC')) return true
  return endOfBlackouts(scheduleOf({ ...rest, blackouts: regular }), Date.UTC(2026, 0, 1)) !== undefined
}

export const schedulesSchema = z
  .preprocess((value) => (typeof value === 'string' ? parseJson(value) : value), z.array(schedule))
  .refine((list) => new Set(list.map(({ name }) => name)).size === list.length, 'each schedule has a name of its own')

/** What is no JSON is no list either, and refused as that. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
