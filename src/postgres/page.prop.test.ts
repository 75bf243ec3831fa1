import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { findBadPages, pageChecksum, pageLsn } from './page.ts'

const page = (sizeBytes: number, seed: number) => {
  const words = new Int32Array(sizeBytes / 4)
  let state = seed | 1
  for (let at = 0; at < words.length; at += 1) {
    state = Math.imul(state, 1_664_525) + 1_013_904_223
    words[at] = state
  }
  return words
}

/** Pages with right checksums, as if they were blocks from `firstBlockNumber` on. */
function sealedPages(
  count: number,
  options: { blockSizeBytes: number; firstBlockNumber: number; seed: number },
): Buffer {
  const { blockSizeBytes, firstBlockNumber, seed } = options
  return Buffer.concat(
    Array.from({ length: count }, (_, index) => {
      const words = page(blockSizeBytes, seed + index)
      const bytes = Buffer.from(words.buffer)
      bytes.writeUInt16LE(pageChecksum(words, firstBlockNumber + index), 8)
      return bytes
    }),
  )
}

const place = fc.record({
  blockSizeBytes: fc.constantFrom(1024, 4096, 8192, 32_768),
  firstBlockNumber: fc.oneof(fc.nat(1_000_000), fc.integer({ min: 0xffff_ff00, max: 0xffff_ffe0 })),
  seed: fc.nat(),
})

describe('page checksums', () => {
  test('a checksum never depends on what stands in its own place, and is never 0', () => {
    fc.assert(
      fc.property(place, fc.nat(0xffff), ({ blockSizeBytes, firstBlockNumber, seed }, stored) => {
        const words = page(blockSizeBytes, seed)
        const before = pageChecksum(words, firstBlockNumber)
        Buffer.from(words.buffer).writeUInt16LE(stored, 8)
        assert.equal(pageChecksum(words, firstBlockNumber), before)
        assert.ok(before >= 1 && before <= 65_535)
      }),
    )
  })

  test('any flipped byte is found, in its page and in no other', () => {
    fc.assert(
      fc.property(place, fc.nat(), fc.integer({ min: 1, max: 255 }), (options, position, change) => {
        const bytes = sealedPages(3, options)
        assert.deepEqual(findBadPages(bytes, options), [])
        const at = position % bytes.length
        bytes.writeUInt8(bytes.readUInt8(at) ^ change, at)
        const expected = options.firstBlockNumber + Math.floor(at / options.blockSizeBytes)
        assert.deepEqual(
          findBadPages(bytes, options).map((finding) => finding.blockNumber),
          [expected],
        )
      }),
      { numRuns: 200 },
    )
  })

  test('a page in the place of another is found', () => {
    fc.assert(
      fc.property(place, fc.integer({ min: 1, max: 31 }), (options, moved) => {
        const bytes = sealedPages(2, options)
        const findings = findBadPages(bytes, { ...options, firstBlockNumber: options.firstBlockNumber + moved })
        assert.equal(findings.length, 2)
      }),
    )
  })

  test('pages of zeros are fine, but not one with a single byte set', () => {
    const bytes = Buffer.alloc(3 * 8192)
    const options = { firstBlockNumber: 0, blockSizeBytes: 8192 }
    assert.deepEqual(findBadPages(bytes, options), [])
    bytes.writeUInt8(1, 8192 + 5000)
    assert.deepEqual(findBadPages(bytes, options), [{ blockNumber: 1, lsn: 0n }])
  })

  test('memory that is shared or not aligned is read alike, and what follows the last whole page is not looked at', () => {
    const options = { firstBlockNumber: 7, blockSizeBytes: 8192, seed: 5 }
    const bytes = sealedPages(2, options)
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length))
    shared.set(bytes)
    assert.deepEqual(findBadPages(shared, options), [])
    const odd = Buffer.concat([Buffer.alloc(1), bytes, Buffer.from('rest')]).subarray(1)
    assert.deepEqual(findBadPages(odd, options), [])
    odd.writeUInt8(odd.readUInt8(100) ^ 1, 100)
    assert.deepEqual(
      findBadPages(odd, options).map((finding) => finding.blockNumber),
      [7],
    )
  })

  test('the position of the last change is two halves, the upper one first', () => {
    const words = new Int32Array(2048)
    words[0] = 0x12
    words[1] = 0xfedcba98
    assert.equal(pageLsn(words), 0x12fedcba98n)
  })
})
