import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseLsn } from '../postgres/lsn.ts'
import { isCertainlyAbsent } from './fetch-wal.ts'
import { judgeRpo, judgeStatus, type StatusFacts } from './status-judgement.ts'

const position = { timeline: 1, flushLsn: '0/5000000', caughtUpAt: '2026-11-22T09:00:00.000Z' }
const server = { timeline: 1, flushLsn: '0/5000000', now: '2026-11-22T09:00:10.000Z' }

test('RPO: caught up, behind, on another timeline, unknown', () => {
  assert.equal(judgeRpo({ server, position }).state, 'caught-up')
  assert.deepEqual(judgeRpo({ server: { ...server, flushLsn: '0/5000100' }, position }), {
    state: 'behind',
    behindBytes: 256,
    behindMs: 10_000,
    explanation: 'The server is at 0/5000100, the archive at 0/5000000.',
  })
  // The archive can be ahead of what the server said a moment before.
  assert.equal(judgeRpo({ server: { ...server, flushLsn: '0/4000000' }, position }).state, 'caught-up')
  assert.equal(judgeRpo({ server: { ...server, timeline: 2 }, position }).state, 'behind')
  assert.equal(judgeRpo({ server, position: undefined }).state, 'behind')
  assert.equal(judgeRpo({ server: undefined, position }).state, 'unknown')
  const { caughtUpAt: _never, ...neverCaughtUp } = position
  assert.equal(judgeRpo({ server: { ...server, flushLsn: '0/6000000' }, position: neverCaughtUp }).behindMs, undefined)
})

const healthy: StatusFacts = {
  lastBackup: { backupId: 'b', ageMs: 3_600_000, startLsn: '0/4000000', timeline: 1 },
  damagedBackups: [],
  windows: [{ timeline: 1, from: { lsn: '0/4000100' }, to: { lsn: '0/5000000' }, backups: ['b'], gaps: [] }],
  rpo: { state: 'caught-up', behindBytes: 0, behindMs: 0, explanation: '' },
  receiver: {},
  server,
  slot: { name: 'retake_main', exists: true, walStatus: 'reserved' },
  gaps: [],
  damage: [],
}
const gap = { timeline: 1, beginLsn: '0/3000000', endLsn: '0/3800000', recorded: true, explanation: 'x' }

const cases: readonly (readonly [what: string, facts: StatusFacts, expected: readonly string[]])[] = [
  ['nothing', healthy, []],
  ['a damaged object', { ...healthy, damage: [{ object: 'x', message: 'x is damaged.' }] }, ['danger wal.damaged']],
  ['no backup', { ...healthy, lastBackup: undefined, windows: [] }, ['danger backup.none']],
  ['a backup without its WAL', { ...healthy, windows: [] }, ['danger window.none']],
  [
    'an old backup',
    { ...healthy, lastBackup: { ...healthy.lastBackup!, ageMs: 27 * 3_600_000 } },
    ['danger backup.old'],
  ],
  [
    'an old backup where that is allowed',
    { ...healthy, backupMaxAgeHours: 100, lastBackup: { ...healthy.lastBackup!, ageMs: 27 * 3_600_000 } },
    [],
  ],
  ['a backup that cannot be read', { ...healthy, damagedBackups: ['x'] }, ['danger backup.damaged']],
  ['no server', { ...healthy, server: undefined, slot: undefined }, ['danger server.unreachable']],
  [
    'what only the spool of a machine holds',
    {
      ...healthy,
      receiver: undefined,
      archive: { timeline: 1, flushLsn: '0/5000000', spool: { host: 'db1', acknowledgedLsn: '0/5000100' } },
    },
    ['danger wal.spooled', 'warning receiver.none'],
  ],
  [
    'a spool on its way',
    {
      ...healthy,
      archive: { timeline: 1, flushLsn: '0/5000000', spool: { host: 'db1', acknowledgedLsn: '0/5000100' } },
    },
    [],
  ],
  ['no slot', { ...healthy, slot: { name: 's', exists: false } }, ['danger slot.missing']],
  ['a lost slot', { ...healthy, slot: { name: 's', exists: true, walStatus: 'lost' } }, ['danger slot.lost']],
  [
    'a slot about to be lost',
    { ...healthy, slot: { name: 's', exists: true, walStatus: 'unreserved' } },
    ['danger slot.unreserved'],
  ],
  ['no receiver', { ...healthy, receiver: undefined }, ['warning receiver.none']],
  ['behind within the target', { ...healthy, rpo: { state: 'behind', behindMs: 60_000, explanation: '' } }, []],
  [
    'behind beyond the target',
    { ...healthy, rpo: { state: 'behind', behindMs: 60_001, explanation: '' } },
    ['danger rpo.exceeded'],
  ],
  [
    'behind for nobody knows how long',
    { ...healthy, rpo: { state: 'behind', explanation: '' } },
    ['danger rpo.exceeded'],
  ],
  ['a gap of the past', { ...healthy, gaps: [gap] }, ['warning wal.gap']],
  ['WAL that was given up', { ...healthy, gaps: [{ ...gap, givenUp: true, endLsn: '0/4800000' }] }, []],
  ['a gap that was not recorded', { ...healthy, gaps: [{ ...gap, recorded: false }] }, ['danger wal.gap']],
  ['a gap after the last backup', { ...healthy, gaps: [{ ...gap, endLsn: '0/4800000' }] }, ['danger wal.gap']],
  [
    'danger comes before warnings',
    { ...healthy, receiver: undefined, slot: { name: 's', exists: false } },
    ['danger slot.missing', 'warning receiver.none'],
  ],
]

for (const [what, facts, expected] of cases) {
  test(`status: ${what}`, () => {
    const reasons = judgeStatus(facts)
    assert.deepEqual(
      reasons.map(({ severity, code }) => `${severity} ${code}`),
      expected,
    )
    for (const { fix } of reasons) assert.ok(fix.length > 0)
  })
}

test('R7: a segment is certainly absent only beyond what is held', () => {
  const segmentSizeBytes = 0x1000000
  const range = (from: string, to: string) => ({ beginLsn: parseLsn(from), endLsn: parseLsn(to) })
  const coverage = [
    { timeline: 1, ranges: [range('0/3000000', '0/5000000'), range('0/6000000', '0/6800000')], gaps: [] },
    {
      timeline: 2,
      ranges: [range('0/6000000', '0/9000000')],
      gaps: [{ ...range('0/9000000', '0/9400000'), timeline: 2, recorded: false, explanation: '' }],
    },
  ]
  const absent = (timeline: number, segment: bigint) =>
    isCertainlyAbsent({ timeline, segment }, { coverage, segmentSizeBytes })
  assert.equal(absent(1, 7n), true, 'after the end of the timeline')
  assert.equal(absent(3, 7n), true, 'of a timeline that is not held')
  assert.equal(absent(1, 5n), false, 'a hole')
  assert.equal(absent(1, 2n), false, 'before all that is held: nothing else has it')
  assert.equal(absent(2, 4n), true, 'before the timeline begins, held by its ancestor')
  assert.equal(absent(2, 5n), false, 'before the timeline begins, held by nobody')
  assert.equal(absent(2, 9n), false, 'acknowledged once, and gone')
  assert.equal(absent(2, 10n), true)
})
