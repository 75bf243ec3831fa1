/**
 * When an expression is due in a time zone. Daylight saving is treated as cron(8) treats it:
 *
 * - A time that the clock skips is due once, right after the gap.
 * - A time that the clock has twice is due once, the first time.
 * - What is due in every hour follows the time that really passes: nothing is skipped, nothing happens twice.
 *
 * https://manpages.debian.org/bookworm/cron/cron.8.en.html (daylight saving time and other time changes)
 */
import { Cron } from 'croner'
import type { CronExpression } from './cron.ts'

/** An IANA name, such as `Europe/Berlin`; an offset is none, because it has no daylight saving. */
export function isTimeZone(zone: string): boolean {
  if (!/^[A-Za-z]/.test(zone)) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return true
  } catch {
    return false
  }
}

/** The due times after an instant, without end. */
export function* occurrencesAfter(cron: CronExpression, at: { readonly zone: string; readonly after: Date }) {
  const calendar = calendarOf(cron, at.zone)
  let last = at.after
  for (;;) {
    const next = calendar.nextRun(last)
    // None within the years that a calendar is good for.
    if (!next) return
    yield next
    last = next
  }
}

/** The due times before an instant, the latest first. */
export function* occurrencesBefore(cron: CronExpression, at: { readonly zone: string; readonly before: Date }) {
  const calendar = calendarOf(cron, at.zone)
  let last = at.before
  for (;;) {
    const [previous] = calendar.previousRuns(1, last)
    if (!previous) return
    yield previous
    last = previous
  }
}

/**
 * The library tells hours that are listed, to which the rule of daylight saving applies, from a star, to which it does not; so every
 * hour becomes a star and everything else a list, however it was written.
 */
function calendarOf(cron: CronExpression, zone: string): Cron {
  const { minutes, hours, days, months, weekdays, needsBothDays } = cron
  const field = (values: readonly number[], count: number) => (values.length === count ? '*' : values.join(','))
  const pattern = [minutes.join(','), field(hours, 24), field(days, 31), field(months, 12), field(weekdays, 7)]
  return new Cron(pattern.join(' '), {
    timezone: zone,
    paused: true,
    mode: '5-part',
    domAndDow: needsBothDays,
    fixedTimeRule: 'no-wildcard',
  })
}
