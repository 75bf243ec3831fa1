import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { HealthCheckName } from '../checks/result.ts'
import { DAY_MS, type Facts, HOUR_MS, inputOf } from '../testing/health-facts.ts'
import { type HealthScore, scoreHealth } from './score.ts'

const NAMES = [
  'connectivity',
  'repository',
  'backup',
  'wal',
  'exposure',
  'slot',
  'critical-tables',
  'verification',
  'drill',
  'retention',
  'keys',
  'mirrors',
  'configuration',
] as const satisfies readonly HealthCheckName[]

const ms = (max: number) => fc.integer({ min: 0, max })
const facts: fc.Arbitrary<Facts> = fc.record({
  repository: fc.constantFrom('passed' as const, 'passed' as const, 'passed' as const, 'failed' as const),
  backups: fc.constant(7),
  usable: fc.constantFrom(7, 7, 7, 1, 0),
  ageMs: ms(60 * HOUR_MS),
  durationMs: ms(2 * HOUR_MS),
  lastRun: fc.constantFrom('succeeded' as const, 'failed' as const),
  exposureMs: fc.option(ms(200_000), { nil: undefined }),
  openGaps: fc.constantFrom(0, 0, 0, 1),
  recoverableShare: fc.double({ min: 0.99, max: 1, noNaN: true }),
  slotExists: fc.constantFrom(true, true, false),
  walStatus: fc.constantFrom('reserved', 'reserved', 'unreserved', 'lost'),
  receiving: fc.boolean(),
  missing: fc.array(fc.constantFrom('high' as const, 'medium' as const, 'low' as const), { maxLength: 2 }),
  tablesExpected: fc.boolean(),
  quickAgeMs: ms(20 * DAY_MS),
  deepAgeMs: ms(20 * DAY_MS),
  damaged: fc.constantFrom(false, false, true),
  drill: fc.option(
    fc.record({ ageMs: ms(90 * DAY_MS), depth: fc.integer({ min: 0, max: 5 }), rtoMs: ms(24 * HOUR_MS) }),
    { nil: undefined },
  ),
  drillFailed: fc.constantFrom(false, false, true),
  retentionDays: fc.integer({ min: 0, max: 30 }),
  kept: fc.boolean(),
  kits: fc.constantFrom(0, 1, 1),
  kitAgeMs: fc.option(ms(400 * DAY_MS), { nil: undefined }),
  kitDepth: fc.constantFrom('sample' as const, 'full' as const),
  lacks: fc.integer({ min: 0, max: 3 }),
  copiesFailed: fc.boolean(),
  outside: fc.boolean(),
  slots: fc.integer({ min: 1, max: 5000 }),
  isLate: fc.boolean(),
  missed: fc.integer({ min: 0, max: 5 }),
  alertAgeMs: fc.option(ms(20 * DAY_MS), { nil: undefined }),
  unknown: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.uniqueArray(fc.constantFrom(...NAMES), { maxLength: 3 }) },
  ),
})

/** No number is worse than any. */
const rank = ({ value }: HealthScore) => value ?? -1
const scoreOf = (one: Facts) => scoreHealth(inputOf(one))

/** Each makes one thing worse, by how much is chosen; or leaves it where it cannot be worse. */
const worse: readonly (readonly [what: string, change: (facts: Facts, by: number) => Facts])[] = [
  ['more would be lost', (f, by) => ({ ...f, exposureMs: f.exposureMs === undefined ? undefined : f.exposureMs + by })],
  ['nobody knows how much would be lost', (f) => ({ ...f, exposureMs: undefined })],
  ['an older backup', (f, by) => ({ ...f, ageMs: f.ageMs + by })],
  ['a slower backup', (f, by) => ({ ...f, durationMs: f.durationMs + by })],
  ['no backup can be restored', (f) => ({ ...f, usable: 0 })],
  ['a missed backup', (f) => ({ ...f, missed: f.missed + 1 })],
  ['a failed run', (f) => ({ ...f, lastRun: 'failed' })],
  [
    'a failed run that was not made up for in time',
    (f) => ({ ...f, lastRun: 'failed', missed: f.missed + 1, isLate: true }),
  ],
  ['fewer minutes', (f, by) => ({ ...f, recoverableShare: f.recoverableShare * (1 - by / 1e12) })],
  ['a gap', (f) => ({ ...f, openGaps: f.openGaps + 1 })],
  ['the slot lost', (f) => ({ ...f, walStatus: 'lost' })],
  ['the slot gone', (f) => ({ ...f, slotExists: false })],
  ['no receiver', (f) => ({ ...f, receiving: false })],
  ['a table gone', (f) => ({ ...f, missing: [...f.missing, 'high'] })],
  ['another low table gone', (f) => ({ ...f, missing: [...f.missing, 'low'] })],
  ['nobody names tables', (f) => (f.missing.length === 0 ? { ...f, tablesExpected: false } : f)],
  ['an older verification', (f, by) => ({ ...f, quickAgeMs: f.quickAgeMs + by, deepAgeMs: f.deepAgeMs + by })],
  ['an older drill', (f, by) => ({ ...f, drill: f.drill && { ...f.drill, ageMs: f.drill.ageMs + by } })],
  ['a slower drill', (f, by) => ({ ...f, drill: f.drill && { ...f.drill, rtoMs: f.drill.rtoMs + by } })],
  ['a shallower drill', (f) => ({ ...f, drill: f.drill && { ...f.drill, depth: Math.max(0, f.drill.depth - 1) } })],
  ['damage that was found', (f) => ({ ...f, damaged: true })],
  ['a failed drill', (f) => ({ ...f, drillFailed: true })],
  ['never drilled', (f) => (f.drillFailed ? f : { ...f, drill: undefined })],
  ['shorter retention', (f) => ({ ...f, retentionDays: Math.max(0, f.retentionDays - 1) })],
  ['a promise not kept', (f) => ({ ...f, kept: false })],
  ['no kit', (f) => ({ ...f, kits: 0, kitDepth: 'sample' })],
  [
    'an older trial of the kit',
    (f, by) => ({ ...f, kitAgeMs: f.kitAgeMs === undefined ? undefined : f.kitAgeMs + by }),
  ],
  ['a kit never tried', (f) => ({ ...f, kitAgeMs: undefined })],
  ['a copy less', (f) => ({ ...f, lacks: Math.min(3, f.lacks + 1) })],
  ['a copy behind', (f) => ({ ...f, copiesFailed: true })],
  ['files outside', (f) => ({ ...f, outside: true })],
  ['an older canary', (f, by) => ({ ...f, alertAgeMs: f.alertAgeMs === undefined ? undefined : f.alertAgeMs + by })],
  ['no canary', (f) => ({ ...f, alertAgeMs: undefined })],
]

