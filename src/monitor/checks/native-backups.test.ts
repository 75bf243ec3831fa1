import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type NativeState, unknownNativeState } from '../../supabase/native/state.ts'
import { judgeNativeBackups } from './native-backups.ts'

const NOW = new Date('2026-11-22T12:00:00.000Z')
const HOUR_MS = 3_600_000

const pitr: NativeState = {
  project: 'abcdefghijklmnopqrst',
  at: NOW.toISOString(),
  projectStatus: 'ACTIVE_HEALTHY',
  mode: 'pitr',
  backups: [],
  window: { granularity: 'second', earliest: '2026-11-15T12:00:00.000Z', latest: '2026-11-22T11:58:00.000Z' },
  ageMs: 120_000,
  retentionDays: 7,
}

describe("Supabase's own backups", () => {
  test('good: who covers what is said, and a missing backup of our own is not made good', () => {
    const both = judgeNativeBackups(pitr, 3)
    assert.equal(both.state, 'passed')
    assert.match(both.finding, /Retake holds 3 backups of its own/)
    assert.deepEqual(
      [both.measured?.coveredBy, both.measured?.pitr, both.measured?.from, both.measured?.retentionDays],
      ['both', true, '2026-11-15T12:00:00.000Z', 7],
    )
    const alone = judgeNativeBackups(pitr, 0)
    assert.match(alone.finding, /only Supabase can restore this project, in place/)
    assert.equal(alone.measured?.coveredBy, 'supabase')
    const dark = judgeNativeBackups(pitr, undefined)
    assert.match(dark.finding, /What Retake itself holds is not known/)
    assert.equal(dark.measured?.coveredBy, 'unknown')
  })

  test('bad: a warning, because what Retake holds does not depend on it', () => {
    const { window: _window, ageMs: _age, ...rest } = pitr
    const none: NativeState = { ...rest, mode: 'none' }
    const found = judgeNativeBackups(none, 1)
    assert.deepEqual([found.state, found.severity, found.measured?.coveredBy], ['failed', 'warning', 'retake'])
    assert.ok(found.fix)
    assert.equal(judgeNativeBackups(none, 0).measured?.coveredBy, 'nobody')
    const lag = { kind: 'waiting', segments: 3 } as const
    const stuck = judgeNativeBackups({ ...pitr, ageMs: 5 * HOUR_MS, lag }, 1)
    assert.deepEqual([stuck.state, stuck.severity, stuck.measured?.ageMs], ['failed', 'warning', 5 * HOUR_MS])
  })

  test('unknown: with the reason, its code and the fix; nothing is measured', () => {
    const why = { unknown: 'There is no management token.', code: 'supabase.denied', fix: 'Set it.' } as const
    const found = judgeNativeBackups(unknownNativeState(why, { ref: pitr.project, now: NOW }), 1)
    assert.deepEqual(
      [found.state, found.code, found.fix, found.measured],
      ['unknown', 'supabase.denied', 'Set it.', undefined],
    )
    assert.match(found.finding, /no management token/)
    const restoring = judgeNativeBackups({ ...pitr, projectStatus: 'RESTORING' }, 1)
    assert.deepEqual([restoring.state, restoring.measured?.projectStatus], ['unknown', 'RESTORING'])
  })
})
