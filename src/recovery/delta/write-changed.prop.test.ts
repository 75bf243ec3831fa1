import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { writeChanged } from './write-changed.ts'

const PAGE = 8192

/** Pages of few kinds, so that equal ones meet; the last one may be short. */
const content = fc
  .tuple(fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 6 }), fc.integer({ min: 0, max: PAGE - 1 }))
  .map(([pages, rest]) => Buffer.concat([...pages.map((fill) => Buffer.alloc(PAGE, fill)), Buffer.alloc(rest, 1)]))

test('afterwards the file is what was wanted, and no page was written that was so already', () => {
  fc.assert(
    fc.property(content, content, (present, wanted) => {
      const file = Buffer.concat([present, Buffer.alloc(Math.max(0, wanted.length - present.length))])
      const writes: { begin: number; end: number }[] = []
      const total = writeChanged(present, wanted, (piece, offset) => {
        file.set(piece, offset)
        writes.push({ begin: offset, end: offset + piece.length })
      })
      assert.deepEqual(file.subarray(0, wanted.length), wanted)
      assert.equal(
        total,
        writes.reduce((sum, one) => sum + one.end - one.begin, 0),
      )
      for (const { begin, end } of writes)
        for (let at = begin; at < end; at += PAGE) {
          const stop = Math.min(at + PAGE, end)
          assert.ok(stop > present.length || !present.subarray(at, stop).equals(wanted.subarray(at, stop)))
        }
    }),
  )
})
