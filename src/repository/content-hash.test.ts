import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createContentHasher, hashContent, loadWasm } from './content-hash.ts'

test('native and WASM give the same id, whole and in pieces, also with interleaved hashers', async () => {
  const createWasm = await loadWasm()
  for (const length of [0, 1, 63, 64, 65, 1024, 1025, 100_000]) {
    const [key, otherKey, bytes] = [randomBytes(32), randomBytes(32), randomBytes(length)]
    const wasm = createWasm(key)
    const other = createWasm(otherKey)
    const native = createContentHasher(key)
    const cut = length >> 1
    for (const piece of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
      wasm.update(piece)
      other.update(piece)
      native.update(piece)
    }
    const id = hashContent(key, bytes)
    assert.equal(wasm.digest(), id)
    assert.equal(native.digest(), id)
    assert.equal(other.digest(), hashContent(otherKey, bytes))
    assert.notEqual(id, hashContent(otherKey, bytes))
  }
})

test('the official BLAKE3 test vector for keyed hashing of one byte', () => {
  const key = Buffer.from('whats the Elvish word for friend')
  const expected = '6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b'
  assert.equal(Buffer.from(hashContent(key, Uint8Array.of(0)), 'base64url').toString('hex'), expected)
})
