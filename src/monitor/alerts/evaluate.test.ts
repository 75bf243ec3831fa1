import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { HealthCheckResult, Outcome } from '../checks/result.ts'
import { judgeSchedules } from '../checks/schedules.ts'
import { judgeSlotGrowth } from '../checks/slot.ts'
import type { HealthReport } from '../read-health.ts'
import { acknowledge } from './actions.ts'
import { evaluateAlerts } from './evaluate.ts'
import { withoutMeant } from './meant.ts'
import type { Notice } from './notice.ts'
import { type AlertPolicy, defaultPolicy, type QuietTime } from './policy.ts'
import type { ClusterAlerts } from './state.ts'
import { bad, reportOf, type World } from './testing/reports.ts'

const MINUTE_MS = 60_000
const START = Date.parse('2026-11-23T00:00:00Z')
const at = (minute: number) => new Date(START + minute * MINUTE_MS)

const policy: AlertPolicy = {
  ...defaultPolicy,
  levels: [
    { channels: ['one'], afterMs: 0 },
    { channels: ['two'], afterMs: 15 * MINUTE_MS },
    { channels: ['three'], afterMs: 30 * MINUTE_MS },
  ],
  everybody: ['one', 'two', 'three', 'all'],
}

interface Course {
  readonly minutes: number
  readonly worldAt?: (minute: number) => World
  /** What further checks find. */
  readonly checkAt?: (minute: number) => HealthCheckResult
  readonly acknowledgeAt?: number
  readonly quietFrom?: number
  readonly quietUntil?: number
  /** No look comes to a report. */
  readonly isBlindAt?: (minute: number) => boolean
  readonly rulesAt?: (minute: number) => AlertPolicy['rules']
}

interface Told {
  readonly minute: number
  readonly notice: Notice
  readonly channels: readonly string[]
  readonly states: ClusterAlerts
}

/** What was told, minute by minute: `18 escalated two: critical-table-missing`. */
function toldIn(course: Course): string[] {
  return noticesIn(course).map(
    ({ minute, notice, channels }) =>
      `${minute} ${notice.kind} ${channels.join('+')}: ${notice.alerts.map(({ rule }) => rule).join()}`,
  )
}

function noticesIn(course: Course): Told[] {
  const {
    minutes,
    worldAt = () => ({}),
    checkAt,
    acknowledgeAt,
    quietFrom = 0,
    quietUntil,
    rulesAt,
    isBlindAt,
  } = course
  let states: ClusterAlerts = { alerts: {} }
  const told: Told[] = []
  const quiet: QuietTime[] = quietUntil === undefined ? [] : [{ from: at(quietFrom), until: at(quietUntil) }]
  for (let minute = 0; minute < minutes; minute += 1) {
    const now = at(minute)
    const round = evaluateAlerts({
      report: isBlindAt?.(minute)
        ? { cluster: 'main', failed: { finding: 'The look failed.', fix: 'retake doctor' } }
        : withCheck(reportOf(worldAt(minute), now), checkAt?.(minute)),
      states,
      policy: { ...policy, rules: rulesAt?.(minute) ?? {} },
      quiet,
      now,
    })
    states = round.states
    for (const { notice, channels } of round.outgoing) told.push({ minute, notice, channels, states })
    if (minute !== acknowledgeAt) continue
    for (const key of Object.keys(states.alerts)) {
      states = acknowledge(states, { cluster: 'main', key, by: 'ada', now, policy })?.states ?? states
    }
  }
  return told
}

function withCheck(report: HealthReport, check: HealthCheckResult | undefined): HealthReport {
  if (!check) return report
  return { ...report, checks: [...report.checks.filter(({ name }) => name !== check.name), check] }
}

const timed = { title: 'x', at: at(0).toISOString(), durationMs: 1 }

describe('a backup that fails', () => {
  test('is told after five minutes as a warning, and after four hours as critical', () => {
    const told = toldIn({ minutes: 250, worldAt: () => ({ backup: bad }) })
    assert.deepEqual(told.slice(0, 2), ['6 fired one: backup-failed', '241 fired one: backup-still-failing'])
  })

  test('is not told when a backup has succeeded meanwhile, but its end is', () => {
    const told = toldIn({ minutes: 260, worldAt: (minute) => (minute < 230 ? { backup: bad } : {}) })
    assert.deepEqual(told, ['6 fired one: backup-failed', '235 resolved one: backup-failed'])
  })
})

