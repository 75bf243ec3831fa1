import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { DAY_MS, type Facts, HOUR_MS, inputOf, NOW, perfect } from '../testing/health-facts.ts'
import { headlineOf } from './headline.ts'
import { backupHistory } from './history.ts'
import type { HealthInput } from './input.ts'
import { compareObjectives, objectiveTargets } from './objectives.ts'
import { recommend } from './recommend.ts'
import { FORMULA_VERSION, parts } from './rules.ts'
import { type Band, scoreHealth } from './score.ts'

const scoreOf = (changes: Partial<Facts> = {}) => scoreHealth(inputOf({ ...perfect, ...changes }))

test('the weights are those of the formula, and the four of the described system are visible', () => {
  const weights = parts.map(({ name, items }) => [name, items.reduce((sum, { weight }) => sum + weight, 0)])
  assert.deepEqual(Object.fromEntries(weights), {
    'proven-recovery': 30,
    freshness: 25,
    success: 15,
    rto: 10,
    copies: 10,
    coverage: 5,
    alerts: 5,
  })
  const items = parts.flatMap((part) => part.items.map(({ name }) => name))
  for (const name of ['success-rate', 'recency', 'pitr-availability', 'retention-adequacy'])
    assert.ok(items.includes(name))
  assert.equal(new Set(items).size, items.length)
  assert.equal(FORMULA_VERSION, 1)
})

test('when everything is as it should be, nothing is lost', () => {
  const score = scoreOf()
  assert.deepEqual([score.value, score.band, score.lost, score.caps, score.formula], [100, 'good', [], [], 1])
})

const none = undefined
const cases: readonly (readonly [what: string, changes: Partial<Facts>, value: number | undefined, band: Band])[] = [
  ['twice the exposure allowed', { exposureMs: 120_000 }, 90, 'good'],
  ['half more than the exposure allowed', { exposureMs: 90_000 }, 95, 'good'],
  ['a backup of 26 hours', { ageMs: 26 * HOUR_MS }, 99, 'good'],
  ['a backup of two days, which was missed', { ageMs: 50 * HOUR_MS, missed: 1 }, 88, 'attention'],
  ['a failed run, not yet late', { lastRun: 'failed' }, 96, 'good'],
  ['no receiver', { receiving: false }, 96, 'good'],
  ['a gap', { openGaps: 1 }, 40, 'at risk'],
  ['the slot lost', { walStatus: 'lost' }, 40, 'at risk'],
  ['a table of the first tier gone', { missing: ['high'] }, 69, 'at risk'],
  ['a table of the second tier gone', { missing: ['medium'] }, 89, 'attention'],
  ['a table of the third tier gone', { missing: ['low'] }, 99, 'good'],
  ['no drill ever', { drill: none }, 60, 'at risk'],
  ['a drill that failed', { drillFailed: true }, 50, 'at risk'],
  ['a drill twice as old as it may be', { drill: { ...perfect.drill!, ageMs: 72 * DAY_MS } }, 79, 'attention'],
  ['a recovery that takes twice the target', { drill: { ...perfect.drill!, rtoMs: 16 * HOUR_MS } }, 90, 'good'],
  ['a kit that was never tried', { kitAgeMs: none }, 70, 'attention'],
  ['one copy in one place', { lacks: 3 }, 96, 'good'],
  ['nothing that can be restored', { usable: 0 }, 0, 'at risk'],
  ['the repository gone', { repository: 'failed' }, 30, 'at risk'],
  ['the database down', { unknown: ['exposure', 'slot', 'critical-tables', 'configuration'] }, 40, 'at risk'],
  ['tables that nobody could look at', { unknown: ['critical-tables'] }, 69, 'at risk'],
  ['a repository of which nothing is known', { repository: 'unknown' }, none, 'unknown'],
  ['a listing that does not end', { unknown: ['backup'] }, none, 'unknown'],
]

for (const [what, changes, value, band] of cases) {
  test(`score: ${what}`, () => {
    const score = scoreOf(changes)
    assert.deepEqual([score.value, score.band], [value, band], JSON.stringify(score.lost))
  })
}

test('results older than two intervals are no results', () => {
  const input = inputOf(perfect)
  const later = (ms: number) => scoreHealth({ ...input, now: new Date(NOW.getTime() + ms) })
  assert.equal(later(600_000).value, 100)
  const stale = later(600_001)
  assert.deepEqual([stale.value, stale.band], [undefined, 'unknown'])
  assert.match(stale.unknownBecause ?? '', /too long ago/)
  assert.equal(scoreHealth({ ...input, checks: [] }).value, undefined)
})

test('recommendations: what binds first, each fix once, and what costs nothing last', () => {
  const input = inputOf({ ...perfect, drill: undefined, lacks: 3 })
  const [disk] = input.checks.filter(({ name }) => name === 'disk')
  const full = { ...disk!, state: 'failed' as const, severity: 'danger' as const, finding: 'full', fix: 'more space' }
  const checks = [...input.checks.filter(({ name }) => name !== 'disk'), full]
  const found = recommend(scoreHealth({ ...input, checks }), checks)
  assert.equal(found[0]?.liftsCap, 60)
  assert.equal(new Set(found.map(({ fix }) => fix)).size, found.length)
  assert.deepEqual(found.at(-1), { points: 0, lost: 0, reason: 'full', fix: 'more space' })
})

