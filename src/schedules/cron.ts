/**
 * Cron expressions, read as crontab(5) describes them: five fields with lists, ranges, steps and English names, or `@daily` and
 * its kin. Only what can be said in words and as a systemd timer is taken; what other programs added (`L`, `#`, seconds) is refused.
 */

export interface CronExpression {
  /** As it was written, without superfluous blanks. */
  readonly text: string
  /** Ascending, as all of these. */
  readonly minutes: readonly number[]
  readonly hours: readonly number[]
  /** Days of the month. */
  readonly days: readonly number[]
  readonly months: readonly number[]
  /** 0 is Sunday. */
  readonly weekdays: readonly number[]
  /**
   * Whether a day must be in `days` and in `weekdays`. False: one of them is enough, as crontab(5) says of expressions that
   * restrict both. A field that begins with `*` restricts nothing in this sense, also `*` with a step.
   */
  readonly needsBothDays: boolean
}

interface FieldRule {
  readonly what: string
  readonly min: number
  readonly max: number
  /** The first one stands for `min`. */
  readonly names?: readonly string[]
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

const minuteRule: FieldRule = { what: 'minute', min: 0, max: 59 }
const hourRule: FieldRule = { what: 'hour', min: 0, max: 23 }
const dayRule: FieldRule = { what: 'day of the month', min: 1, max: 31 }
const monthRule: FieldRule = { what: 'month', min: 1, max: 12, names: MONTHS }
/** 7 is Sunday as well. */
const weekdayRule: FieldRule = { what: 'day of the week', min: 0, max: 7, names: WEEKDAYS }

const SHORTHANDS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}

/** Reads an expression; the problem is a phrase that goes on after "cron: ". */
export function parseCron(source: string): { readonly cron: CronExpression } | { readonly problem: string } {
  const text = source.trim().replaceAll(/\s+/g, ' ')
  const fields = (SHORTHANDS[text.toLowerCase()] ?? text).split(' ')
  if (text.startsWith('@') && fields.length === 1) {
    return { problem: `"${text}" is none of ${Object.keys(SHORTHANDS).join(', ')}` }
  }
  const [minute, hour, day, month, weekday, ...more] = fields
  if (minute === undefined || hour === undefined || day === undefined || month === undefined || weekday === undefined) {
    return { problem: 'it needs five fields: minute, hour, day of the month, month, day of the week' }
  }
  if (more.length > 0) return { problem: 'it has more than five fields; seconds and years are not known' }
  const read = {
    minutes: readField(minute, minuteRule),
    hours: readField(hour, hourRule),
    days: readField(day, dayRule),
    months: readField(month, monthRule),
    weekdays: readField(weekday, weekdayRule),
  }
  for (const one of Object.values(read)) if ('problem' in one) return one
  const valuesOf = (one: Field) => ('values' in one ? one.values : [])
  const cron: CronExpression = {
    text,
    minutes: valuesOf(read.minutes),
    hours: valuesOf(read.hours),
    days: valuesOf(read.days),
    months: valuesOf(read.months),
    weekdays: [...new Set(valuesOf(read.weekdays).map((value) => value % 7))].sort((a, b) => a - b),
    needsBothDays: day.startsWith('*') || weekday.startsWith('*'),
  }
  if (cron.needsBothDays && !hasAnyDate(cron)) return { problem: 'no month has such a day' }
  return { cron }
}

/** The longest each month can be. */
const LONGEST = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function hasAnyDate({ days, months }: CronExpression): boolean {
  const first = days[0] ?? 1
  return months.some((month) => first <= (LONGEST[month - 1] ?? 0))
}

type Field = { readonly values: readonly number[] } | { readonly problem: string }

function readField(text: string, rule: FieldRule): Field {
  const values = new Set<number>()
  for (const part of text.split(',')) {
    const range = readPart(part, rule)
    if (!range) {
      return {
        problem: `"${text}" is no ${rule.what}: numbers from ${rule.min} to ${rule.max}, ${HOW[rule.what] ?? ''}lists, ranges and steps`,
      }
    }
    for (let value = range.from; value <= range.to; value += range.step) values.add(value)
  }
  return { values: [...values].sort((a, b) => a - b) }
}

const HOW: Readonly<Record<string, string>> = {
  [monthRule.what]: 'jan to dec, ',
  [weekdayRule.what]: 'sun to sat, ',
}

interface Range {
  readonly from: number
  readonly to: number
  readonly step: number
}

/** `*`, `5`, `5-9`, and `*` or a range with `/step`. */
function readPart(part: string, rule: FieldRule): Range | undefined {
  const [, body, stepText] = /^([^/]+)(?:\/(\d+))?$/.exec(part) ?? []
  if (body === undefined) return undefined
  const step = stepText === undefined ? 1 : Number(stepText)
  if (step < 1) return undefined
  // Sunday has two numbers, of which a star means one.
  if (body === '*') return { from: rule.min, to: rule === weekdayRule ? 6 : rule.max, step }
  const [first = '', last, ...more] = body.split('-')
  const from = readValue(first, rule)
  const to = last === undefined ? from : readValue(last, rule)
  if (from === undefined || to === undefined || more.length > 0) return undefined
  // What a single number with a step means differs between programs.
  if (last === undefined) return stepText === undefined ? { from, to, step } : undefined
  // From Friday to Sunday, by name.
  const end = rule === weekdayRule && to === 0 ? 7 : to
  return from <= end ? { from, to: end, step } : undefined
}

function readValue(text: string, { min, max, names }: FieldRule): number | undefined {
  const named = names?.indexOf(text.toLowerCase()) ?? -1
  if (named >= 0) return min + named
  const value = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN
  return value >= min && value <= max ? value : undefined
}
