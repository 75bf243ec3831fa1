import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { dueAfter, jitterOf, lastDue } from './due.ts'
import { type ScheduleConfig, scheduleOf } from './schedule.ts'

const cluster = 'main'
const nightly: ScheduleConfig = { name: 'backup', task: 'backup', cron: '0 2 * * *' }
const short = (date: Date) => date.toISOString().slice(5, 16)
const upcoming = (config: ScheduleConfig, after: string, count = 3) =>
  [...dueAfter(scheduleOf(config), { cluster, after: new Date(after) }).take(count)].map(
    ({ at, startAt }) => `${short(at)} ${short(startAt)}`,
  )
const past = (config: ScheduleConfig, now: string, count = 3) =>
  lastDue(scheduleOf(config), { cluster, now: new Date(now), count, fromMs: 0 }).map(
    ({ at, startAt }) => `${short(at)} ${short(startAt)}`,
  )

describe('jitter', () => {
  test('below the limit, the same every time, and not the same for all', () => {
    const of = (name: string, clusterName: string) => jitterOf({ name, jitterMs: 30 * 60_000 }, clusterName)
    const all = Array.from({ length: 200 }, (_, index) => of('backup', `cluster-${index}`))
    assert.deepEqual(
      all,
      Array.from({ length: 200 }, (_, index) => of('backup', `cluster-${index}`)),
    )
    for (const ms of all) assert.ok(ms >= 0 && ms < 30 * 60_000 && ms % 1000 === 0, String(ms))
    assert.ok(new Set(all).size > 150)
    assert.notEqual(of('backup', 'main'), of('verify', 'main'))
    assert.equal(jitterOf({ name: 'x', jitterMs: 0 }, 'main'), 0)
  })

  test('a run begins later by it, and its time stays that of the expression', () => {
    const [run] = [...dueAfter(scheduleOf({ ...nightly, jitterMinutes: 30 }), { cluster, after: new Date(0) }).take(1)]
    assert.equal(run?.at.toISOString(), '1970-01-01T02:00:00.000Z')
    assert.equal(run.startAt.getTime() - run.at.getTime(), jitterOf({ name: 'backup', jitterMs: 1_800_000 }, cluster))
    // Between the two it is still to come.
    const between = new Date(run.startAt.getTime() - 1)
    assert.deepEqual(
      [...dueAfter(scheduleOf({ ...nightly, jitterMinutes: 30 }), { cluster, after: between }).take(1)],
      [run],
    )
  })
})

describe('blackouts', () => {
  const office: ScheduleConfig = {
    ...nightly,
    cron: '0 */2 * * *',
    zone: 'Europe/Berlin',
    blackouts: [{ cron: '0 8 * * mon-fri', minutes: 600 }],
  }

  test('what falls into one begins when it ends, as one run', () => {
    assert.deepEqual(upcoming(office, '2026-11-23T04:30:00Z', 4), [
      '11-23T05:00 11-23T05:00',
      '11-23T07:00 11-23T17:00',
      '11-23T19:00 11-23T19:00',
      '11-23T21:00 11-23T21:00',
    ])
  })

  test('it is the same run whenever one asks', () => {
    for (const after of ['2026-11-23T06:00:00Z', '2026-11-23T09:30:00Z', '2026-11-23T16:59:59Z']) {
      assert.equal(upcoming(office, after, 1)[0], '11-23T07:00 11-23T17:00', after)
    }
    assert.equal(upcoming(office, '2026-11-23T17:00:00Z', 1)[0], '11-23T19:00 11-23T19:00')
    assert.deepEqual(past(office, '2026-11-23T19:30:00Z', 3), [
      '11-23T05:00 11-23T05:00',
      '11-23T07:00 11-23T17:00',
      '11-23T19:00 11-23T19:00',
    ])
  })

  test('one that follows another, and one that comes once', () => {
    const closed: ScheduleConfig = {
      ...nightly,
      blackouts: [
        { from: '2026-12-24T00:00:00+01:00', until: '2026-12-27T00:00:00+01:00' },
        { from: '2026-12-26T12:00:00Z', until: '2026-12-28T01:00:00Z' },
      ],
    }
    assert.deepEqual(upcoming(closed, '2026-12-23T00:00:00Z', 3), [
      '12-23T02:00 12-23T02:00',
      '12-24T02:00 12-28T01:00',
      '12-28T02:00 12-28T02:00',
    ])
    assert.deepEqual(upcoming(closed, '2026-12-27T12:00:00Z', 1), ['12-24T02:00 12-28T01:00'])
  })
})

test('the last runs are those that were to come before, and no older ones than asked for', () => {
  assert.deepEqual(past(nightly, '2026-03-02T02:00:00Z', 2), ['03-01T02:00 03-01T02:00', '03-02T02:00 03-02T02:00'])
  assert.deepEqual(past({ ...nightly, cron: '0 0 29 2 *' }, '2026-03-02T02:00:00Z', 1), ['02-29T00:00 02-29T00:00'])
  const since = { cluster, now: new Date('2026-03-02T03:00:00Z'), count: 9 }
  const found = lastDue(scheduleOf(nightly), { ...since, fromMs: Date.parse('2026-02-28T02:00:00Z') })
  assert.equal(found.length, 3)
})
