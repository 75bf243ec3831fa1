import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WindowInput } from '../catalog/window.ts'
import { formatLsn, parseLsn } from '../postgres/lsn.ts'
import { damageConsequences, subtract } from './damage-consequences.ts'

const range = (from: string, to: string) => ({ beginLsn: parseLsn(from), endLsn: parseLsn(to) })
const backup = (backupId: string, startLsn: string, stopLsn: string, at: string) => ({
  backupId,
  timeline: 1,
  stopTimeline: 1,
  startLsn,
  stopLsn,
  startedAt: at,
  stoppedAt: at,
})

const input: WindowInput = {
  backups: [
    backup('first', '0/2000028', '0/2000100', '2026-11-20T00:00:00Z'),
    backup('second', '0/6000028', '0/6000100', '2026-11-21T00:00:00Z'),
  ],
  coverage: [{ timeline: 1, ranges: [range('0/2000000', '0/9000000')], gaps: [] }],
  histories: [],
  segmentSizeBytes: 0x1000000,
  moments: [{ timeline: 1, lsn: parseLsn('0/9000000'), at: '2026-11-22T00:00:00Z' }],
}

test('without damage nothing is lost', () => {
  assert.deepEqual(damageConsequences(input, { backups: [], wal: [] }), { lostBackups: [], lostMoments: [] })
})

test('the first backup costs the moments until the second', () => {
  const { lostBackups, lostMoments } = damageConsequences(input, { backups: ['first'], wal: [] })
  assert.deepEqual(lostBackups, ['first'])
  assert.deepEqual(lostMoments, [
    {
      timeline: 1,
      from: { lsn: '0/2000100', at: '2026-11-20T00:00:00Z' },
      to: { lsn: '0/60000FF', at: '2026-11-21T00:00:00Z' },
    },
  ])
})

test('the second backup costs no moment: the first one leads there too', () => {
  assert.deepEqual(damageConsequences(input, { backups: ['second'], wal: [] }), {
    lostBackups: ['second'],
    lostMoments: [],
  })
})

test('damaged WAL costs the moments until the next backup, and no backup', () => {
  const damage = { backups: [], wal: [{ timeline: 1, beginLsn: '0/4000000', endLsn: '0/5000000' }] }
  const { lostBackups, lostMoments } = damageConsequences(input, damage)
  assert.deepEqual(lostBackups, [])
  assert.deepEqual(
    lostMoments.map(({ from, to }) => [from.lsn, to.lsn]),
    [['0/4000001', '0/60000FF']],
  )
})

test('damaged WAL inside a backup costs that backup', () => {
  const damage = { backups: [], wal: [{ timeline: 1, beginLsn: '0/6000000', endLsn: '0/7000000' }] }
  const { lostBackups, lostMoments } = damageConsequences(input, damage)
  assert.deepEqual(lostBackups, ['second'])
  assert.deepEqual(
    lostMoments.map(({ from, to }) => [from.lsn, to.lsn]),
    [['0/6000001', '0/9000000']],
  )
})

test('everything damaged costs everything', () => {
  const { lostBackups, lostMoments } = damageConsequences(input, { backups: ['first', 'second'], wal: [] })
  assert.deepEqual(lostBackups, ['first', 'second'])
  assert.deepEqual(
    lostMoments.map(({ from, to }) => [from.lsn, to.lsn]),
    [['0/2000100', '0/9000000']],
  )
})

test('WAL that is gone altogether costs the same as WAL that is damaged', () => {
  const gone = {
    ...input,
    coverage: [{ timeline: 1, ranges: [range('0/2000000', '0/4000000'), range('0/5000000', '0/9000000')], gaps: [] }],
  }
  const damage = { backups: [], wal: [{ timeline: 1, beginLsn: '0/4000000', endLsn: '0/5000000' }] }
  assert.deepEqual(damageConsequences(gone, damage), damageConsequences(input, damage))
  const nothing = damageConsequences(
    { ...input, coverage: [] },
    { backups: [], wal: [{ timeline: 1, beginLsn: '0/2000000', endLsn: '0/9000000' }] },
  )
  assert.deepEqual(nothing.lostBackups, ['first', 'second'])
  assert.deepEqual(
    nothing.lostMoments.map(({ from, to }) => [from.lsn, to.lsn]),
    [['0/2000100', '0/9000000']],
  )
})

test('subtraction of ranges', () => {
  const show = (ranges: { beginLsn: bigint; endLsn: bigint }[]) =>
    ranges.map((one) => `${formatLsn(one.beginLsn)}-${formatLsn(one.endLsn)}`)
  const whole = [range('0/10', '0/20')]
  assert.deepEqual(show(subtract(whole, [])), ['0/10-0/20'])
  assert.deepEqual(show(subtract(whole, [range('0/12', '0/14')])), ['0/10-0/12', '0/14-0/20'])
  assert.deepEqual(show(subtract(whole, [range('0/0', '0/12'), range('0/1E', '0/30')])), ['0/12-0/1E'])
  assert.deepEqual(show(subtract(whole, [range('0/0', '0/30')])), [])
  assert.deepEqual(show(subtract(whole, [range('0/30', '0/40')])), ['0/10-0/20'])
})
