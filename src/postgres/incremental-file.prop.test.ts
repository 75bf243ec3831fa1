import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isRetakeError } from '../base/errors.ts'
import { IncrementalFileReader, incrementalPath } from './incremental-file.ts'

const BLOCK = 64

/** As the server writes it. */
function encode(blocks: readonly number[], truncationBlocks: number, contents: Buffer): Buffer {
  const bare = 12 + 4 * blocks.length
  const header = Buffer.alloc(blocks.length === 0 ? bare : Math.ceil(bare / BLOCK) * BLOCK)
  header.writeUInt32LE(0xd3ae1f0d, 0)
  header.writeUInt32LE(blocks.length, 4)
  header.writeUInt32LE(truncationBlocks, 8)
  for (const [index, block] of blocks.entries()) header.writeUInt32LE(block, 12 + 4 * index)
  return Buffer.concat([header, contents])
}

const blockLists = fc.uniqueArray(fc.nat(5000), { maxLength: 60 }).map((list) => list.sort((a, b) => a - b))

test('what the server writes is read back, in pieces of any size', () => {
  fc.assert(
    fc.property(blockLists, fc.nat(5000), fc.integer({ min: 1, max: 300 }), (blocks, truncationBlocks, step) => {
      const contents = Buffer.alloc(blocks.length * BLOCK)
      for (const [index, block] of blocks.entries()) contents.fill(block % 251, index * BLOCK, (index + 1) * BLOCK)
      const file = encode(blocks, truncationBlocks, contents)
      const reader = new IncrementalFileReader(BLOCK)
      const read: Buffer[] = []
      let headers = 0
      for (let at = 0; at < file.length; at += step) {
        for (const event of reader.push(file.subarray(at, at + step))) {
          if (event.type === 'blocks') read.push(event.bytes)
          else {
            headers += 1
            assert.deepEqual([...event.header.blocks], blocks)
            assert.equal(event.header.truncationBlocks, truncationBlocks)
            assert.equal(event.header.lengthBlocks, Math.max(truncationBlocks, (blocks.at(-1) ?? -1) + 1))
          }
        }
      }
      reader.finish()
      assert.equal(headers, 1)
      assert.ok(Buffer.concat(read).equals(contents))
    }),
  )
})

test('what is cut, too long, or not such a file is refused', () => {
  const whole = encode([1, 5], 9, Buffer.alloc(2 * BLOCK, 1))
  const refused = (bytes: Buffer) => {
    const reader = new IncrementalFileReader(BLOCK)
    assert.throws(
      () => {
        reader.push(bytes)
        reader.finish()
      },
      (error) => isRetakeError(error, 'postgres.protocol'),
    )
  }
  for (const length of [0, 5, 12, 63, 64, whole.length - 1]) refused(whole.subarray(0, length))
  refused(Buffer.concat([whole, Buffer.alloc(1)]))
  refused(encode([5, 1], 9, Buffer.alloc(2 * BLOCK)))
  refused(Buffer.alloc(200))
})

test('only names that say so are incremental files', () => {
  assert.equal(incrementalPath('base/5/INCREMENTAL.1259_vm'), 'base/5/1259_vm')
  assert.equal(incrementalPath('INCREMENTAL.x'), 'x')
  assert.equal(incrementalPath('base/5/1259'), undefined)
  assert.equal(incrementalPath('INCREMENTAL.dir/1259'), undefined)
})