describe('the score', () => {
  for (const [what, change] of worse) {
    test(`is not raised by what is worse: ${what}`, () => {
      fc.assert(
        fc.property(facts, ms(40 * DAY_MS), (one, by) => {
          assert.ok(rank(scoreOf(change(one, by))) <= rank(scoreOf(one)))
        }),
      )
    })
  }

  test('is not raised by knowing less', () => {
    fc.assert(
      fc.property(facts, fc.constantFrom(...NAMES), (one, name) => {
        // That the repository is gone is known; that nothing is known of it is not the same, and no number is worse.
        assert.ok(rank(scoreOf({ ...one, unknown: [...one.unknown, name] })) <= rank(scoreOf(one)))
      }),
    )
  })

  test('is not above its caps', () => {
    fc.assert(
      fc.property(facts, (one) => {
        const { value, caps } = scoreOf(one)
        if (value === undefined) return
        const knows = (...names: HealthCheckName[]) => !names.some((name) => one.unknown.includes(name))
        const atMost = (limit: number, name: string) => {
          assert.ok(value <= limit, `${name}: ${value}`)
          assert.ok(caps.some((cap) => cap.name === name && cap.limit === limit && cap.reason && cap.fix))
        }
        if (one.repository === 'failed') return atMost(30, 'repository-unreachable')
        if (one.usable === 0) atMost(0, 'no-restorable-backup')
        if (one.openGaps > 0 || !knows('wal')) atMost(40, 'wal-gap')
        if (!knows('slot') || !one.slotExists || one.walStatus === 'lost') atMost(40, 'wal-gap')
        if (one.drillFailed || !knows('drill')) atMost(50, 'last-drill-failed')
        else if (!one.drill) atMost(60, 'never-drilled')
        if (one.damaged || !knows('verification')) atMost(50, 'damage-found')
        if (one.kits === 0 || one.kitAgeMs === undefined || !knows('keys')) atMost(70, 'key-not-escrow-tested')
        const isMissing = one.tablesExpected && one.missing.includes('high')
        if (isMissing || !knows('critical-tables')) atMost(69, 'critical-table-missing')
      }),
    )
  })

  test('and what is lost come to 100, and every lost point has a reason and a fix', () => {
    fc.assert(
      fc.property(facts, (one) => {
        const score = scoreOf(one)
        const lost = score.lost.reduce((sum, { points }) => sum + points, 0)
        assert.ok(Math.abs(score.points + lost - 100) <= 2, `${score.points} and ${lost}: tenths are cut off`)
        for (const { points, reason, fix } of score.lost) assert.ok(points >= 0 && reason !== '' && fix !== '')
        for (const part of score.parts) {
          assert.ok(part.points >= 0 && part.points <= part.weight)
          for (const item of part.items) {
            assert.ok(item.points >= 0 && item.points <= item.weight)
            if (item.isUnknown) assert.equal(item.points, 0)
          }
        }
        assert.ok(
          score.value === undefined || (Number.isInteger(score.value) && score.value >= 0 && score.value <= 100),
        )
        assert.equal(score.value === undefined, score.unknownBecause !== undefined)
        assert.equal(score.value === undefined, score.band === 'unknown')
      }),
    )
  })
})
