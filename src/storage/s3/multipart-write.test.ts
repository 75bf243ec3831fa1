import assert from 'node:assert/strict'
import { test } from 'node:test'
import { partBytes } from './multipart-write.ts'
import { FIRST_PART_BYTES } from './s3-writer.ts'

test('ten thousand parts, which is all there may be, hold the largest object there may be', () => {
  let totalBytes = 0
  for (let part = 1; part <= 10_000; part++) totalBytes += partBytes(part, FIRST_PART_BYTES)
  assert.ok(totalBytes >= 5 * 1024 ** 4)
  assert.equal(partBytes(1, FIRST_PART_BYTES), FIRST_PART_BYTES)
  assert.ok(partBytes(10_000, FIRST_PART_BYTES) <= 5 * 1024 ** 3, 'no part is larger than a part may be')
})
