/** What is seen only over several looks or backups: a disk that fills, a backup of an unusual size, files that came to lie elsewhere. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type DiskMemory, forecastDisk, rememberDisk } from './disk-forecast.ts'
import { followLosses, type Loss } from './losses.ts'
import { followOutside } from './server.ts'
import { judgeSize } from './size-anomaly.ts'

const HOUR_MS = 3_600_000
const START = Date.parse('2026-11-01T00:00:00Z')
const at = (hour: number) => new Date(START + hour * HOUR_MS).toISOString()

describe('the disk', () => {
  /** Looked at each hour; what is expected at the end. */
  const after = (hours: number, freeAt: (hour: number) => number, totalAt: (hour: number) => number = () => 10_000) => {
    let memory: DiskMemory | undefined
    for (let hour = 0; hour < hours; hour += 1) {
      memory = rememberDisk(memory, { at: at(hour), freeBytes: freeAt(hour), totalBytes: totalAt(hour) })
    }
    const seen = { at: at(hours), freeBytes: freeAt(hours), totalBytes: totalAt(hours) }
    return { memory, forecast: forecastDisk(memory, seen) }
  }

  test('that fills evenly is full when it looks like it', () => {
    const { forecast } = after(48, (hour) => 1000 - 5 * hour)
    assert.equal(forecast?.growthBytesPerDay, 120)
    assert.equal(forecast?.daysLeft?.toFixed(3), ((1000 - 240) / 120).toFixed(3))
    assert.equal(forecast?.watchedMs, 48 * HOUR_MS)
  })

  test('of less than a day says nothing, and so does one that has another size now', () => {
    assert.equal(after(23, (hour) => 1000 - hour).forecast, undefined)
    const grown = after(
      48,
      (hour) => 1000 - hour,
      (hour) => (hour < 40 ? 10_000 : 20_000),
    )
    assert.equal(grown.forecast, undefined)
  })

  test('that does not fill, or has filled once, has no end', () => {
    assert.equal(after(72, () => 1000).forecast?.daysLeft, undefined)
    assert.equal(after(72, (hour) => (hour < 30 ? 1000 : 200)).forecast?.daysLeft, undefined)
    // Each night more by a backup, and as much less by what is given up.
    assert.equal(after(72, (hour) => 1000 - (hour % 24 < 3 ? 300 : 0)).forecast?.daysLeft, undefined)
  })

  test('is remembered in few samples, however often it is looked at', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 400 }), (steps) => {
        let memory: DiskMemory | undefined
        let minute = 0
        for (const step of steps) {
          minute += step
          memory = rememberDisk(memory, { at: at(minute / 60), freeBytes: minute, totalBytes: 1 })
        }
        assert.ok((memory?.samples.length ?? 0) <= 37)
      }),
      { numRuns: 20 },
    )
  })
})

describe('the size of a backup', () => {
  const sizes = (...list: number[]) =>
    judgeSize(list.map((totalBytes, index) => ({ totalBytes, stoppedAt: at(index * 24) })))

  test('is judged by those before it, and only when there are some', () => {
    assert.equal(sizes(100, 100, 900), undefined)
    assert.deepEqual(sizes(100, 110, 120, 150), { totalBytes: 150, medianBytes: 110, before: 3 })
    assert.equal(sizes(100, 100, 100, 151)?.unusualSince, at(72))
    assert.equal(sizes(100, 100, 100, 49)?.unusualSince, at(72))
    assert.equal(sizes(100, 100, 100, 50)?.unusualSince, undefined)
  })

  test('that stays unusual is the same news, and usual when most are like it', () => {
    assert.equal(sizes(100, 100, 100, 100, 300, 310)?.unusualSince, at(96))
    assert.equal(sizes(100, 100, 100, 30, 300)?.unusualSince, at(96), 'the other way is other news')
    assert.equal(sizes(100, 100, 100, 300, 300, 300, 300)?.unusualSince, undefined)
  })
})

test('files that were seen inside are told when they lie outside, as long as they do', () => {
  const follow = (outside: boolean, earlier?: { outside: boolean; outsideSince?: string }) =>
    followOutside(outside, { earlier: { configuration: earlier }, seenAt: at(5) })
  assert.deepEqual(follow(true), { outside: true })
  assert.deepEqual(follow(true, { outside: true }), { outside: true })
  assert.deepEqual(follow(true, { outside: false }), { outside: true, outsideSince: at(5) })
  assert.deepEqual(follow(true, { outside: true, outsideSince: at(1) }), { outside: true, outsideSince: at(1) })
  assert.deepEqual(follow(false, { outside: true, outsideSince: at(1) }), { outside: false })
})

test('losses: each is left until it is made good, and they are few whatever happens', () => {
  const hasFallen = (before: number, value: number) => before >= 20 && value < before / 2
  const isBack = (before: number, value: number) => value >= before * 0.75
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1_000_000 }), { maxLength: 200 }), (values) => {
      let losses: Loss[] = []
      let before: { value: number; at: string } | undefined
      for (const [index, value] of values.entries()) {
        losses = followLosses(losses, { value, before, seenAt: at(index), hasFallen, isBack })
        before = { value, at: at(index) }
      }
      const left = values.filter((value, index) => {
        const next = values[index + 1]
        return (
          next !== undefined && hasFallen(value, next) && !values.slice(index + 1).some((later) => isBack(value, later))
        )
      })
      assert.deepEqual(
        losses.map((loss) => loss.before),
        left,
      )
      assert.ok(losses.length <= 50, `${losses.length} losses`)
    }),
    { numRuns: 200 },
  )
})
