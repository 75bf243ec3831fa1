import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Measurements } from '../checks/measurements.ts'
import type { HealthCheckResult } from '../checks/result.ts'
import { aftermathLines } from './aftermath.ts'
import { reportOf } from './testing/reports.ts'

const NOW = new Date('2026-11-23T12:00:00Z')
const at = (time: string) => `2026-11-23T${time}:00.000Z`

function linesOf(checks: readonly HealthCheckResult[], since = at('09:00')): string[] {
  const report = reportOf({}, NOW)
  const names = new Set(checks.map(({ name }) => name))
  return aftermathLines({
    since,
    report: { ...report, checks: [...report.checks.filter(({ name }) => !names.has(name)), ...checks] },
  })
}

const common = { title: 'x', at: NOW.toISOString(), durationMs: 1, finding: 'x' }

const wal = (stretches: readonly (readonly [string, string])[], windows = 1): HealthCheckResult<'wal'> => ({
  ...common,
  name: 'wal',
  state: 'passed',
  measured: {
    windows,
    openGaps: 0,
    pastGaps: 0,
    damagedObjects: 0,
    observedMs: 1,
    stretches: stretches.map(([from, to]) => ({ from: at(from), to: at(to) })),
  },
})

const schedules = (measured: Partial<Measurements['schedules']>): HealthCheckResult<'schedules'> => ({
  ...common,
  name: 'schedules',
  state: 'passed',
  measured: { missed: [], missedRuns: [], unknown: [], ...measured },
})

describe('the moments of a time that is over', () => {
  const gap = (one: HealthCheckResult) => linesOf([one])

  test('without a gap, up to the last one that is held', () => {
    const expected = [`No gap: every moment from ${at('09:00')} to ${at('11:59')} can be restored.`]
    assert.deepEqual(gap(wal([['01:00', '11:59']])), expected)
    assert.deepEqual(
      gap(
        wal([
          ['01:00', '08:00'],
          ['09:00', '11:59'],
        ]),
      ),
      expected,
    )
  })

  test('with one that stays', () => {
    assert.deepEqual(
      gap(
        wal([
          ['01:00', '09:02'],
          ['09:41', '11:59'],
        ]),
      ),
      [`A gap stays: no moment can be restored from ${at('09:02')} to ${at('09:41')}.`],
    )
    assert.deepEqual(
      gap(
        wal([
          ['09:30', '10:00'],
          ['10:10', '11:59'],
        ]),
      ),
      [
        `A gap stays: no moment can be restored from ${at('09:00')} to ${at('09:30')}; ${at('10:00')} to ${at('10:10')}.`,
      ],
    )
  })

  test('of which nothing is certain', () => {
    assert.deepEqual(gap(wal([['01:00', '08:00']])), [
      `The last moment that can be restored for certain is ${at('08:00')}.`,
    ])
    assert.deepEqual(gap(wal([])), ['Whether the moments of that time can be restored is not known.'])
    assert.deepEqual(gap({ ...common, name: 'wal', state: 'unknown' }), [
      'Whether the moments of that time can be restored is not known.',
    ])
    assert.deepEqual(gap(wal([], 0)), ['No moment at all can be restored.'])
    assert.deepEqual(
      aftermathLines({ since: at('09:00'), report: { cluster: 'main', failed: { finding: '', fix: '' } } }),
      [],
    )
  })
})

describe('the runs of a time that is over', () => {
  const runs = (one: HealthCheckResult) => linesOf([one, wal([['01:00', '11:59']])]).slice(0, -1)
  const run = (time: string, schedule = 'nightly') =>
    ({ schedule, task: 'backup', outcome: 'missed', at: at(time) }) as const

  test('those that did not come since then', () => {
    assert.deepEqual(runs(schedules({ missedRuns: [run('08:59'), run('09:00'), run('10:00', 'hourly')] })), [
      `Runs missed meanwhile: nightly, due at ${at('09:00')} (missed); hourly, due at ${at('10:00')} (missed).`,
    ])
    const many = Array.from({ length: 7 }, () => run('10:00'))
    assert.match(runs(schedules({ missedRuns: many }))[0] ?? '', /; and 2 more\.$/)
  })

  test('none, and those of which nothing is known', () => {
    assert.deepEqual(runs(schedules({ missedRuns: [run('08:00')] })), ['No run was missed meanwhile.'])
    assert.deepEqual(runs(schedules({ unknown: ['weekly'] })), [
      'No run was missed meanwhile. Of these schedules it is not known: weekly.',
    ])
    assert.deepEqual(runs({ ...common, name: 'schedules', state: 'unknown' }), [
      'Whether runs were missed meanwhile is not known.',
    ])
    assert.deepEqual(runs({ ...common, name: 'schedules', state: 'skipped' }), [])
  })
})