describe('what is unknown resolves nothing', () => {
  const scheduled = (verdict: 'missed' | 'unknown'): HealthCheckResult<'schedules'> => ({
    ...timed,
    name: 'schedules',
    ...judgeSchedules({
      at: at(0).toISOString(),
      schedules: [
        {
          name: 'daily',
          task: 'backup',
          verdict,
          runs: [],
          ...(verdict === 'missed'
            ? {
                settled: { at: at(0).toISOString(), startAt: at(0).toISOString(), outcome: 'missed', beganLate: false },
              }
            : {}),
        },
      ],
    }),
  })

  test('of a schedule of which nothing can be told any more', () => {
    const told = toldIn({ minutes: 60, checkAt: (minute) => scheduled(minute < 20 ? 'missed' : 'unknown') })
    assert.deepEqual(
      told.filter((one) => !one.includes('escalated')),
      ['6 fired one: schedule-missed', '51 fired one: check-unknown'],
    )
  })

  test('but what is known of one schedule is not held up by another', () => {
    const both = (weekly: 'missed' | 'ok'): HealthCheckResult<'schedules'> => ({
      ...scheduled('unknown'),
      measured: {
        unknown: ['daily'],
        missedRuns: [],
        missed: weekly === 'missed' ? [{ schedule: 'weekly', task: 'verify', outcome: 'missed', at: 'Sunday' }] : [],
      },
    })
    const told = toldIn({ minutes: 28, checkAt: (minute) => both(minute < 20 ? 'missed' : 'ok') })
    assert.equal(told.at(-1), '25 resolved one: schedule-missed')
  })

  const slotWith = (rate: number | undefined, lagBytes?: number): HealthCheckResult<'slot'> => {
    const outcome: Outcome<NonNullable<HealthCheckResult<'slot'>['measured']>> = judgeSlotGrowth({
      name: 's',
      status: {
        exists: true,
        active: lagBytes !== undefined,
        lagBytes,
        walStatus: 'extended',
        safeWalSizeBytes: 2 ** 30,
      },
      walBytesPerHour: rate,
      serverFreeBytes: undefined,
      walDirectoryBytes: undefined,
      receiver: true,
    })
    return { ...timed, name: 'slot', ...outcome }
  }

  test('of the hours that are left when nobody knows how fast WAL is written', () => {
    const told = toldIn({ minutes: 60, checkAt: (minute) => slotWith(minute < 20 ? 2 ** 29 : undefined) })
    assert.deepEqual(
      told.filter((one) => !one.includes('escalated')),
      ['6 fired one: slot-nearly-lost'],
    )
  })

  test('a receiver that is connected and far behind is as bad as none', () => {
    const fired = (lagBytes: number, hours: number) =>
      toldIn({ minutes: 18, checkAt: () => slotWith(2 ** 30 / hours, lagBytes) })
    assert.deepEqual(fired(2 ** 30, 3), ['6 fired one: slot-nearly-lost'])
    assert.deepEqual(fired(2 ** 30, 23), ['16 fired one: slot-filling'])
    assert.deepEqual(fired(2 ** 20, 3), [])
  })
})

describe('whom it concerns', () => {
  test('a warning is not brought to the level that a critical one has reached', () => {
    const told = toldIn({ minutes: 102, acknowledgeAt: 40, worldAt: () => ({ table: bad, receiver: bad }) })
    assert.deepEqual(told.slice(-2).sort(), [
      '100 refired one: receiver-down',
      '100 refired three: critical-table-missing',
    ])
  })

  test('who was not told of it is not told its end', () => {
    const told = toldIn({ minutes: 70, worldAt: (minute) => (minute < 40 ? { table: bad, receiver: bad } : {}) })
    assert.deepEqual(told.slice(-2).sort(), [
      '45 resolved one+three+two: critical-table-missing',
      '45 resolved one: receiver-down',
    ])
  })
})

describe('an acknowledgement', () => {
  test('that runs out after everybody was told brings everybody back', () => {
    const told = toldIn({ minutes: 200, acknowledgeAt: 110, worldAt: () => ({ table: bad }) })
    assert.deepEqual(told.slice(-3), [
      '93 broadcast all+one+three+two: critical-table-missing',
      '170 refired three: critical-table-missing',
      '185 broadcast all+one+three+two: critical-table-missing',
    ])
  })

  test('is honoured also when it came before anybody was told, and told once when it runs out', () => {
    const told = toldIn({ minutes: 84, acknowledgeAt: 20, quietUntil: 30, worldAt: () => ({ table: bad }) })
    assert.deepEqual(told, ['80 fired one: critical-table-missing'])
  })
})

