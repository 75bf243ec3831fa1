import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CronExpression, parseCron } from './cron.ts'
import { isTimeZone } from './occurrences.ts'
import { cronInWords, formatInZone } from './words.ts'

function cronOf(text: string): CronExpression {
  const parsed = parseCron(text)
  assert.ok('cron' in parsed, `${text}: ${JSON.stringify(parsed)}`)
  return parsed.cron
}

test('fields: numbers, lists, ranges, steps and names', () => {
  const { minutes, hours, days, months, weekdays } = cronOf('5,10-12,*/30 1-9/4 1,15 jan-mar,DEC mon-fri')
  assert.deepEqual(minutes, [0, 5, 10, 11, 12, 30])
  assert.deepEqual(hours, [1, 5, 9])
  assert.deepEqual(days, [1, 15])
  assert.deepEqual(months, [1, 2, 3, 12])
  assert.deepEqual(weekdays, [1, 2, 3, 4, 5])
  assert.deepEqual(cronOf('0 0 * * 7').weekdays, [0], 'seven is Sunday')
  assert.deepEqual(cronOf('0 0 * * fri-sun').weekdays, [0, 5, 6])
  assert.deepEqual(cronOf('0 0 * * */2').weekdays, [0, 2, 4, 6])
  assert.equal(cronOf('0 0 * * *').weekdays.length, 7)
  assert.equal(cronOf('  0   0 *  * * ').text, '0 0 * * *')
})

test('shorthands are what crontab(5) says', () => {
  const fieldsOf = ({ text: _text, ...fields }: CronExpression) => fields
  for (const [short, long] of [
    ['@yearly', '0 0 1 1 *'],
    ['@annually', '0 0 1 1 *'],
    ['@monthly', '0 0 1 * *'],
    ['@weekly', '0 0 * * 0'],
    ['@daily', '0 0 * * *'],
    ['@Midnight', '0 0 * * *'],
    ['@hourly', '0 * * * *'],
  ] as const) {
    assert.deepEqual(fieldsOf(cronOf(short)), fieldsOf(cronOf(long)), short)
  }
})

test('a day of the month or one of the week is enough, unless a field begins with a star', () => {
  assert.equal(cronOf('0 0 13 * 5').needsBothDays, false)
  assert.equal(cronOf('0 0 13 * *').needsBothDays, true)
  assert.equal(cronOf('0 0 */2 * 1').needsBothDays, true)
})

test('what cannot be read, or would never be due, is refused with the reason', () => {
  for (const [text, why] of [
    ['', /five fields/],
    ['0 2 * *', /five fields/],
    ['0 0 2 * * *', /more than five/],
    ['@reboot', /"@reboot" is none of @yearly/],
    ['60 * * * *', /"60" is no minute: numbers from 0 to 59/],
    ['* 24 * * *', /"24" is no hour/],
    ['0 0 0 * *', /"0" is no day of the month/],
    ['0 0 * 13 *', /"13" is no month/],
    ['0 0 * * 8', /"8" is no day of the week.*sun to sat/],
    ['0 0 * * monday', /"monday"/],
    ['0 22-2 * * *', /"22-2"/],
    ['5/15 * * * *', /"5\/15"/],
    ['*/0 * * * *', /"\*\/0"/],
    ['1- * * * *', /"1-"/],
    ['1,,2 * * * *', /"1,,2"/],
    ['0 0 L * *', /"L"/],
    ['0 0 * * 5#2', /"5#2"/],
    ['0 0 ? * 1', /"\?"/],
    ['0 0 31 feb,apr *', /no month has such a day/],
  ] as const) {
    const parsed = parseCron(text)
    assert.ok('problem' in parsed, text)
    assert.match(parsed.problem, why)
  }
  cronOf('0 0 29 2 *')
  cronOf('0 0 31 2 mon')
})

test('in words', () => {
  for (const [text, words] of [
    ['0 2 * * *', 'daily at 02:00'],
    ['0 2 * * sun', 'on Sunday at 02:00'],
    ['0 2 * * 1-6', 'on Monday to Saturday at 02:00'],
    ['30 2,14 * * *', 'daily at 02:30 and 14:30'],
    ['0 */6 * * *', 'daily at 00:00, 06:00, 12:00 and 18:00'],
    ['0 * * * *', 'every hour at minute 0'],
    ['* * * * *', 'every minute'],
    ['*/15 * * * *', 'every 15 minutes'],
    ['*/15 8-17 * * mon-fri', 'every 15 minutes of the hours 08 to 17, on Monday to Friday'],
    ['0 8-17 * * *', 'at minute 0 of the hours 08 to 17'],
    ['0 3 1 * *', 'on day 1 of the month at 03:00'],
    ['0 3 1,15 1,7 *', 'on day 1 and 15 of the month in January and July at 03:00'],
    ['0 3 13 * fri', 'on day 13 of the month or on Friday at 03:00'],
    ['0 3 */10 * fri', 'on Friday if it is day 1, 11, 21 and 31 of the month at 03:00'],
    ['0 3 * 2 *', 'every day in February at 03:00'],
  ] as const) {
    assert.equal(cronInWords(cronOf(text)), words, text)
  }
})

test('zones are names, not offsets; a moment is shown with both', () => {
  for (const zone of ['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires']) assert.ok(isTimeZone(zone), zone)
  for (const zone of ['', '+02:00', 'Mars/Base', 'Europe/Berlin ', 'local']) assert.ok(!isTimeZone(zone), zone)
  const at = new Date('2026-07-01T00:30:00Z')
  assert.equal(formatInZone(at, 'Europe/Berlin'), 'Wed 2026-07-01 02:30 +02:00 Europe/Berlin')
  assert.equal(formatInZone(at, 'America/St_Johns'), 'Tue 2026-06-30 22:00 -02:30 America/St_Johns')
  assert.equal(formatInZone(at, 'UTC'), 'Wed 2026-07-01 00:30 +00:00 UTC')
})
