/** What people write into the file of the server, and what becomes of it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isRetakeError } from '../../base/errors.ts'
import { evaluateAlerts } from './evaluate.ts'
import { openMaintenance } from './maintenance.ts'
import { policyOf, readAlertPolicy } from './read-policy.ts'
import type { ClusterAlerts } from './state.ts'
import { bad, reportOf, type World } from './testing/reports.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const known = { channels: ['mail', 'chat', 'pager'], clusters: ['main', 'test'] }
const read = (value: unknown) => readAlertPolicy(value, known)

function assertRefused(value: unknown, problem: RegExp): void {
  assert.throws(
    () => read(value),
    (error) => isRetakeError(error, 'config.invalid') && problem.test(error.message),
  )
}

describe('the file', () => {
  test('without a word: every channel at once, and everybody', () => {
    const { policy, maintenance, successes } = read(undefined)
    assert.deepEqual(policy.levels, [{ channels: known.channels, afterMs: 0 }])
    assert.deepEqual([policy.everybody, policy.routes, maintenance, successes], [known.channels, [], [], []])
  })

  test('names that nobody knows are refused: nobody would be told', () => {
    assertRefused({ levels: [{ channels: ['post'] }] }, /^alerts: there is no channel "post"/)
    assertRefused({ everybody: ['post'] }, /no channel "post"/)
    assertRefused({ successes: ['post'] }, /^alerts\.successes: there is no channel/)
    assertRefused({ routes: [{ channels: ['post'] }] }, /no channel "post"/)
    assertRefused({ routes: [{ rules: ['x'], channels: ['mail'] }] }, /^alerts\.routes: there is no rule "x"/)
    assertRefused({ rules: { x: {} } }, /^alerts\.rules: there is no rule "x"/)
    assertRefused({ clusters: { prod: {} } }, /^alerts\.clusters: there is no cluster "prod"/)
    assertRefused({ clusters: { main: { rules: { x: {} } } } }, /^alerts\.clusters\.main\.rules: there is no rule "x"/)
    assertRefused(
      { clusters: { main: { everybody: ['post'] } } },
      /^alerts\.clusters\.main: there is no channel "post"/,
    )
    const window = { cron: '0 3 * * sun', minutes: 60, reason: 'restart' }
    assertRefused({ maintenance: [{ ...window, clusters: ['prod'] }] }, /maintenance\.0\.clusters: there is no cluster/)
    assertRefused({ maintenance: [{ ...window, rules: ['x'] }] }, /maintenance\.0\.rules: there is no rule "x"/)
    assertRefused({ maintenance: [{ ...window, cron: '0 3 * *' }] }, /maintenance\.0\.cron: it needs five fields/)
    assertRefused({ maintenance: [{ ...window, zone: '+01:00' }] }, /IANA/)
    assertRefused(
      {
        levels: [
          { channels: ['mail'], afterMinutes: 5 },
          { channels: ['chat'], afterMinutes: 1 },
        ],
      },
      /later/,
    )
  })

  test('what is said of a cluster takes the place of what is more general, and nothing else', () => {
    const all = read({
      levels: [{ channels: ['mail'] }, { channels: ['pager'] }],
      acknowledgedForMinutes: 30,
      rules: { 'backup-late': { forMinutes: 30, severity: 'warning' }, 'clock-skew': { enabled: false } },
      clusters: { test: { levels: [{ channels: ['chat'] }], rules: { 'backup-late': { forMinutes: 60 } } } },
    })
    const [main, own] = [policyOf(all, 'main'), policyOf(all, 'test')]
    assert.deepEqual(
      main.levels.map(({ channels }) => channels),
      [['mail'], ['pager']],
    )
    assert.deepEqual(own.levels, [{ channels: ['chat'], afterMs: 0 }])
    assert.deepEqual(main.rules['backup-late'], { severity: 'warning', forMs: 30 * MINUTE_MS })
    assert.deepEqual(own.rules['backup-late'], { severity: 'warning', forMs: HOUR_MS })
    assert.deepEqual(own.rules['clock-skew'], { enabled: false })
    assert.deepEqual([own.acknowledgedForMs, own.everybody], [30 * MINUTE_MS, known.channels])
  })
})

describe('routes', () => {
  const start = Date.parse('2026-11-23T00:00:00Z')
  const toldIn = (alerts: unknown, { minutes, world }: { minutes: number; world: World }) => {
    const policy = policyOf(read(alerts), 'main')
    let states: ClusterAlerts = { alerts: {} }
    const told: string[] = []
    for (let minute = 0; minute < minutes; minute += 1) {
      const now = new Date(start + minute * MINUTE_MS)
      const round = evaluateAlerts({ report: reportOf(world, now), states, policy, quiet: [], now })
      states = round.states
      told.push(
        ...round.outgoing.map(
          ({ notice, channels }) => `${notice.kind} ${notice.alerts.map(({ rule }) => rule)}: ${channels.join('+')}`,
        ),
      )
    }
    return told
  }
  const levels = [{ channels: ['mail'] }, { channels: ['pager'] }]
  const world = { receiver: bad, table: bad } as const

  test('the first that fits takes the place of the first level, and the levels above stay', () => {
    const routes = [{ severities: ['warning'], channels: ['chat'] }]
    assert.deepEqual(toldIn({ levels, routes }, { minutes: 20, world }), [
      'fired critical-table-missing: mail',
      'fired receiver-down: chat',
      'escalated critical-table-missing: pager',
    ])
    const byRule = [
      { rules: ['critical-table-missing'], channels: ['chat'] },
      { severities: ['critical'], channels: ['mail', 'chat'] },
    ]
    assert.deepEqual(toldIn({ levels, routes: byRule }, { minutes: 50, world: { table: bad } }), [
      'fired critical-table-missing: chat',
      'escalated critical-table-missing: pager',
      'escalated critical-table-missing: chat',
      'escalated critical-table-missing: pager',
    ])
  })

  test('reminders may go elsewhere; the end is told there as well', () => {
    const routes = [{ kinds: ['reminder'], channels: ['chat'] }]
    const told = toldIn({ levels, routes }, { minutes: 1460, world: { receiver: bad } })
    assert.deepEqual(told, ['fired receiver-down: mail', 'reminder receiver-down: chat'])
  })

  test('of what is only recorded, somebody is told where a route names it', () => {
    const rules = { 'receiver-down': { severity: 'info' } }
    assert.deepEqual(toldIn({ levels, rules }, { minutes: 20, world: { receiver: bad } }), [])
    const routes = [{ severities: ['info'], channels: ['chat'] }]
    assert.deepEqual(toldIn({ levels, rules, routes }, { minutes: 20, world: { receiver: bad } }), [
      'fired receiver-down: chat',
    ])
  })
})

describe('maintenance that comes again and again', () => {
  const openAt = (instant: string, window: object, cluster = 'main') => {
    const { maintenance } = read({ maintenance: [{ reason: 'restart', ...window }] })
    return openMaintenance(maintenance, { cluster, now: new Date(instant) }).map(
      ({ from, until }) => `${from.toISOString().slice(11, 16)}-${until.toISOString().slice(11, 16)}`,
    )
  }
  const berlin = { cron: '30 2 * * sun', zone: 'Europe/Berlin', minutes: 60 }

  test('begins at its minute and ends with it', () => {
    assert.deepEqual(openAt('2026-11-22T01:29:59.999Z', berlin), [])
    assert.deepEqual(openAt('2026-11-22T01:30:00.000Z', berlin), ['01:30-02:30'])
    assert.deepEqual(openAt('2026-11-22T02:29:59.999Z', berlin), ['01:30-02:30'])
    assert.deepEqual(openAt('2026-11-22T02:30:00.000Z', berlin), [])
    assert.deepEqual(openAt('2026-11-23T01:45:00.000Z', berlin), [])
  })

  test('when clocks are changed: a time that is skipped comes right after, one that comes twice the first time', () => {
    assert.deepEqual(openAt('2026-03-29T01:10:00Z', berlin), ['01:00-02:00'])
    assert.deepEqual(openAt('2026-10-25T00:40:00Z', berlin), ['00:30-01:30'])
    assert.deepEqual(openAt('2026-10-25T01:40:00Z', berlin), [])
  })

  test('is of the clusters that it names', () => {
    const named = { ...berlin, clusters: ['test'] }
    assert.deepEqual(openAt('2026-11-22T02:00:00Z', named), [])
    assert.deepEqual(openAt('2026-11-22T02:00:00Z', named, 'test'), ['01:30-02:30'])
  })
})
