/** The times of an expression, compared with a walk through every minute of a year that knows nothing but the offsets of the zone. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type CronExpression, parseCron } from './cron.ts'
import { occurrencesAfter, occurrencesBefore } from './occurrences.ts'

const MINUTE_MS = 60_000
const QUARTER_MS = 15 * MINUTE_MS
const BEGIN_MS = Date.parse('2026-01-01T00:00:00Z')
const END_MS = Date.parse('2027-01-01T00:00:00Z')

// One hour, half an hour and two hours; at midnight; in the south; without any.
const zones = [
  'America/New_York',
  'Europe/Berlin',
  'Australia/Lord_Howe',
  'Antarctica/Troll',
  'Africa/Cairo',
  'America/Santiago',
  'Asia/Kolkata',
  'UTC',
]

/** Local time minus UTC, for each quarter of an hour from a day before the year on. */
function offsetsOf(zone: string): number[] {
  const format = new Intl.DateTimeFormat('en', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  })
  const offsets: number[] = []
  for (let ms = FIRST_MS; ms < END_MS; ms += QUARTER_MS) {
    const part = new Map(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]))
    const of = (type: Intl.DateTimeFormatPartTypes) => part.get(type) ?? Number.NaN
    offsets.push(Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute')) - ms)
  }
  return offsets
}
const FIRST_MS = BEGIN_MS - 24 * 60 * MINUTE_MS

function matches(cron: CronExpression, localMs: number): boolean {
  const local = new Date(localMs)
  const day = cron.days.includes(local.getUTCDate())
  const weekday = cron.weekdays.includes(local.getUTCDay())
  return (
    cron.minutes.includes(local.getUTCMinutes()) &&
    cron.hours.includes(local.getUTCHours()) &&
    cron.months.includes(local.getUTCMonth() + 1) &&
    (cron.needsBothDays ? day && weekday : day || weekday)
  )
}

/** The rule in its plainest form: each local minute counts once, when the clock first shows it or has jumped over it. */
function walk(cron: CronExpression, offsets: readonly number[]): number[] {
  const due: number[] = []
  const followsTime = cron.hours.length === 24
  let highestMs = Number.NEGATIVE_INFINITY
  for (let ms = FIRST_MS; ms < END_MS; ms += MINUTE_MS) {
    const localMs = ms + (offsets[Math.floor((ms - FIRST_MS) / QUARTER_MS)] ?? Number.NaN)
    const fromMs = followsTime || highestMs === Number.NEGATIVE_INFINITY ? localMs : highestMs + MINUTE_MS
    highestMs = Math.max(highestMs, localMs)
    for (let one = fromMs; one <= localMs; one += MINUTE_MS) {
      if (!matches(cron, one)) continue
      if (ms > BEGIN_MS) due.push(ms)
      break
    }
  }
  return due
}

/** What is due a few times a day at most: a year of it is looked at whole. */
const expression = fc
  .record({
    minutes: fc.uniqueArray(fc.integer({ min: 0, max: 59 }), { minLength: 1, maxLength: 2 }),
    hours: fc.uniqueArray(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 2 }),
    day: fc.constantFrom('*', '*', '*/3', '1-20', '13'),
    month: fc.constantFrom('*', '*', 'mar-apr,sep-nov'),
    weekday: fc.constantFrom('*', '*', 'sun', 'fri-sun'),
  })
  .map(({ minutes, hours, day, month, weekday }) => `${minutes.join()} ${hours.join()} ${day} ${month} ${weekday}`)

const edges = ['30 2 * * *', '0 */6 * * *', '0 0 * * *', '45 1 * * *', '*/20 1,2 * * *', '0 * * * *', '15 2 * * sun']

describe('times in a zone', () => {
  for (const zone of zones) {
    test(`a year in ${zone}: none lost, none twice, forwards and backwards`, () => {
      const offsets = offsetsOf(zone)
      const holds = (text: string) => {
        const parsed = parseCron(text)
        assert.ok('cron' in parsed)
        const expected = walk(parsed.cron, offsets)
        const forwards: number[] = []
        for (const at of occurrencesAfter(parsed.cron, { zone, after: new Date(BEGIN_MS) })) {
          if (at.getTime() >= END_MS) break
          forwards.push(at.getTime())
        }
        assert.deepEqual(forwards, expected, text)
        const backwards: number[] = []
        for (const at of occurrencesBefore(parsed.cron, { zone, before: new Date(END_MS) }).take(expected.length)) {
          backwards.push(at.getTime())
        }
        assert.deepEqual(backwards.reverse(), expected, text)
      }
      fc.assert(fc.property(expression, holds), {
        numRuns: 4,
        examples: edges.slice(0, zone === 'UTC' ? 2 : edges.length).map((text): [string] => [text]),
      })
    })
  }
})
