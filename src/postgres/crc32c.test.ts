import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createCRC32 } from 'hash-wasm'
import { crc32c } from './crc32c.ts'

test('gives the published check value', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  assert.equal(crc32c(new Uint8Array(0)), 0)
  // RFC 3720, appendix B.4: 32 bytes of zeros, and of ones.
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa)
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43)
})

test('agrees with another implementation, whole and in pieces', async () => {
  const other = await createCRC32(0x82f63b78)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (bytes, cut) => {
      const expected = Number.parseInt(other.init().update(bytes).digest(), 16)
      assert.equal(crc32c(bytes), expected)
      assert.equal(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))), expected)
    }),
  )
})
