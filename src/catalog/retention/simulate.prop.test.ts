/** The simulation takes a short way to what a pruning decides; it must come to the same, day by day. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import type { BackupFacts } from '../choose-backup.ts'
import { planRetention } from './plan.ts'
import { backupsThatCount, type SimulationInput, simulateRetention } from './simulate.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const NOW_MS = Date.parse('2026-11-22T12:00:00.000Z')
const SEGMENT_BYTES = 1024 * 1024

function backupAt(ms: number, name: string): BackupFacts {
  const at = new Date(ms).toISOString()
  const lsn = (value: number) => formatLsn(BigInt(value) as Lsn)
  return {
    ...{ backupId: `${name} ${at}`, startedAt: at, stoppedAt: at },
    ...{ timeline: 1, stopTimeline: 1, startLsn: lsn(ms - 1), stopLsn: lsn(ms) },
  }
}

const optional = (max: number) => fc.option(fc.integer({ min: 0, max }), { nil: undefined })
const world = fc.record({
  hoursAgo: fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { maxLength: 25 }),
  policy: fc.record({
    days: fc.integer({ min: 0, max: 12 }),
    walDays: optional(12),
    count: optional(5),
    daily: optional(5),
    weekly: optional(4),
    monthly: optional(3),
    yearly: optional(2),
  }),
  days: fc.integer({ min: 1, max: 25 }),
  everyHours: fc.integer({ min: 5, max: 60 }),
  held: fc.array(fc.integer({ min: 0, max: 24 }), { maxLength: 2 }),
  verified: fc.array(fc.integer({ min: 0, max: 24 }), { maxLength: 2 }),
})

function inputOf(w: typeof world extends fc.Arbitrary<infer W> ? W : never): SimulationInput {
  const backups = w.hoursAgo
    .toSorted((left, right) => right - left)
    .map((hours) => backupAt(NOW_MS - hours * HOUR_MS, 'real'))
  const idAt = (index: number) => backups[index]?.backupId ?? 'none'
  return {
    ...{ policy: w.policy, backups, now: new Date(NOW_MS), days: w.days, backupEveryMs: w.everyHours * HOUR_MS },
    holds: w.held.map((index) => ({ backupId: idAt(index), reason: 'test' })),
    verified: new Set(w.verified.map(idAt)),
    shares: backups.map(({ backupId }, index) => ({ bytes: 2 ** index, users: [backupId] })),
    ...{ backupBytes: 2 ** 30, walBytesPerDay: 1000 },
  }
}

test('every day comes to what a pruning of that day decides', () => {
  fc.assert(
    fc.property(world, (w) => {
      const input = inputOf(w)
      let backups = [...input.backups]
      let nextMs = Math.max(
        NOW_MS,
        Date.parse(backups.at(-1)?.stoppedAt ?? '1970-01-01T00:00:00Z') + input.backupEveryMs,
      )
      for (const [day, found] of simulateRetention(input).entries()) {
        const nowMs = NOW_MS + day * DAY_MS
        const before = backups.length
        for (; nextMs <= nowMs; nextMs += input.backupEveryMs) backups.push(backupAt(nextMs, 'simulated'))
        const plan = planRetention({
          ...{ policy: input.policy, holds: input.holds, verified: input.verified, now: new Date(nowMs), backups },
          coverage: [{ timeline: 1, ranges: [{ beginLsn: 0n as Lsn, endLsn: BigInt(nowMs + 1) as Lsn }], gaps: [] }],
          ...{ histories: [], moments: [], ranges: [], positionTimeline: 1, segmentSizeBytes: SEGMENT_BYTES },
        })
        const kept = plan.backups.filter(({ action }) => action === 'keep')
        const anchor = plan.backups.find(({ rules }) => rules.some(({ rule }) => rule === 'window'))
        assert.deepEqual(
          [found.at, found.made, found.dropped, found.backups, found.oldestAt, found.windowFrom],
          [
            ...[plan.now, backups.length - before, backups.length - kept.length, kept.length],
            ...[kept[0]?.stoppedAt ?? '', anchor?.stoppedAt ?? ''],
          ],
        )
        const ids = new Set(kept.map(({ backupId }) => backupId))
        backups = backups.filter(({ backupId }) => ids.has(backupId))
      }
    }),
  )
})

test('the shares of backups that are dropped at once change nothing', () => {
  fc.assert(
    fc.property(world, (w) => {
      const input = inputOf(w)
      const counted = new Set(backupsThatCount(input))
      const shares = input.shares.filter(({ users }) => users.some((user) => counted.has(user)))
      assert.deepEqual(simulateRetention({ ...input, shares }), simulateRetention(input))
    }),
  )
})
