import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type InstantMicros, instantFromDate } from '../base/instant.ts'
import type { Lsn } from '../postgres/lsn.ts'
import { Activity } from './activity.ts'
import { changesOf, transaction } from './testing/transactions.ts'

const START = instantFromDate(new Date('2026-11-22T09:00:00Z'))
const minute = (count: number) => (START + BigInt(Math.round(count * 60_000_000))) as InstantMicros

/** A commit at each of these minutes, of so many rows. */
function commits(list: readonly (readonly [at: number, rows: number])[]): Activity {
  const activity = new Activity()
  for (const [index, [at, rows]] of list.entries()) {
    const lsn = BigInt(1000 + index * 16) as Lsn
    activity.add(
      transaction({
        xid: 700 + index,
        end: { lsn, endLsn: (lsn + 8n) as Lsn, at: minute(at) },
        walBytes: 100,
        files: [changesOf(100, { inserted: rows })],
      }),
    )
  }
  return activity
}

const steady = (from: number, to: number, rows = 10) =>
  Array.from({ length: to - from }, (_, index) => [from + index + 0.5, rows] as const)
const brief = (activity: Activity, until?: number) =>
  activity
    .incidents(until === undefined ? undefined : minute(until))
    .map(({ kind, severity, what, before, after }) => [kind, severity, what, before, after].join(' | '))

test('what was committed in each minute, whatever did not commit', () => {
  const activity = commits([
    [0.1, 5],
    [0.9, 7],
    [3.2, 1],
  ])
  activity.add(transaction({ outcome: 'aborted' }))
  activity.add(transaction({ outcome: 'committed', end: undefined }))
  assert.deepEqual(activity.minutes(), [
    { at: minute(0), transactions: 2, rows: 12, walBytes: 200 },
    { at: minute(3), transactions: 1, rows: 1, walBytes: 100 },
  ])
})

test('writes that stop are told with the last commit, where there always was one', () => {
  const stopped = [...steady(0, 40), ...steady(55, 60)]
  assert.deepEqual(brief(commits(stopped)), ['silence | warning | Writes stopped for 16 minutes | lsn:0/660 | xid:740'])
  // Not long enough, not steady enough before, or nobody knows whether it goes on.
  assert.deepEqual(brief(commits([...steady(0, 40), ...steady(48, 60)])), [])
  assert.deepEqual(brief(commits([...steady(0, 29), ...steady(50, 60)])), [])
  assert.deepEqual(brief(commits([...steady(0, 20), ...steady(21, 45), ...steady(60, 70)])), [])
  assert.deepEqual(brief(commits(steady(0, 40))), [])
  assert.deepEqual(brief(commits(steady(0, 40)), 49), [])
  assert.deepEqual(brief(commits(steady(0, 40)), 52), [
    'silence | warning | Writes stopped for 12 minutes, and have not begun again | lsn:0/660 | lsn:0/660',
  ])
})

test('a burst is many times what is usual, and many rows; minutes that follow each other are one', () => {
  const busy = [...steady(0, 30, 500), ...steady(30, 32, 9_000), ...steady(32, 34, 12_000), ...steady(34, 40, 500)]
  assert.deepEqual(brief(commits(busy)), [
    'burst | info | 24,000 rows changed in 2 minutes, where 500 a minute are usual | before-xid:732 | lsn:0/600',
  ])
  const two = [...busy, [41.5, 20_000] as const]
  assert.deepEqual(
    commits(two)
      .incidents()
      .map(({ xid }) => xid),
    [732, 740],
  )
  // What is usual is not known of a few minutes, and is high where always much is done.
  assert.deepEqual(brief(commits([...steady(0, 20, 500), [20.5, 50_000]])), [])
  assert.deepEqual(brief(commits([...steady(0, 40, 2_000), [40.5, 15_000]])), [])
})
