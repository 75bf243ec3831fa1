import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeBucket, s3Missing } from '../../../test/support/s3.ts'
import { openStore } from '../open.ts'
import { testObjectStoreContract } from '../testing/object-store-contract.ts'

describe('on a real server', { skip: s3Missing }, () => {
  testObjectStoreContract('the S3 store', async () => {
    const { url } = await makeBucket()
    const store = await openStore(url)
    return { store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() }
  })

  testObjectStoreContract('the S3 store with a prefix', async () => {
    const { url } = await makeBucket()
    await using other = await openStore(url.replace('?', '/other?'))
    await other.create('a', Buffer.from('of another repository'))
    const store = await openStore(url.replace('?', '/team/prod?'))
    return { store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() }
  })

  test('a large object goes through and is read in stretches', async () => {
    const { url } = await makeBucket()
    await using store = await openStore(url)
    const piece = Buffer.alloc(1024 * 1024 + 17)
    await using writer = await store.openWriter('packs/large')
    for (let index = 0; index < 20; index++) await writer.write([piece.fill(index)])
    assert.equal(await store.head('packs/large'), undefined)
    assert.equal(await writer.commit(), true)
    assert.equal((await store.head('packs/large'))?.sizeBytes, 20 * piece.length)
    const whole = Buffer.from((await store.get('packs/large')) ?? [])
    for (let index = 0; index < 20; index++) {
      const stretch = { offsetBytes: index * piece.length, lengthBytes: piece.length }
      assert.ok(Buffer.from((await store.get('packs/large', stretch)) ?? []).equals(piece.fill(index)))
      assert.ok(whole.subarray(stretch.offsetBytes, stretch.offsetBytes + stretch.lengthBytes).equals(piece))
    }
  })
})
