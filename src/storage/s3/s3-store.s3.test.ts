import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { describe, test } from 'node:test'
import { makeBucket, s3Missing, s3Server, type TestBucket, withClient } from '../../../test/support/s3.ts'
import { type S3Front, startS3Front } from '../../../test/support/s3-front.ts'
import type { ObjectStore } from '../object-store.ts'
import { openStore } from '../open.ts'
import { testObjectStoreContract } from '../testing/object-store-contract.ts'
import { cleanAbandonedUploads } from './abandoned-uploads.ts'
import { openS3Place } from './open-s3.ts'

const PIECE = Buffer.alloc(1024 * 1024 + 17)

async function writeLarge(store: ObjectStore, key: string): Promise<boolean> {
  await using writer = await store.openWriter(key)
  for (let index = 0; index < 20; index++) await writer.write([PIECE.fill(index)])
  assert.equal(await store.head(key), undefined, 'it is invisible until it is committed')
  return await writer.commit()
}

async function assertLarge(store: ObjectStore, key: string): Promise<void> {
  const whole = Buffer.from((await store.get(key)) ?? [])
  assert.equal(whole.length, 20 * PIECE.length)
  for (let index = 0; index < 20; index++) {
    const stretch = { offsetBytes: index * PIECE.length, lengthBytes: PIECE.length }
    assert.ok(Buffer.from((await store.get(key, stretch)) ?? []).equals(PIECE.fill(index)))
    assert.ok(whole.subarray(stretch.offsetBytes, stretch.offsetBytes + stretch.lengthBytes).equals(PIECE))
  }
}

/** Large objects that meet an object of their name, and those that race. */
async function testLarge(store: ObjectStore): Promise<void> {
  assert.equal(await writeLarge(store, 'packs/large'), true)
  await assertLarge(store, 'packs/large')
  await using late = await store.openWriter('packs/taken')
  for (let index = 0; index < 20; index++) await late.write(PIECE)
  assert.equal(await store.create('packs/taken', Buffer.from('early')), true)
  assert.equal(await late.commit(), false)
  assert.equal(Buffer.from((await store.get('packs/taken')) ?? []).toString(), 'early')
  const outcomes = await Promise.all(
    Array.from({ length: 4 }, () => writeLarge(store, 'packs/raced').catch(() => 'seen')),
  )
  assert.equal(outcomes.filter((outcome) => outcome === true).length, 1, String(outcomes))
}

async function unfinishedUploads(bucket: string): Promise<number> {
  const list = await withClient(await s3Server(), (client) => client.listMultipartUploads({ Bucket: bucket }))
  return list.Uploads?.length ?? 0
}

let opened = 0

describe('on a real server', { skip: s3Missing }, () => {
  let shared: Promise<TestBucket> | undefined
  testObjectStoreContract('the S3 store', async () => {
    shared ??= makeBucket()
    // Repositories beside each other in one bucket, some under names that begin alike, must not see each other.
    const { url } = await shared
    const store = await openStore(url.replace('?', `/team/${'x'.repeat(++opened)}?`))
    return { store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() }
  })

  test('where uploads are completed over existing names, a large object goes by a spool file', async () => {
    const { url, bucket } = await makeBucket()
    const before = await readdir(tmpdir())
    {
      await using store = await openStore(url)
      await testLarge(store)
    }
    assert.equal(await unfinishedUploads(bucket), 0)
    assert.deepEqual(await readdir(tmpdir()), before)
  })

  test('where they are not, it goes by a multipart upload; what is given up is taken back', async () => {
    await using front = await startS3Front((await s3Server()).endpoint, { conditional: true })
    const { url, bucket } = await makeBucket({ endpoint: front.endpoint })
    await using store = await openStore(url)
    await testLarge(store)
    assert.ok(uploadedParts(front) >= 9, `${uploadedParts(front)} parts`)
    {
      await using writer = await store.openWriter('packs/given-up')
      for (let index = 0; index < 20; index++) await writer.write(PIECE)
      assert.equal(await unfinishedUploads(bucket), 1)
    }
    assert.equal(await unfinishedUploads(bucket), 0)
    assert.equal(await store.head('packs/given-up'), undefined)
  })

  test('what others put beside and between the objects is not listed', async () => {
    const { url, bucket, server } = await makeBucket()
    await using store = await openStore(url.replace('?', '/team/prod?'))
    for (const key of ['a', 'b/c', 'z']) await store.create(key, Buffer.from('x'))
    for (const Key of ['team/', 'team/prod/', 'team/prod/b/', 'team/prod/ä b', 'team/prod/\u{10000}', 'team/prod2/x']) {
      await withClient(server, (client) => client.putObject({ Bucket: bucket, Key, Body: '' }))
    }
    assert.deepEqual(
      (await Array.fromAsync(store.list(''))).map(({ key }) => key),
      ['a', 'b/c', 'z'],
    )
    assert.deepEqual(
      (await Array.fromAsync(store.list('', { startAfter: 'a' }))).map(({ key }) => key),
      ['b/c', 'z'],
    )
  })

  test('what killed processes left unfinished is ended when it is old, and not before', async () => {
    const { url, bucket, server } = await makeBucket()
    await withClient(server, (client) => client.createMultipartUpload({ Bucket: bucket, Key: 'team/packs/left' }))
    await withClient(server, (client) => client.createMultipartUpload({ Bucket: bucket, Key: 'other/packs/left' }))
    const place = await openS3Place(url.replace('?', '/team?'))
    try {
      assert.equal(await cleanAbandonedUploads(place), 0)
      const inEightDays = new Date(Date.now() + 8 * 24 * 60 * 60 * 1000)
      assert.equal(await cleanAbandonedUploads(place, { now: inEightDays }), 1)
      assert.equal(await unfinishedUploads(bucket), 1, 'that of another prefix stays')
    } finally {
      place.close()
    }
  })
})

function uploadedParts(front: S3Front): number {
  return front.requests.filter(({ method, target }) => method === 'PUT' && target.includes('partNumber=')).length
}
