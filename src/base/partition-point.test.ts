import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { partitionPoint } from './partition-point.ts'

test('property: it is the first item that is not before, also among equal ones', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 })), fc.integer({ min: -1, max: 21 }), (items, wanted) => {
      const sorted = items.sort((a, b) => a - b)
      const expected = sorted.findIndex((item) => item >= wanted)
      assert.equal(
        partitionPoint(sorted, (item) => item < wanted),
        expected < 0 ? sorted.length : expected,
      )
    }),
  )
})
