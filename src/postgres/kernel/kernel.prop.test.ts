/** The kernel in WebAssembly computes what the TypeScript says that it computes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { crc32c } from '../crc32c.ts'
import { findBadPages, openPageKernel, pageChecksum } from '../page.ts'
import { createCrcWindow, PlainWindow, WINDOW_BYTES } from './crc-window.ts'
import { openKernel, sharedMemory } from './kernel.ts'

const memory = sharedMemory(1024 * 1024)
const view = new Uint8Array(memory.buffer)

/** Every kind of page: right, wrong, zeros, zeros but for one byte, right for another place. */
const pages = fc.array(fc.constantFrom('right', 'wrong', 'zeros', 'nearly-zeros', 'elsewhere'), {
  minLength: 1,
  maxLength: 9,
})

function layPages(
  kinds: readonly string[],
  options: { readonly blockSizeBytes: number; readonly firstBlockNumber: number; readonly seed: number },
): Buffer {
  const { blockSizeBytes, firstBlockNumber, seed } = options
  let state = seed | 1
  return Buffer.concat(
    kinds.map((kind, index) => {
      const words = new Int32Array(blockSizeBytes / 4)
      const bytes = Buffer.from(words.buffer)
      if (kind === 'nearly-zeros') bytes.writeUInt8(1, Math.abs(state) % blockSizeBytes)
      if (kind.endsWith('zeros')) return bytes
      for (let at = 0; at < words.length; at++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
        words[at] = state
      }
      const block = firstBlockNumber + index + (kind === 'elsewhere' ? 1 : 0)
      bytes.writeUInt16LE(pageChecksum(words, block) ^ (kind === 'wrong' ? 1 : 0), 8)
      return bytes
    }),
  )
}

test('this machine has a kernel', () => {
  assert.ok(openKernel(memory), 'Node 24 compiles it wherever PostgreSQL runs')
})

test('the same bad pages are found by the kernel and by JavaScript', () => {
  const kernel = openPageKernel(memory)
  assert.ok(kernel)
  fc.assert(
    fc.property(
      pages,
      fc.constantFrom(1024, 4096, 8192, 32_768),
      fc.oneof(fc.nat(1_000_000), fc.integer({ min: 0xffff_ff00, max: 0xffff_ffe0 })),
      fc.integer(),
      fc.nat(40),
      (kinds, blockSizeBytes, firstBlockNumber, seed, offset) => {
        const bytes = layPages(kinds, { blockSizeBytes, firstBlockNumber, seed })
        view.set(bytes, offset)
        const options = { firstBlockNumber, blockSizeBytes }
        const found = findBadPages(view.subarray(offset, offset + bytes.length), { ...options, kernel })
        assert.deepEqual(found, findBadPages(bytes, options))
        const wrong = kinds.flatMap((kind, index) => (kind === 'right' || kind === 'zeros' ? [] : [index]))
        assert.deepEqual(
          found.map(({ blockNumber }) => blockNumber - firstBlockNumber),
          wrong,
        )
      },
    ),
    { numRuns: 150 },
  )
})

test('bytes outside of the memory of a kernel are checked all the same', () => {
  const kernel = openPageKernel(memory)
  const bytes = layPages(['right', 'wrong'], { blockSizeBytes: 8192, firstBlockNumber: 3, seed: 7 })
  view.fill(1)
  assert.deepEqual(
    findBadPages(bytes, { firstBlockNumber: 3, blockSizeBytes: 8192, kernel }).map(({ blockNumber }) => blockNumber),
    [4],
  )
})

for (const [name, window] of [
  ['the kernel', createCrcWindow()],
  ['JavaScript', new PlainWindow()],
] as const) {
  test(`CRC-32C of any stretch, in pieces, is the same by ${name}`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), fc.nat(), (bytes, first, second) => {
        const [begin = 0, end = 0] = [first % (bytes.length + 1), second % (bytes.length + 1)].sort((a, b) => a - b)
        window.load(bytes)
        const head = window.crc32c({ begin: 0, end: begin, previous: 0 })
        assert.equal(head, crc32c(bytes.subarray(0, begin)))
        assert.equal(window.crc32c({ begin, end, previous: head }), crc32c(bytes.subarray(0, end)))
      }),
    )
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 24, maxLength: 300 }), fc.nat(30), (bytes, begin) => {
        window.load(Buffer.concat([Buffer.alloc(begin, 1), bytes, Buffer.alloc(8, 1)]))
        const expected = crc32c(bytes.subarray(0, 20), crc32c(bytes.subarray(24)))
        assert.equal(window.recordCrc32c(begin, begin + bytes.length), expected)
      }),
    )
    const large = new Uint8Array(WINDOW_BYTES).map((_, index) => (index * 7) & 0xff)
    window.load(large)
    assert.equal(window.crc32c({ begin: 0, end: WINDOW_BYTES, previous: 0 }), crc32c(large))
  })
}
