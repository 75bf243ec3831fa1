import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isRetakeError } from '../base/errors.ts'
import {
  formatLsn,
  historyName,
  parseLsn,
  parseSegmentName,
  segmentName,
  segmentOf,
  segmentOffset,
  segmentStart,
  timelineName,
} from './lsn.ts'

const lsn = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })
const segmentSizeBytes = fc.integer({ min: 0, max: 10 }).map((power) => 2 ** power * 1024 * 1024)
const timeline = fc.integer({ min: 1, max: 0xffff_ffff })

describe('positions in the log', () => {
  test('are read as they are printed', () => {
    fc.assert(fc.property(lsn, (value) => assert.equal(parseLsn(formatLsn(value)), value)))
    assert.equal(formatLsn(0x1_0300_0060n), '1/3000060')
    assert.equal(parseLsn(' 16/b374d848 '), 0x16_b374_d848n)
    for (const text of ['', '0', '0/', '/0', '0/123456789', '0/G', '0x1/2']) {
      assert.throws(
        () => parseLsn(text),
        (error) => isRetakeError(error, 'target.invalid'),
        text,
      )
    }
  })

  test('lie in one segment, at one place', () => {
    fc.assert(
      fc.property(lsn, segmentSizeBytes, (value, size) => {
        const segment = segmentOf(value, size)
        assert.equal(segmentStart(segment, size) + BigInt(segmentOffset(value, size)), value)
        assert.ok(segmentOffset(value, size) < size)
      }),
    )
  })
})

describe('names of segments', () => {
  test('are read as they are written, and sort like the log', () => {
    fc.assert(
      fc.property(lsn, lsn, segmentSizeBytes, timeline, (one, other, size, onTimeline) => {
        const names = [one, other].map((value) =>
          segmentName({ timeline: onTimeline, segment: segmentOf(value, size) }, size),
        )
        assert.deepEqual(parseSegmentName(names[0]!, size), { timeline: onTimeline, segment: segmentOf(one, size) })
        assert.equal(names[0]! < names[1]!, segmentOf(one, size) < segmentOf(other, size))
      }),
    )
  })

  test('depend on the size of segments', () => {
    const position = { timeline: 1, segment: segmentOf(parseLsn('2/FF000028'), 16 * 1024 * 1024) }
    assert.equal(segmentName(position, 16 * 1024 * 1024), '0000000100000002000000FF')
    const small = { timeline: 0xab, segment: segmentOf(parseLsn('2/FF000028'), 1024 * 1024) }
    assert.equal(segmentName(small, 1024 * 1024), '000000AB0000000200000FF0')
    assert.equal(historyName(0xab), '000000AB.history')
    assert.equal(timelineName(2), '00000002')
  })

  test('are not taken from anything else', () => {
    for (const name of [
      '',
      '00000001.history',
      '000000010000000000000001.partial',
      '00000001000000000000000g',
      '0000000100000000000000ff',
    ]) {
      assert.equal(parseSegmentName(name, 16 * 1024 * 1024), undefined, name)
    }
    // 256 segments of 16 MiB make 4 GiB, so the last part ends at FF.
    assert.equal(parseSegmentName('000000010000000000000100', 16 * 1024 * 1024), undefined)
  })
})
