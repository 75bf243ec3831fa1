import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WalRange } from '../../repository/wal-records.ts'
import { heldTimelines } from './held-wal.ts'

const SEGMENT = 0x100000
const piece = (timeline: number, segment: number, validBytes = SEGMENT) => ({
  timeline,
  segment: BigInt(segment),
  validBytes,
})
const range = (timeline: number, beginLsn: string, reason: WalRange['reason']): WalRange => ({
  timeline,
  beginLsn,
  reason,
  at: '',
  explanation: '',
})
const ends = (pieces: ReturnType<typeof piece>[], ranges: WalRange[]) =>
  heldTimelines({ pieces, ranges }, SEGMENT).map(({ timeline, endLsn }) => `${timeline}:${endLsn.toString(16)}`)

test('a timeline ends where its last range ends, and never behind a hole', () => {
  const first = range(1, '0/100000', 'first-contact')
  assert.deepEqual(ends([piece(1, 1), piece(1, 2), piece(1, 3, 77)], [first]), ['1:30004d'])
  assert.deepEqual(ends([piece(1, 1), piece(1, 3, 77)], [first]), ['1:200000'])
})

test('after a recorded gap the range after it counts', () => {
  const ranges = [range(1, '0/100000', 'first-contact'), range(1, '0/500000', 'gap')]
  assert.deepEqual(ends([piece(1, 1), piece(1, 5), piece(1, 6, 5)], ranges), ['1:600005'])
})

test('a range without any byte yet ends where it begins', () => {
  const ranges = [range(1, '0/100000', 'first-contact'), range(2, '0/300000', 'new-timeline')]
  assert.deepEqual(ends([piece(1, 1), piece(1, 2)], ranges), ['1:300000', '2:300000'])
})
