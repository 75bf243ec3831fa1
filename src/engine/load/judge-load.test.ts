import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseOptionValue } from '../config-schema.ts'
import { DEFAULT_LOAD_LIMITS, judgeLoad, loadLimits, type ServerLoad } from './judge-load.ts'

const limits = DEFAULT_LOAD_LIMITS
const calm: ServerLoad = { isFull: false }

describe('stress', () => {
  const cases: readonly (readonly [ServerLoad, readonly string[]])[] = [
    [calm, []],
    [{ isFull: true }, ['no connection is free']],
    [{ ...calm, sessions: { active: 79, most: 100 } }, []],
    [{ ...calm, sessions: { active: 80, most: 100 } }, ['80 of 100 connections active']],
    [{ ...calm, lockWaitSeconds: 119.9 }, []],
    [{ ...calm, lockWaitSeconds: 120.4 }, ['a lock waited for since 120 s']],
    [{ ...calm, standbyLagSeconds: 59 }, []],
    [{ ...calm, standbyLagSeconds: 3000 }, ['a standby 3000 s behind']],
    [{ ...calm, machine: { loadAverage: 7.9, processors: 2 } }, []],
    [{ ...calm, machine: { loadAverage: 8, processors: 2 } }, ['load average 8.0 on 2 processors']],
    [
      { isFull: false, sessions: { active: 99, most: 100 }, lockWaitSeconds: 500, standbyLagSeconds: 61 },
      ['99 of 100 connections active', 'a lock waited for since 500 s', 'a standby 61 s behind'],
    ],
  ]
  for (const [load, reasons] of cases) {
    test(reasons.join(', ') || `none: ${JSON.stringify(load)}`, () =>
      assert.deepEqual(judgeLoad(load, limits), reasons),
    )
  }
})

describe('limits', () => {
  test('on with generous ones by default, each by itself, and off', () => {
    assert.deepEqual(loadLimits(undefined), DEFAULT_LOAD_LIMITS)
    assert.equal(loadLimits('off'), undefined)
    const given = loadLimits({ activePercent: 50, standbyLagSeconds: 'off', maxDelayMinutes: 5 })
    assert.deepEqual(given, {
      ...DEFAULT_LOAD_LIMITS,
      activePercent: 50,
      standbyLagSeconds: Number.POSITIVE_INFINITY,
      maxDelayMs: 300_000,
    })
    assert.ok(given && judgeLoad({ isFull: false, standbyLagSeconds: 1e9 }, given).length === 0)
  })

  test('as they are written: in a file, in a variable, and refused where they mean nothing', () => {
    const read = (value: unknown) => parseOptionValue('loadGuard', value)
    assert.deepEqual(read('off'), { value: 'off' })
    // What YAML 1.1 makes of it.
    assert.deepEqual(read(false), { value: 'off' })
    assert.deepEqual(read({ lockWaitSeconds: 'off' }), { value: { lockWaitSeconds: 'off' } })
    assert.deepEqual(read('{"activePercent": 90}'), { value: { activePercent: 90 } })
    for (const wrong of ['on', '{', { activePercent: 0 }, { activePercent: 101 }, { loadAverage: 3 }, true, 5]) {
      assert.ok('problem' in read(wrong), JSON.stringify(wrong))
    }
  })
})
