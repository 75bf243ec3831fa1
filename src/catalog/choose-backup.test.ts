import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'
import { type BackupFacts, chooseBackup, whyUnfit } from './choose-backup.ts'
import { buildTimelinePath } from './timeline-path.ts'

const lsn = (value: number) => BigInt(value) as Lsn

function backup(id: string, start: number, stop: number, timeline = 1): BackupFacts {
  return {
    backupId: id,
    timeline,
    startLsn: formatLsn(lsn(start)),
    stopTimeline: timeline,
    stopLsn: formatLsn(lsn(stop)),
    startedAt: '2026-11-22T09:00:00.000Z',
    stoppedAt: '2026-11-22T09:01:00.000Z',
  }
}

const path = buildTimelinePath([], 1)
const whole = { ranges: [{ beginLsn: lsn(0), endLsn: lsn(1000) }], gaps: [] }

test('the newest backup that is consistent before the target is chosen, and the others say why not', () => {
  const choice = chooseBackup([backup('a', 10, 20), backup('b', 30, 40), backup('c', 50, 60)], {
    path,
    coverage: whole,
    targetLsn: lsn(45),
  })
  assert.equal(choice.backup.backupId, 'b')
  assert.deepEqual(
    choice.rejected.map((one) => one.backupId),
    ['c'],
  )
  assert.match(choice.rejected[0]?.why ?? '', /after the target/)
})

test('a gap after the newest backup is refused, never crossed and never answered with a later state', () => {
  const coverage = {
    ranges: [
      { beginLsn: lsn(0), endLsn: lsn(100) },
      { beginLsn: lsn(200), endLsn: lsn(300) },
    ],
    gaps: [{ timeline: 1, beginLsn: lsn(100), endLsn: lsn(200), recorded: true, explanation: 'slot lost' }],
  }
  assert.throws(
    () => chooseBackup([backup('a', 10, 20)], { path, coverage, targetLsn: lsn(250) }),
    (error: { code: string; message: string }) => error.code === 'wal.gap' && /slot lost/.test(error.message),
  )
  const later = chooseBackup([backup('a', 10, 20), backup('b', 210, 220)], { path, coverage, targetLsn: lsn(250) })
  assert.equal(later.backup.backupId, 'b')
})

test('an older backup is taken when WAL of the newer one is missing', () => {
  // Only the newer backup's own start is missing: the older one's WAL is not complete either, so both are refused.
  const coverage = { ranges: [{ beginLsn: lsn(35), endLsn: lsn(300) }], gaps: [] }
  assert.throws(
    () => chooseBackup([backup('a', 10, 20), backup('b', 30, 40)], { path, coverage, targetLsn: lsn(250) }),
    {
      code: 'wal.gap',
    },
  )
})

test('before the first backup: refused with the first moment', () => {
  assert.throws(
    () => chooseBackup([backup('a', 10, 20), backup('b', 30, 40)], { path, coverage: whole, targetLsn: lsn(15) }),
    (error: { code: string; details: { firstLsn: string } }) =>
      error.code === 'target.outside' && error.details.firstLsn === '0/14',
  )
})

test('no backup at all', () => {
  assert.throws(() => chooseBackup([], { path, coverage: whole, targetLsn: lsn(15) }), { code: 'backup.missing' })
})

test('a backup of the abandoned end of the old timeline is not on the new path', () => {
  const branch = buildTimelinePath([{ timeline: 2, entries: [{ timeline: 1, switchLsn: lsn(45), reason: '' }] }], 2)
  const choice = chooseBackup([backup('a', 10, 20), backup('b', 50, 60), backup('c', 30, 50)], {
    path: branch,
    coverage: whole,
    targetLsn: lsn(100),
  })
  assert.equal(choice.backup.backupId, 'a')
  assert.deepEqual(choice.rejected.map((one) => one.backupId).sort(), ['b', 'c'])
})

test('property: the choice is fit, and every newer fit backup would have been chosen instead', () => {
  const arbitrary = fc
    .tuple(fc.integer({ min: 0, max: 90 }), fc.integer({ min: 1, max: 10 }))
    .map(([start, length]) => ({ start, stop: start + length }))
  fc.assert(
    fc.property(
      fc.array(arbitrary, { maxLength: 8 }),
      fc.integer({ min: 0, max: 110 }),
      fc.integer(),
      (list, target, cut) => {
        const hole = Math.abs(cut) % 100
        const coverage = {
          ranges: [
            { beginLsn: lsn(0), endLsn: lsn(hole) },
            { beginLsn: lsn(hole + 1), endLsn: lsn(200) },
          ],
          gaps: [],
        }
        const backups = list.map((one, index) => backup(`b${index}`, one.start, one.stop))
        const options = { path, coverage, targetLsn: lsn(target) }
        const fit = backups.filter((one) => !whyUnfit(one, options))
        // The model: consistent before the target, and the hole not inside.
        const model = list.filter((one) => one.stop <= target && !(one.start <= hole && hole < target))
        assert.equal(fit.length, model.length)
        if (fit.length === 0) {
          assert.throws(() => chooseBackup(backups, options))
          return
        }
        const chosen = chooseBackup(backups, options).backup
        const newest = fit.reduce((best, one) => (parseLsn(one.stopLsn) > parseLsn(best.stopLsn) ? one : best))
        assert.equal(chosen.stopLsn, newest.stopLsn)
      },
    ),
  )
})
