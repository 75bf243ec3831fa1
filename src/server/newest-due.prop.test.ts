import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { dueAfter } from '../schedules/due.ts'
import { type ScheduleConfig, scheduleOf } from '../schedules/schedule.ts'
import { newestDue, nextDueMs } from './newest-due.ts'

const MINUTE_MS = 60_000
const DAY_MS = 1440 * MINUTE_MS

const schedules: readonly ScheduleConfig[] = [
  // In the hours that the clocks skip, and have twice.
  { name: 'berlin', task: 'backup', cron: '30 2 * * *', zone: 'Europe/Berlin' },
  { name: 'new-york', task: 'backup', cron: '30 2 * * *', zone: 'America/New_York' },
  { name: 'fall', task: 'verify', cron: '30 1 * * *', zone: 'America/New_York', jitterMinutes: 20 },
  { name: 'lord-howe', task: 'prune', cron: '15 2 * * *', zone: 'Australia/Lord_Howe' },
  { name: 'six-hourly', task: 'backup', cron: '5 */6 * * *', zone: 'Europe/London' },
  {
    name: 'blackout',
    task: 'backup',
    cron: '0 12 * * *',
    zone: 'Europe/Berlin',
    blackouts: [{ cron: '0 8 * * mon-fri', minutes: 600 }],
  },
]

/** Servers that look at these times; an id that is on record already is begun by nobody. */
function simulate(config: ScheduleConfig, looks: readonly Date[]): { begun: string[]; refused: number } {
  const schedule = scheduleOf(config)
  const onRecord = new Set<string>()
  let refused = 0
  for (const now of looks) {
    const due = newestDue(schedule, { cluster: 'main', now })
    if (!due) continue
    if (onRecord.has(due.id)) refused += 1
    onRecord.add(due.id)
  }
  return { begun: [...onRecord], refused }
}

function dueBetween(config: ScheduleConfig, from: Date, until: Date) {
  const runs: { readonly id: string; readonly startMs: number }[] = []
  for (const { at, startAt } of dueAfter(scheduleOf(config), { cluster: 'main', after: from })) {
    if (startAt >= until) break
    runs.push({ id: `main~${config.name}~${at.toISOString()}`, startMs: startAt.getTime() })
  }
  return runs
}

describe('two servers and the year 2026', () => {
  for (const config of schedules) {
    test(`${config.name}: every run is begun once, at its time`, () => {
      const due = dueBetween(config, new Date('2025-12-31T23:59:59Z'), new Date('2027-01-01T00:00:00Z'))
      assert.ok(due.length >= 365)
      // Each looks at its own moments: one exactly when it is due, the other a little before and a little after.
      const looks = due.flatMap(({ startMs }) => [startMs, startMs - 1, startMs, startMs + 3 * MINUTE_MS])
      const { begun, refused } = simulate(
        config,
        looks.slice(2).map((ms) => new Date(ms)),
      )
      assert.deepEqual(
        begun,
        due.map(({ id }) => id),
      )
      assert.ok(refused >= due.length)
    })
  }
})

test('whenever servers were away, the newest that was due is begun, and nothing twice', () => {
  const start = Date.parse('2026-03-20T00:00:00Z')
  const looksOf = fc.array(fc.integer({ min: 0, max: 20 * DAY_MS }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(looksOf, fc.constantFrom(...schedules), (offsets, config) => {
      const looks = offsets.sort((a, b) => a - b).map((ms) => new Date(start + ms))
      const { begun } = simulate(config, looks)
      const last = looks.at(-1) ?? new Date(start)
      const due = dueBetween(config, new Date(start - 4 * DAY_MS), new Date(last.getTime() + 1))
      assert.equal(begun.at(-1), due.at(-1)?.id)
      // In their order: nothing older is begun after something newer.
      assert.deepEqual(begun.toSorted(), begun)
    }),
    { numRuns: 40 },
  )
})

test('between two runs nobody has to look', () => {
  for (const config of schedules) {
    const schedule = scheduleOf(config)
    const now = new Date('2026-10-24T12:00:00Z')
    const nextMs = nextDueMs(schedule, { cluster: 'main', now })
    const before = newestDue(schedule, { cluster: 'main', now })
    assert.equal(newestDue(schedule, { cluster: 'main', now: new Date(nextMs - 1) })?.id, before?.id)
    assert.notEqual(newestDue(schedule, { cluster: 'main', now: new Date(nextMs) })?.id, before?.id)
  }
})
