import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RecoveryProcedures } from '../../supabase/procedures.ts'
import type { HealthCheckName, HealthCheckState } from '../checks/result.ts'
import { scoreHealth } from '../health/score.ts'
import { type Facts, inputOf, perfect } from '../testing/health-facts.ts'
import { checklistOf } from './checklist.ts'

function entriesOf(facts: Partial<Facts> = {}, states: Partial<Record<HealthCheckName, HealthCheckState>> = {}) {
  const input = inputOf({ ...perfect, ...facts })
  const checks = input.checks.map((check) => ({ ...check, state: states[check.name] ?? check.state }))
  return checklistOf({ at: '2026-11-23T12:00:00.000Z', checks, score: scoreHealth(input) })
}

const statesOf = (...given: Parameters<typeof entriesOf>) =>
  entriesOf(...given)
    .slice(0, 4)
    .map(({ state }) => state)

test('has the ten points of the procedure, and says of each what it rests on or who looks', () => {
  const entries = entriesOf()
  assert.deepEqual(
    entries.map(({ number, text }) => ({ number, text })),
    RecoveryProcedures.getTestingChecklist(),
  )
  for (const { state, finding } of entries.slice(4)) assert.ok(state === 'not-verifiable' && finding !== '')
})

test('four are answered by what is measured', () => {
  assert.deepEqual(statesOf(), ['passed', 'passed', 'passed', 'passed'])
  assert.deepEqual(statesOf({ alertAgeMs: undefined }), ['unknown', 'passed', 'passed', 'passed'])
  assert.deepEqual(statesOf({ drill: undefined }), ['passed', 'skipped', 'passed', 'passed'])
  assert.deepEqual(statesOf({ drillFailed: true }), ['passed', 'failed', 'passed', 'passed'])
  assert.deepEqual(statesOf({ damaged: true }), ['passed', 'passed', 'failed', 'failed'])
  assert.deepEqual(statesOf({ unknown: ['keys'] }), ['passed', 'passed', 'passed', 'unknown'])
  assert.deepEqual(statesOf({ unknown: ['critical-tables'], damaged: true })[2], 'failed')
})

test('copies count where there are some', () => {
  assert.deepEqual(statesOf({}, { mirrors: 'skipped' })[3], 'passed')
  assert.deepEqual(statesOf({}, { mirrors: 'failed' })[3], 'failed')
  const [, , , accessible] = entriesOf({}, { mirrors: 'skipped' })
  assert.deepEqual(accessible?.evidence, ['repository', 'verification', 'keys'])
})

test('a notice that fails on its way is told with the next step', () => {
  const input = { ...inputOf(perfect), alertPath: { problem: { reason: 'Nobody is told.', fix: 'add a channel' } } }
  const [first] = checklistOf({ at: '2026-11-23T12:00:00.000Z', checks: input.checks, score: scoreHealth(input) })
  assert.deepEqual([first?.state, first?.finding, first?.fix], ['failed', 'Nobody is told.', 'add a channel'])
})
