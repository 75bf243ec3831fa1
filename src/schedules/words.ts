/** Cron expressions in words, for people who do not read them every day. */
import type { CronExpression } from './cron.ts'

const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]
const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

/** Beyond this, times are not listed one by one. */
const MOST_TIMES = 6

/** `daily at 02:00`, `on Sunday at 02:00`, `every 15 minutes on Monday to Friday`. */
export function cronInWords(cron: CronExpression): string {
  const days = daysInWords(cron)
  const times = timesInWords(cron)
  const isMoment = /^at \d\d:/.test(times)
  if (days === undefined) return isMoment ? `daily ${times}` : times
  return isMoment ? `${days} ${times}` : `${times}, ${days}`
}

function timesInWords({ minutes, hours }: CronExpression): string {
  const everyHour = hours.length === 24
  const step = stepOf(minutes, 60)
  if (everyHour && step !== undefined && minutes.length > 1) return every(step)
  const past = minutes.map(String)
  if (everyHour) return `every hour at minute ${join(past, 'and')}`
  const times = hours.flatMap((hour) => minutes.map((minute) => `${pad(hour)}:${pad(minute)}`))
  if (times.length <= MOST_TIMES) return `at ${join(times, 'and')}`
  const within = join(ranges(hours, pad), 'and')
  const often = step === undefined || minutes.length === 1 ? `at minute ${join(past, 'and')}` : every(step)
  return `${often} of the hours ${within}`
}

const every = (minutes: number) => (minutes === 1 ? 'every minute' : `every ${minutes} minutes`)

function daysInWords({ days, months, weekdays, needsBothDays }: CronExpression): string | undefined {
  const ofMonth = days.length < 31 ? `on day ${join(ranges(days, String), 'and')} of the month` : undefined
  const ofWeek =
    weekdays.length < 7
      ? `on ${join(
          ranges(weekdays, (day) => WEEKDAYS[day] ?? ''),
          'and',
        )}`
      : undefined
  const inMonths =
    months.length < 12
      ? `in ${join(
          ranges(months, (month) => MONTHS[month - 1] ?? ''),
          'and',
        )}`
      : undefined
  const day =
    ofMonth !== undefined && ofWeek !== undefined
      ? needsBothDays
        ? `${ofWeek} if it is ${ofMonth.slice(3)}`
        : `${ofMonth} or ${ofWeek}`
      : (ofMonth ?? ofWeek)
  if (day === undefined && inMonths === undefined) return undefined
  return [day ?? 'every day', inMonths].filter((part) => part !== undefined).join(' ')
}

/** The distance of values that are evenly spread over the whole; undefined where they are not. */
function stepOf(values: readonly number[], whole: number): number | undefined {
  const step = whole / values.length
  return values.every((value, index) => value === index * step) ? step : undefined
}

/** `1 to 5`, and what stands alone; runs of two are named one by one. */
function ranges(values: readonly number[], name: (value: number) => string): string[] {
  const runs: number[][] = []
  for (const value of values) {
    const last = runs.at(-1)
    if (last && value === (last.at(-1) ?? 0) + 1) last.push(value)
    else runs.push([value])
  }
  return runs.flatMap((run) => (run.length < 3 ? run.map(name) : [`${name(run[0] ?? 0)} to ${name(run.at(-1) ?? 0)}`]))
}

function join(parts: readonly string[], word: string): string {
  return parts.length < 2 ? parts.join() : `${parts.slice(0, -1).join(', ')} ${word} ${parts.at(-1)}`
}

function pad(value: number): string {
  return String(value).padStart(2, '0')
}

/** `Mon 2026-11-23 02:00 +01:00 Europe/Berlin` */
export function formatInZone(at: Date, zone: string): string {
  const format = new Intl.DateTimeFormat('en', {
    timeZone: zone,
    hourCycle: 'h23',
    weekday: 'short',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    timeZoneName: 'longOffset',
  })
  const part = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]))
  const offset = (part.get('timeZoneName') ?? '').replace('GMT', '') || '+00:00'
  const date = `${part.get('year')}-${part.get('month')}-${part.get('day')}`
  return `${part.get('weekday')} ${date} ${part.get('hour')}:${part.get('minute')} ${offset} ${zone}`
}
