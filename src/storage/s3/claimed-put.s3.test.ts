/** On a real server that overwrites: Ceph RGW 16 does, in buckets that keep versions. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { makeBucket, s3Missing, s3Server, type TestBucket, withClient } from '../../../test/support/s3.ts'
import { startS3Front } from '../../../test/support/s3-front.ts'
import { isRetakeError } from '../../base/errors.ts'
import { generateKey } from '../../repository/keys/key-material.ts'
import { createRepository } from '../../repository/repository.ts'
import { openStore } from '../open.ts'
import { testObjectStoreContract } from '../testing/object-store-contract.ts'
import { openS3Store } from './open-s3.ts'

const isPut = ({ method, target }: { readonly method: string; readonly target: string }) =>
  method === 'PUT' && !target.includes('.claims/')

async function namesIn({ bucket, server }: TestBucket): Promise<string[]> {
  const list = await withClient(server, (client) => client.listObjectVersions({ Bucket: bucket }))
  return [...(list.Versions ?? []), ...(list.DeleteMarkers ?? [])].map(({ Key }) => Key ?? '')
}

describe('a storage that overwrites', { skip: s3Missing }, () => {
  let shared: Promise<TestBucket> | undefined
  let opened = 0
  testObjectStoreContract('the S3 store with claims', async () => {
    shared ??= makeBucket({ lockable: true })
    const store = await openStore(`${(await shared).url.replace('?', `/${++opened}?`)}&create=claim`)
    return { store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() }
  })

  test('is good enough for a repository with claims; they leave nothing behind', async () => {
    const bucket = await makeBucket({ lockable: true })
    const url = `${bucket.url}&object-lock=governance&lock-days=1&create=claim`
    {
      await using _repository = await createRepository(url, generateKey())
    }
    await using store = await openStore(url)
    const stores = await Promise.all(Array.from({ length: 20 }, () => openStore(url)))
    const outcomes = await Promise.all(
      stores.map((one, index) => one.create('packs/ab/x', Buffer.from(`from ${index}`))),
    )
    for (const one of stores) await one[Symbol.asyncDispose]()
    const winner = outcomes.indexOf(true)
    assert.equal(outcomes.filter((won) => won).length, 1)
    assert.equal(Buffer.from((await store.get('packs/ab/x')) ?? []).toString(), `from ${winner}`)
    const names = await namesIn(bucket)
    assert.deepEqual(
      names.filter((name) => name.startsWith('.')),
      [],
    )
    assert.equal(names.filter((name) => name === 'packs/ab/x').length, 1, 'nobody else has written it')
  })

  test('the claim of a dead process is waited for, and then taken away', async () => {
    const bucket = await makeBucket({ lockable: true })
    const claim = '.claims/packs/ab/x/0000000000000000'
    await withClient(bucket.server, (client) => client.putObject({ Bucket: bucket.bucket, Key: claim, Body: '' }))
    const claims = { freshMs: 300, deadMs: 2500 }
    await using store = await openS3Store(`${bucket.url}&create=claim`, { claims })
    const creating = store.create('packs/ab/x', Buffer.from('x'))
    assert.equal(await Promise.race([creating, setTimeout(500, 'waiting')]), 'waiting')
    assert.equal(await creating, true)
    assert.deepEqual(await Array.fromAsync(store.list('')), [{ key: 'packs/ab/x', sizeBytes: 1 }])
  })

  test('a write whose outcome is unknown keeps others away, and is known again', async () => {
    await using front = await startS3Front((await s3Server()).endpoint)
    const bucket = await makeBucket({ lockable: true, endpoint: front.endpoint })
    const limits = { answerMs: 300, patienceMs: 500, firstPatienceMs: 500, pauseMs: 5 }
    const claims = { freshMs: 500, deadMs: 60_000 }
    await using store = await openS3Store(`${bucket.url}&create=claim`, { limits, claims })
    front.plan({ matching: isPut, times: Number.POSITIVE_INFINITY, how: { kind: 'silence' } })
    await assert.rejects(store.create('a', Buffer.from('x')), (error) => isRetakeError(error, 'storage.unreachable'))
    assert.equal((await namesIn(bucket)).filter((name) => name.startsWith('.claims/a/')).length, 1)
    front.heal()
    front.plan({ matching: isPut, how: { kind: 'lost-answer' } })
    assert.equal(await store.create('b', Buffer.from('x')), true)
    front.assertAllHit()
  })
})