test('a fix promises no more than it wins', () => {
  const proofOf = (facts: Partial<Facts>) => {
    const { lost, value } = scoreOf({ drill: undefined, ...facts })
    const found = lost.find(({ item }) => item === 'proof')
    return [found?.points, found?.winnable, found?.fix.split(' ', 4).join(' '), value]
  }
  assert.deepEqual(proofOf({ deepAgeMs: 20 * DAY_MS }), [27, 6, 'retake verify --deep', 60])
  assert.deepEqual(proofOf({}), [21, 9, 'retake keys escrow-test --full', 60])
  assert.deepEqual(proofOf({ kitDepth: 'full' }), [12, 0, 'fix drill', 60])
  const { lost } = scoreOf({ drill: undefined, alertAgeMs: undefined })
  for (const item of ['rto', 'alert-path']) assert.equal(lost.find((one) => one.item === item)?.winnable, 0)
  for (const { points, winnable } of lost) assert.ok(winnable <= points)
})

test('the alert path: its points are lost with the reason and the fix that the sender tells, and won by a proof', () => {
  const lostOf = (alertPath: HealthInput['alertPath']) =>
    scoreHealth({ ...inputOf(perfect), alertPath }).lost.find(({ item }) => item === 'alert-path')
  const problem = { reason: 'Nobody has confirmed it.', fix: 'retake alerts canary mail' }
  const lost = lostOf({ problem })
  assert.deepEqual([lost?.points, lost?.winnable, lost?.reason, lost?.fix], [5, 5, problem.reason, problem.fix])
  assert.equal(lostOf({})?.points, 5)
  assert.equal(lostOf({ provenAt: NOW.toISOString() }), undefined)
  assert.equal(lostOf({ provenAt: NOW.toISOString(), problem })?.points, 5)
  assert.match(
    lostOf({ provenAt: new Date(NOW.getTime() - 10 * DAY_MS).toISOString() })?.fix ?? '',
    /^retake alerts canary/,
  )
})

test('objectives: met, missed, and unknown where nothing was measured', () => {
  const targets = objectiveTargets({})
  const states = (facts: Partial<Facts>) =>
    Object.fromEntries(
      compareObjectives(inputOf({ ...perfect, ...facts }), targets).map(({ name, state }) => [name, state]),
    )
  assert.deepEqual(states({ drill: { ageMs: 1, depth: 4, rtoMs: 5 * HOUR_MS }, exposureMs: 61_000 }), {
    'rto-critical': 'missed',
    'rto-application': 'met',
    'rto-data': 'met',
    'rpo-point-in-time': 'missed',
    'rpo-backup': 'met',
    'rpo-acceptable': 'met',
  })
  const none = states({ drill: undefined, unknown: ['exposure', 'backup'] })
  assert.deepEqual(new Set(Object.values(none)), new Set(['unknown']))
  assert.equal(objectiveTargets({ rtoCriticalHours: 1 }).rtoCriticalMs, HOUR_MS)
})

test('the headline leaves out what is not known', () => {
  const known = headlineOf(inputOf({ ...perfect, missed: 1 }))
  assert.deepEqual([known.recoverable.share, known.runs.share, known.drills.lastOutcome], [1, 1 - 1 / 7, 'passed'])
  const { recoverable, sinceLastSuccess, completion } = headlineOf(inputOf({ ...perfect, unknown: ['wal', 'backup'] }))
  assert.deepEqual([recoverable.share, sinceLastSuccess, completion.lastMs], [undefined, {}, undefined])
})

const daily = (days: readonly number[]) =>
  days.map((day) => ({ stoppedAt: new Date(NOW.getTime() - day * DAY_MS).toISOString() }))

test('history: slots, not attempts; pruned backups are no missed ones', () => {
  const of = (days: readonly number[], heldDays = 7) => {
    const found = backupHistory(daily(days), { now: NOW, heldDays })
    return found && [found.slots, found.missed]
  }
  const isLate = (days: readonly number[]) => backupHistory(daily(days), { now: NOW, heldDays: 7 })?.isLate
  assert.deepEqual([isLate([3.5, 2.5, 0.5]), isLate([1.1])], [false, true])
  assert.deepEqual(of([]), undefined)
  assert.deepEqual(of([0.01]), [1, 0])
  assert.deepEqual(of([6.5, 5.5, 4.5, 3.5, 2.5, 1.5, 0.5]), [7, 0])
  assert.deepEqual(of([2.5, 2.4, 1.46, 0.5]), [3, 0], 'a few minutes late, and one more than was due')
  assert.deepEqual(of([3.5, 2.5, 0.5]), [4, 1], 'one did not come')
  assert.deepEqual(of([1.1]), [2, 1], 'late now')
  assert.deepEqual(
    of([28, 21, 14, 6.5, 5.5, 4.5, 3.5, 2.5, 1.5, 0.5]),
    [8, 0],
    'weekly ones before the days that are kept whole',
  )
  assert.deepEqual(of([28]), [8, 6], 'nothing for weeks')
})

test('what Supabase itself holds wins nothing, loses nothing and lifts no cap', () => {
  for (const changes of [{}, { usable: 0, backups: 0 }, { openGaps: 1 }] satisfies Partial<Facts>[]) {
    const input = inputOf({ ...perfect, ...changes })
    const without = { ...input, checks: input.checks.filter(({ name }) => name !== 'native-backups') }
    assert.notEqual(without.checks.length, input.checks.length)
    assert.deepEqual(scoreHealth(input), scoreHealth(without))
  }
})

test('the score loads nothing of the engine, so that it runs where the engine cannot', () => {
  const directory = import.meta.dirname
  const files = [
    ...readdirSync(directory).filter((name) => name.endsWith('.ts') && !name.includes('.test.')),
    '../checks/result.ts',
  ]
  const loads = files.flatMap((name) =>
    [
      ...readFileSync(join(directory, name), 'utf8').matchAll(
        /^(?:import|export) (?!type)[^\n]*from '(\.\.\/\.\.\/[^']+)'/gm,
      ),
    ].map(([, target]) => `${name} -> ${target}`),
  )
  assert.deepEqual(loads, [])
})
