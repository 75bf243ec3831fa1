/** What people are told regularly, as they write it into the file of the server: the digest of each day, the canary of each week. */
import * as z from 'zod'
import { type CronExpression, parseCron } from '../../schedules/cron.ts'
import { isTimeZone, occurrencesBefore } from '../../schedules/occurrences.ts'
import { DEFAULT_ZONE } from '../../schedules/schedule.ts'

export interface RegularNotice {
  readonly cron: CronExpression
  readonly zone: string
  /** Names. */
  readonly channels: readonly string[]
}

/** Undefined: there is none, because nobody wants it or there is no channel. */
export interface RegularNotices {
  readonly digest: RegularNotice | undefined
  readonly canary: RegularNotice | undefined
}

const DEFAULT_DIGEST_AT = '08:00'
const DEFAULT_CANARY = '0 9 * * mon'

const zone = z
  .string()
  .refine(isTimeZone, { error: 'a zone is a name of the IANA time zone database, such as Europe/Berlin or UTC' })
  .optional()

export const digestSchema = z.strictObject({
  enabled: z.boolean().optional(),
  at: z
    .string()
    .regex(/^([01]\d|2[0-3]):[0-5]\d$/, { error: 'a time of the day is written as "08:00"' })
    .optional(),
  zone,
  channels: z.array(z.string().min(1)).min(1).optional(),
})

export const canarySchema = z.strictObject({
  enabled: z.boolean().optional(),
  cron: z
    .string()
    .superRefine((text, context) => {
      const parsed = parseCron(text)
      if ('problem' in parsed) context.addIssue({ code: 'custom', message: parsed.problem })
    })
    .optional(),
  zone,
})

export interface RegularFacts {
  readonly digest: z.output<typeof digestSchema>
  readonly canary: z.output<typeof canarySchema>
  /** Who is told first of an alert. */
  readonly first: readonly string[]
  /** Everybody whom any alert can reach. */
  readonly all: readonly string[]
}

/** The digest goes to those who are told first, unless the file says otherwise; the canary to everybody whom an alert can reach. */
export function planRegular({ digest, canary, first, all }: RegularFacts): RegularNotices {
  const [hour = '', minute = ''] = (digest.at ?? DEFAULT_DIGEST_AT).split(':')
  return {
    digest: regularOf(digest, { cron: `${Number(minute)} ${Number(hour)} * * *`, channels: digest.channels ?? first }),
    canary: regularOf(canary, { cron: canary.cron ?? DEFAULT_CANARY, channels: all }),
  }
}

function regularOf(
  {
    enabled = true,
    zone: name = DEFAULT_ZONE,
  }: { readonly enabled?: boolean | undefined; readonly zone?: string | undefined },
  { cron, channels }: { readonly cron: string; readonly channels: readonly string[] },
): RegularNotice | undefined {
  if (!enabled || channels.length === 0) return undefined
  const parsed = parseCron(cron)
  // It was checked, or is one of our own.
  if ('problem' in parsed) throw new Error(`assertion failed: "${cron}": ${parsed.problem}`)
  return { cron: parsed.cron, zone: name, channels }
}

/** The last time that it was due; the same for whoever asks. */
export function lastDueOf({ cron, zone: name }: RegularNotice, now: Date): Date | undefined {
  const { value } = occurrencesBefore(cron, { zone: name, before: new Date(now.getTime() + 1) }).next()
  return value ?? undefined
}
