import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalJson, hashPlan, type RestorePlan, readPlan, sealPlan, type UnhashedPlan } from './plan-types.ts'

const draft = {
  schemaVersion: 1,
  created: '2026-11-22T09:00:00.000Z',
  warnings: [],
  target: { asked: 'latest', timeline: 1, path: [] },
} as unknown as UnhashedPlan

test('a plan survives JSON, in any order of keys', () => {
  const plan = sealPlan(draft)
  const shuffled = Object.fromEntries(Object.entries(JSON.parse(JSON.stringify(plan)) as RestorePlan).reverse())
  assert.equal(readPlan(shuffled).hash, plan.hash)
})

test('a plan that was edited, or is none, is refused', () => {
  const plan = sealPlan(draft)
  for (const value of [
    { ...plan, warnings: ['x'] },
    { ...plan, hash: hashPlan(draft).replace(/^./, 'z') },
    { ...plan, schemaVersion: 2 },
    { ...plan, extra: 1 },
    null,
    'plan',
    {},
  ]) {
    assert.throws(() => readPlan(value), { code: 'plan.stale' })
  }
})

test('property: canonical JSON means the same and does not depend on the order of keys', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      assert.deepEqual(JSON.parse(canonicalJson(value)), JSON.parse(JSON.stringify(value)))
      assert.equal(canonicalJson(JSON.parse(canonicalJson(value))), canonicalJson(value))
    }),
  )
})
