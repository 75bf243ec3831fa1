/** What servers have compressed is read in `log-names.pg.test.ts`; here are the corners of the formats, and bytes that are none. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decompressLz4, decompressPglz } from './page-compression.ts'

const text = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString()

test('LZ4: literals, a match that reaches into itself, and lengths of more than a nibble', () => {
  assert.equal(text(decompressLz4(Buffer.from('\x50hello', 'latin1'), 5)), 'hello')
  // "ab", then twelve bytes from two before, then "!".
  assert.equal(text(decompressLz4(Buffer.from('\x28ab\x02\x00\x10!', 'latin1'), 15)), 'ababababababab!')
  const long = Buffer.concat([Buffer.from([0xf0, 255, 30]), Buffer.alloc(300, 'x')])
  assert.equal(text(decompressLz4(long, 300)), 'x'.repeat(300))
  assert.equal(text(decompressLz4(Buffer.from('\x1fa\x01\x00\xff\x10\x10!', 'latin1'), 292)), `${'a'.repeat(291)}!`)
})

test("PostgreSQL's own: bytes, and matches near and far", () => {
  assert.equal(text(decompressPglz(Buffer.from('\x00hello', 'latin1'), 5)), 'hello')
  // Two bytes, then a match of six from two before.
  assert.equal(text(decompressPglz(Buffer.from('\x04ab\x03\x02', 'latin1'), 8)), 'abababab')
  // 18 and 100 more.
  assert.equal(text(decompressPglz(Buffer.from('\x02a\x0f\x01\x64', 'latin1'), 119)), 'a'.repeat(119))
})

test('what is cut, points before the beginning, or is of another length is no page', () => {
  for (const [bytes, length] of [
    ['\x50hell', 5],
    ['\x50hello', 6],
    ['\x14a\x02\x00', 9],
    ['\x14a\x00\x00', 9],
    ['\xf0\xff', 300],
    ['\x1f', 8192],
  ] as const)
    assert.equal(decompressLz4(Buffer.from(bytes, 'latin1'), length), undefined)
  for (const [bytes, length] of [
    ['\x00hell', 5],
    ['\x01\x03\x01', 6],
    ['\x02a\x03', 7],
    ['\x02a\x0f\x01', 30],
    ['\x00hello', 4],
  ] as const)
    assert.equal(decompressPglz(Buffer.from(bytes, 'latin1'), length), undefined)
})

test('any bytes end, with a page of the length that was asked for or without one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 1, max: 8192 }), (stored, length) => {
      for (const decompress of [decompressLz4, decompressPglz]) {
        const page = decompress(stored, length)
        assert.ok(page === undefined || page.length === length)
      }
    }),
    { numRuns: 2000 },
  )
})
