import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backupEvidence, drillEvidence, pruneEvidence, verificationEvidence } from './schedule-evidence.ts'

const now = new Date('2026-11-22T12:00:00Z')
const full = { backupId: '20261120T020000Z-00000001', type: 'full', stoppedAt: '2026-11-20T02:10:00.000Z' } as const
const next = {
  backupId: '20261121T020001Z-00000002',
  type: 'incremental',
  stoppedAt: '2026-11-21T02:05:00.000Z',
} as const
const later = '20261122T020000Z-00000003'

test('backups: those that are held, those that left nothing, the one that runs, and one that cannot be read', () => {
  const records = {
    backups: [full, next],
    unfinished: [later],
    failed: [],
    running: false,
    damaged: [],
    keptDays: 7,
    now,
  }
  const { runs, knownFrom } = backupEvidence({ type: 'incremental' }, records)
  assert.deepEqual(
    runs.map(({ id, outcome }) => [id, outcome]),
    [
      [full.backupId, 'succeeded'],
      [next.backupId, 'succeeded'],
      [later, 'failed'],
    ],
  )
  assert.equal(runs[0]?.beganAt?.toISOString(), '2026-11-20T02:00:00.000Z')
  assert.equal(knownFrom.toISOString(), '2026-11-15T12:00:00.000Z')
  assert.equal(backupEvidence({ type: 'incremental' }, { ...records, running: true }).runs.at(-1)?.outcome, 'running')
  const lost = backupEvidence({ type: 'incremental' }, { ...records, unfinished: [], damaged: [later] })
  assert.deepEqual([lost.runs.at(-1)?.id, lost.runs.at(-1)?.outcome], [later, 'failed'])
})

test('only a full backup is a full one, and either kind is an incremental one', () => {
  const records = { backups: [full, next], unfinished: [], failed: [], running: false, damaged: [], keptDays: 7, now }
  assert.deepEqual(
    backupEvidence({ type: 'full' }, records).runs.map(({ id }) => id),
    [full.backupId],
  )
})

test('verifications: of everything, not of one; nothing is missing before the newest note', () => {
  const begin = new Date('2026-11-01T00:00:00Z')
  const backups = [full, next]
  const note = (backupId: string, at: string, depth: 'quick' | 'deep' = 'quick') => ({ backupId, at, depth })
  const found = (verified: ReturnType<typeof note>[], deep = false) => {
    const { runs, knownFrom } = verificationEvidence({ deep }, { backups, verified, runningSince: undefined, begin })
    return [runs.map(({ endedAt }) => endedAt?.toISOString().slice(8, 13)), knownFrom.toISOString().slice(0, 10)]
  }
  const at = '2026-11-21T04:00:00.000Z'
  assert.deepEqual(found([]), [[], '2026-11-01'])
  assert.deepEqual(found([note(full.backupId, at), note(next.backupId, at)]), [['21T04'], '2026-11-21'])
  assert.deepEqual(
    found([note(next.backupId, at)]),
    [[], '2026-11-21'],
    'the older one was not looked at, or is damaged',
  )
  assert.deepEqual(found([note(full.backupId, at)]), [['21T04'], '2026-11-21'], 'the newer one came afterwards')
  const again = [note(full.backupId, at), note(next.backupId, '2026-11-22T08:00:00.000Z')]
  assert.deepEqual(found(again), [['21T04'], '2026-11-22'], 'one alone does not count as a verification of everything')
  const deep = [note(full.backupId, at, 'deep'), note(next.backupId, at, 'deep')]
  assert.deepEqual(found(deep, true), [['21T04'], '2026-11-21'])
  assert.deepEqual(found([note(full.backupId, at), note(next.backupId, at)], true), [[], '2026-11-21'])
})

test('prunings: what they gave up, what still waits for one, and nothing to do', () => {
  const lastDueAt = new Date('2026-11-22T05:00:00Z')
  const records = { gaveUpAt: ['2026-11-22T05:00:02.000Z'], runningSince: undefined, lastDueAt, overdue: false, now }
  const idle = pruneEvidence(records)
  assert.deepEqual([idle.runs[0]?.outcome, idle.idleFrom, idle.knownFrom], ['succeeded', lastDueAt, now])
  const overdue = pruneEvidence({ ...records, overdue: true })
  assert.deepEqual([overdue.idleFrom, overdue.knownFrom], [undefined, lastDueAt])
})

test('drills: each that came, deep ones for either kind, and the one that runs', () => {
  const drill = (day: number, changed: object = {}) => ({
    id: `202611${day}T060000Z-00000001`,
    beganAt: `2026-11-${day}T06:00:00.000Z`,
    endedAt: `2026-11-${day}T06:10:00.000Z`,
    deep: false,
    outcome: 'passed' as const,
    ...changed,
  })
  const drills = [
    drill(20, { outcome: 'inconclusive' }),
    drill(19, { outcome: 'interrupted' }),
    drill(18, { outcome: 'failed' }),
    drill(17, { deep: true }),
  ]
  const facts = { drills, isAll: true, runningSince: undefined, now }
  const outcomes = (deep: boolean) =>
    drillEvidence({ deep }, facts).runs.map(({ id = '', outcome }) => `${id.slice(6, 8)} ${outcome}`)
  assert.deepEqual(outcomes(false), ['17 succeeded', '18 failed', '19 failed', '20 succeeded'])
  assert.deepEqual(outcomes(true), ['17 succeeded'])
  const running = drillEvidence({ deep: true }, { ...facts, runningSince: now }).runs.at(-1)
  assert.deepEqual([running?.outcome, running?.beganAt], ['running', now])
  // Records go after 400 days; and where only the newest were read, nothing is said of what is older.
  assert.equal(drillEvidence({ deep: false }, facts).knownFrom.toISOString(), '2025-10-18T12:00:00.000Z')
  const some = drillEvidence({ deep: false }, { ...facts, isAll: false })
  assert.equal(some.knownFrom.toISOString(), '2026-11-17T06:00:00.000Z')
})