describe('maintenance', () => {
  test('what clears just before it ends is not told after it', () => {
    const told = toldIn({ minutes: 60, quietUntil: 30, worldAt: (minute) => (minute < 29 ? { table: bad } : {}) })
    assert.deepEqual(told, [])
  })

  test('who was told before it has as much time to answer afterwards as was left', () => {
    const told = toldIn({ minutes: 140, quietFrom: 13, quietUntil: 120, worldAt: () => ({ table: bad }) })
    assert.deepEqual(told, ['3 fired one: critical-table-missing', '125 escalated two: critical-table-missing'])
  })

  test('the same of what another alert explains for a while', () => {
    const told = toldIn({
      minutes: 80,
      worldAt: (minute) => ({ table: bad, ...(minute >= 10 && minute < 60 ? { server: bad } : {}) }),
      checkAt: (minute) => tableCheck(minute),
    })
    assert.deepEqual(
      told.filter((one) => one.includes('critical-table-missing')),
      ['3 fired one: critical-table-missing', '73 escalated two: critical-table-missing'],
    )
  })
})

/** The table is missing also while the server is said not to answer. */
function tableCheck(minute: number): HealthCheckResult {
  const check = reportOf({ table: bad }, at(minute)).checks.find(({ name }) => name === 'critical-tables')
  assert.ok(check)
  return check
}

describe('an incident of several alerts', () => {
  test('is over for each channel when nothing that it knows of is open', () => {
    const told = noticesIn({
      minutes: 120,
      worldAt: (minute) => ({
        ...(minute < 40 ? { table: bad } : {}),
        ...(minute < 80 ? { receiver: bad } : {}),
      }),
    })
    const ends = told.filter(({ notice }) => notice.kind === 'resolved')
    assert.deepEqual(
      ends.map(({ minute, notice, channels }) => [minute, channels.join('+'), notice.isOver]),
      [
        [45, 'three+two', true],
        [45, 'one', false],
        [85, 'one', true],
      ],
    )
    assert.equal(new Set(ends.map(({ notice }) => notice.id)).size, 3)
    assert.deepEqual(ends[2]?.notice.lines, [
      `nobody receives WAL: lasted 1 h 25 min, from ${at(0).toISOString()}.`,
      `No gap: every moment from ${at(0).toISOString()} to ${at(85).toISOString()} can be restored.`,
      'Nothing else is open.',
    ])
    assert.equal(new Set(told.map(({ notice }) => notice.incident)).size, 1)
  })
})

describe('a rule that is switched off', () => {
  const rulesAt = (minute: number) => (minute < 20 ? {} : { 'critical-table-missing': { enabled: false } })

  test('withdraws its alerts, and nobody reads that they are gone', () => {
    const told = noticesIn({ minutes: 60, worldAt: () => ({ table: bad }), rulesAt })
    const [last] = told.slice(-1)
    assert.deepEqual([last?.minute, last?.notice.kind, last?.channels], [20, 'withdrawn', ['one', 'two']])
    assert.match(last?.notice.headline ?? '', /switched off\. Whether it is gone is not known/)
    assert.ok(last?.notice.alerts.every(({ resolvedAt }) => resolvedAt === undefined))
    assert.deepEqual(last?.states.alerts, {})
  })

  test('is told anew when it is switched on again', () => {
    const told = toldIn({
      minutes: 60,
      worldAt: () => ({ table: bad }),
      rulesAt: (minute) => (minute < 30 ? rulesAt(minute) : {}),
    })
    assert.deepEqual(told.slice(-2), [
      '33 fired one: critical-table-missing',
      '48 escalated two: critical-table-missing',
    ])
  })
})

