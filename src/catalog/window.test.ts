import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import type { BackupFacts } from './choose-backup.ts'
import { computeCoverage, type HeldPiece } from './coverage.ts'
import { buildTimelinePath, stepAt } from './timeline-path.ts'
import { recoveryWindow } from './window.ts'

const SIZE = 256
const lsn = (value: number) => BigInt(value) as Lsn
const segments = (timeline: number, from: number, to: number): HeldPiece[] =>
  Array.from({ length: to - from + 1 }, (_, index) => ({ timeline, segment: BigInt(from + index), validBytes: SIZE }))

function backup(id: string, start: number, stop: number, timeline = 1): BackupFacts {
  const at = `2026-11-22T09:00:${String(start % 60).padStart(2, '0')}.000Z`
  return {
    backupId: id,
    timeline,
    startLsn: formatLsn(lsn(start)),
    stopTimeline: timeline,
    stopLsn: formatLsn(lsn(stop)),
    startedAt: at,
    stoppedAt: at,
  }
}

test('one timeline without holes: from the end of the first backup to the end of the WAL', () => {
  const { windows } = recoveryWindow({
    backups: [backup('b', 1030, 1040), backup('a', 520, 530)],
    coverage: computeCoverage({ pieces: segments(1, 2, 9), ranges: [] }, SIZE),
    histories: [],
    segmentSizeBytes: SIZE,
    moments: [
      { timeline: 1, lsn: lsn(2000), at: '2026-11-22T10:00:00.000Z' },
      { timeline: 1, lsn: lsn(99999), at: '2026-11-22T12:00:00.000Z' },
    ],
  })
  assert.equal(windows.length, 1)
  assert.deepEqual(windows[0]?.backups, ['a', 'b'])
  assert.equal(windows[0]?.from.lsn, lsn(530))
  assert.equal(windows[0]?.to.lsn, lsn(2560))
  assert.equal(windows[0]?.to.at, '2026-11-22T10:00:00.000Z', 'a moment beyond the held WAL does not count')
})

test('a gap splits the window, and what follows begins only at the next backup', () => {
  const { windows } = recoveryWindow({
    backups: [backup('a', 520, 530), backup('b', 1900, 1950)],
    coverage: computeCoverage({ pieces: [...segments(1, 2, 4), ...segments(1, 6, 9)], ranges: [] }, SIZE),
    histories: [],
    segmentSizeBytes: SIZE,
    moments: [],
  })
  assert.equal(windows.length, 2)
  assert.equal(windows[0]?.to.lsn, lsn(5 * SIZE))
  assert.equal(windows[0]?.gaps.length, 1)
  assert.equal(windows[1]?.from.lsn, lsn(1950))
})

test('no backup inside a stretch, no window', () => {
  const { windows } = recoveryWindow({
    backups: [],
    coverage: computeCoverage({ pieces: segments(1, 2, 4), ranges: [] }, SIZE),
    histories: [],
    segmentSizeBytes: SIZE,
    moments: [],
  })
  assert.deepEqual(windows, [])
})

test('an ancestor that is wholly on the newer path is not listed; its abandoned end is', () => {
  const histories = [{ timeline: 2, entries: [{ timeline: 1, switchLsn: lsn(1500), reason: '' }] }]
  const input = { backups: [backup('a', 520, 530)], histories, segmentSizeBytes: SIZE, moments: [] }
  const cutAtSwitch = [
    ...segments(1, 2, 4),
    { timeline: 1, segment: 5n, validBytes: 1500 - 5 * SIZE },
    ...segments(2, 5, 8),
  ]
  const clean = recoveryWindow({ ...input, coverage: computeCoverage({ pieces: cutAtSwitch, ranges: [] }, SIZE) })
  assert.deepEqual(
    clean.windows.map((window) => window.timeline),
    [2],
  )
  const diverged = [...segments(1, 2, 7), ...segments(2, 5, 8)]
  const both = recoveryWindow({ ...input, coverage: computeCoverage({ pieces: diverged, ranges: [] }, SIZE) })
  assert.deepEqual(
    both.windows.map((window) => [window.timeline, window.to.lsn]),
    [
      [1, lsn(8 * SIZE)],
      [2, lsn(9 * SIZE)],
    ],
  )
})

test('a timeline without its history file is named, and the others still count', () => {
  const { windows, unknownTimelines } = recoveryWindow({
    backups: [backup('a', 520, 530)],
    coverage: computeCoverage({ pieces: [...segments(1, 2, 4), ...segments(2, 4, 5)], ranges: [] }, SIZE),
    histories: [],
    segmentSizeBytes: SIZE,
    moments: [],
  })
  assert.deepEqual(unknownTimelines, [2])
  assert.equal(windows.length, 1)
})

test('a path is built from one history file; the switch point belongs to the newer timeline', () => {
  const entries = [
    { timeline: 1, switchLsn: lsn(100), reason: '' },
    { timeline: 2, switchLsn: lsn(200), reason: '' },
  ]
  const path = buildTimelinePath([{ timeline: 4, entries }], 4)
  assert.deepEqual(
    path.map((step) => [step.timeline, step.beginLsn, step.endLsn]),
    [
      [1, 0n, 100n],
      [2, 100n, 200n],
      [4, 200n, undefined],
    ],
  )
  assert.equal(stepAt(path, lsn(99))?.timeline, 1)
  assert.equal(stepAt(path, lsn(100))?.timeline, 2)
  assert.throws(() => buildTimelinePath([], 4), { code: 'wal.history-missing' })
})