describe('rows that have vanished', () => {
  const shrunkAt = (...seenAt: number[]): HealthCheckResult<'critical-tables'> => {
    const losses = seenAt.map((minute) => ({
      before: 100,
      at: at(minute - 1).toISOString(),
      seenAt: at(minute).toISOString(),
    }))
    const table = { table: 'public.users', tier: 'high', exists: true, rows: 10 } as const
    return {
      ...timed,
      name: 'critical-tables',
      state: 'failed',
      finding: 'x',
      measured: {
        database: 'app',
        expectedBy: 'configuration',
        tables: [losses.length > 0 ? { ...table, losses } : table],
        missing: [],
        shrunk: losses.length > 0 ? [table.table] : [],
      },
    }
  }

  test('are told until they are back', () => {
    const told = toldIn({ minutes: 1520, checkAt: (minute) => (minute < 1500 ? shrunkAt(0) : shrunkAt()) })
    assert.deepEqual(told, [
      '1 fired one: critical-table-shrunk',
      '1441 reminder one: critical-table-shrunk',
      '1505 resolved one: critical-table-shrunk',
    ])
  })

  test('are withdrawn, and not resolved, when somebody acknowledged it and left it so; and not told again', () => {
    const told = noticesIn({ minutes: 1600, acknowledgeAt: 10, checkAt: () => shrunkAt(0) })
    assert.deepEqual(
      told.map(({ minute, notice }) => `${minute} ${notice.kind}`),
      ['1 fired', '70 withdrawn'],
    )
    assert.match(told[1]?.notice.headline ?? '', /public\.users: ada acknowledged it and left it as it is/)
  })

  test('that vanish after the acknowledgement are told at once, and alone count as news later', () => {
    const told = toldIn({
      minutes: 60,
      acknowledgeAt: 10,
      checkAt: (minute) => (minute < 30 ? shrunkAt(0) : shrunkAt(0, 30)),
    })
    assert.deepEqual(told, ['1 fired one: critical-table-shrunk', '30 refired one: critical-table-shrunk'])
    const later = toldIn({
      minutes: 400,
      acknowledgeAt: 10,
      checkAt: (minute) => (minute < 300 ? shrunkAt(0) : minute < 350 ? shrunkAt(0, 300) : shrunkAt(0)),
    })
    assert.deepEqual(later, [
      '1 fired one: critical-table-shrunk',
      '70 withdrawn one: critical-table-shrunk',
      '301 fired one: critical-table-shrunk',
      '355 resolved one: critical-table-shrunk',
    ])
  })

  test('are no loss any more for the looks that follow', () => {
    const { states } = noticesIn({ minutes: 80, acknowledgeAt: 10, checkAt: () => shrunkAt(0) }).at(-1) ?? {}
    assert.ok(states)
    const losses = shrunkAt(0, 20).measured?.tables[0]?.losses?.slice() ?? []
    const observation = {
      at: at(80).toISOString(),
      database: 'app',
      nextXid: '1',
      transactionsOpen: false,
      flushLsn: '0/1',
      tables: ['public.users', 'public.films'].map((table) => ({ table, exists: true, rows: 10, losses })),
    }
    const left = withoutMeant(observation, states).tables.map(({ losses: kept = [] }) => kept.length)
    assert.deepEqual(left, [1, 2])
    // The same of what the log tells.
    const deletionsOf = (target: string) =>
      [0, 20].map((minute) => ({
        ...{ kind: 'mass-delete' as const, what: 'x', target, tables: [target], lsn: '0/1', before: 'before-xid:7' },
        seenAt: at(minute).toISOString(),
      }))
    const journal = {
      ...{ readAt: at(80).toISOString(), timeline: 1, lsn: '0/2', resumeLsn: '0/2', habits: {} },
      habitsSince: at(0).toISOString(),
      incidents: ['public.users', 'public.films'].flatMap(deletionsOf),
    }
    const meant = {
      ...states,
      alerts: Object.fromEntries(
        Object.entries(states.alerts).map(([key, one]) => [key, { ...one, rule: 'mass-deletion' }]),
      ),
    }
    assert.deepEqual(
      withoutMeant({ ...observation, journal }, meant).journal?.incidents.map(({ target, seenAt }) => [target, seenAt]),
      [
        ['public.users', at(20).toISOString()],
        ['public.films', at(0).toISOString()],
        ['public.films', at(20).toISOString()],
      ],
    )
    assert.equal(withoutMeant({ ...observation, journal }, states).journal?.incidents.length, 4)
  })
})

describe('looks that come to no report', () => {
  const isBlindAt = (minute: number) => minute >= 10 && minute < 60

  test('are told after ten minutes, and what fires is told on meanwhile', () => {
    const told = toldIn({ minutes: 80, worldAt: (minute) => (minute < 10 ? { table: bad } : {}), isBlindAt })
    assert.deepEqual(told, [
      '3 fired one: critical-table-missing',
      '18 escalated two: critical-table-missing',
      '21 fired one: looking-failed',
      '33 escalated three: critical-table-missing',
      '36 escalated two: looking-failed',
      '48 escalated one: critical-table-missing',
      '51 escalated three: looking-failed',
      '65 resolved one+three+two: critical-table-missing,looking-failed',
    ])
  })

  test('fire nothing else and resolve nothing', () => {
    const told = toldIn({ minutes: 60, worldAt: (minute) => (minute === 9 ? { receiver: bad } : {}), isBlindAt })
    assert.deepEqual(
      told.map((one) => one.split(': ')[1]),
      ['looking-failed', 'looking-failed', 'looking-failed'],
    )
    const acknowledged = toldIn({
      minutes: 80,
      acknowledgeAt: 5,
      worldAt: () => ({ table: bad }),
      isBlindAt: (minute) => minute >= 10,
    })
    assert.ok(acknowledged.includes('65 refired one: critical-table-missing'), acknowledged.join('; '))
  })

  test('as old reports do', () => {
    let states: ClusterAlerts = { alerts: {} }
    const told: string[] = []
    for (let minute = 0; minute < 40; minute += 1) {
      const round = evaluateAlerts({ report: reportOf({}, at(0)), states, policy, quiet: [], now: at(minute) })
      states = round.states
      told.push(...round.outgoing.map(({ notice }) => `${minute} ${notice.alerts[0]?.finding}`))
    }
    assert.equal(told[0], `22 The last look is of ${at(0).toISOString()}.`)
  })
})
