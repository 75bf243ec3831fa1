/** What networks and storages do wrong ends in another attempt or a clear error, never in a wrong success. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeBucket, s3Missing, s3Server, type TestBucket } from '../../../test/support/s3.ts'
import { type Fault, type S3Front, type SeenRequest, startS3Front } from '../../../test/support/s3-front.ts'
import type { ErrorCode } from '../../base/error-codes.ts'
import { isRetakeError } from '../../base/errors.ts'
import type { ObjectStore } from '../object-store.ts'
import { openS3Store } from './open-s3.ts'

const limits = { answerMs: 300, patienceMs: 20_000, firstPatienceMs: 1000, pauseMs: 5, longestPauseMs: 50 }

let shared: Promise<TestBucket> | undefined
let opened = 0

interface Subject extends AsyncDisposable {
  readonly store: ObjectStore
  readonly front: S3Front
}

async function open(options: { readonly conditional?: boolean; readonly patienceMs?: number } = {}): Promise<Subject> {
  const front = await startS3Front((await s3Server()).endpoint, options)
  shared ??= makeBucket()
  const { bucket } = await shared
  const url = `s3://${bucket}/${++opened}?endpoint=${front.endpoint}`
  const store = await openS3Store(url, { limits: { ...limits, ...options } })
  return {
    store,
    front,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]()
      await front[Symbol.asyncDispose]()
    },
  }
}

const put = ({ method, target }: SeenRequest) => method === 'PUT' && !target.includes('uploadId')
const get = ({ method }: SeenRequest) => method === 'GET'
const completion = ({ method, target }: SeenRequest) => method === 'POST' && target.includes('uploadId')
const part = ({ method, target }: SeenRequest) => method === 'PUT' && target.includes('partNumber=2')

const content = Buffer.from('0123456789'.repeat(2000))
const textOf = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString()

describe('an unreliable way to the storage', { skip: s3Missing }, () => {
  const passing: readonly Fault['how'][] = [
    { kind: 'status', status: 503, code: 'SlowDown' },
    { kind: 'status', status: 500, code: 'InternalError' },
    { kind: 'status', status: 502, code: 'BadGateway' },
    { kind: 'reset' },
    { kind: 'silence' },
    { kind: 'lost-answer' },
    { kind: 'delay', ms: 50 },
  ]

  for (const how of [...passing, { kind: 'flipped-body' } as const]) {
    test(`writing passes ${label(how)}, and creates once`, async () => {
      await using subject = await open()
      const { store, front } = subject
      front.plan({ matching: put, times: 2, how })
      assert.equal(await store.create('a', content), true)
      front.assertAllHit()
      assert.equal(textOf(await store.get('a')), content.toString())
      assert.equal(await store.create('a', Buffer.from('later')), false)
      front.plan({ matching: put, how })
      await store.replace('position', content)
      assert.equal(textOf(await store.get('position')), content.toString())
    })
  }

  for (const how of [
    ...passing,
    { kind: 'torn-answer', bytes: 5000 },
    { kind: 'stalled-answer', bytes: 5000 },
  ] as const) {
    test(`reading passes ${label(how)}`, async () => {
      await using subject = await open()
      const { store, front } = subject
      await store.create('a', content)
      front.plan({ matching: get, times: 2, how })
      assert.equal(textOf(await store.get('a')), content.toString())
      front.assertAllHit()
      front.plan({ matching: get, how })
      assert.equal(
        textOf(await store.get('a', { offsetBytes: 10, lengthBytes: 9000 })),
        content.toString().slice(10, 9010),
      )
      front.plan({ matching: get, how })
      assert.deepEqual(await Array.fromAsync(store.list('')), [{ key: 'a', sizeBytes: content.length }])
    })
  }

  test('an attempt that was carried out unheard does not hide that another one was first', async () => {
    await using subject = await open()
    const { store, front } = subject
    await store.create('a', Buffer.from('first'))
    front.plan({ matching: put, how: { kind: 'lost-answer' } })
    assert.equal(await store.create('a', Buffer.from('second')), false)
    assert.equal(textOf(await store.get('a')), 'first')
  })

  for (const matching of [part, completion]) {
    for (const how of [{ kind: 'lost-answer' }, { kind: 'status', status: 503, code: 'SlowDown' }] as const) {
      test(`a multipart upload passes ${label(how)} at ${matching === part ? 'a part' : 'its completion'}`, async () => {
        await using subject = await open({ conditional: true })
        const { store, front } = subject
        // The completion of the probe comes first.
        await using first = await store.openWriter('packs/first')
        for (let index = 0; index < 9; index++) await first.write(Buffer.alloc(1024 * 1024, index))
        front.plan({ matching, how })
        assert.equal(await first.commit(), true)
        front.assertAllHit()
        assert.equal((await store.head('packs/first'))?.sizeBytes, 9 * 1024 * 1024)
        assert.equal(await store.create('packs/first', Buffer.from('x')), false)
      })
    }
  }

  const lasting: readonly (readonly [Fault['how'], ErrorCode])[] = [
    [{ kind: 'silence' }, 'storage.unreachable'],
    [{ kind: 'reset' }, 'storage.unreachable'],
    [{ kind: 'stalled-answer', bytes: 10 }, 'storage.unreachable'],
    [{ kind: 'status', status: 503, code: 'SlowDown' }, 'storage.failed'],
    [{ kind: 'status', status: 500, code: 'InternalError' }, 'storage.failed'],
    [{ kind: 'status', status: 403, code: 'AccessDenied' }, 'storage.denied'],
    [{ kind: 'status', status: 403, code: 'InvalidAccessKeyId' }, 'storage.denied'],
    [{ kind: 'status', status: 403, code: 'QuotaExceeded' }, 'storage.full'],
    [{ kind: 'status', status: 404, code: 'NoSuchBucket' }, 'repo.missing'],
    [{ kind: 'status', status: 301, code: 'PermanentRedirect' }, 'config.invalid'],
    [{ kind: 'status', status: 400, code: 'InvalidStorageClass' }, 'storage.failed'],
  ]
  test('what lasts becomes an error that says what it is', async () => {
    await using subject = await open({ patienceMs: 700 })
    const { store, front } = subject
    await store.create('a', content)
    for (const [how, code] of lasting) {
      front.plan({ matching: () => true, times: Number.POSITIVE_INFINITY, how })
      const actions =
        how.kind === 'stalled-answer'
          ? [() => store.get('a')]
          : [() => store.get('a'), () => store.create('b', content)]
      for (const action of actions) {
        await assert.rejects(action, (error) => isRetakeError(error, code) && error.hint !== undefined, label(how))
      }
      front.heal()
    }
    assert.equal(await store.create('b', content), true, 'and it goes on when that has passed')
  })

  test('an answer about another stretch, and a listing out of order, are not believed', async () => {
    await using subject = await open()
    const { store, front } = subject
    for (const key of ['a', 'b', 'c']) await store.create(key, content)
    front.plan({ matching: get, how: { kind: 'rewritten', change: (text) => text.replaceAll('/b</Key>', '/0</Key>') } })
    await assert.rejects(Array.fromAsync(store.list('')), (error) => isRetakeError(error, 'storage.failed'))
    front.plan({ matching: get, how: { kind: 'rewritten', range: 'bytes 5-8/20000' } })
    await assert.rejects(store.get('a', { offsetBytes: 10, lengthBytes: 4 }), (error) =>
      isRetakeError(error, 'storage.failed'),
    )
    front.assertAllHit()
  })

  test('a place where nobody answers, and a name that nobody knows', async () => {
    await s3Server()
    for (const endpoint of ['http://127.0.0.1:9', 'http://nowhere.invalid']) {
      await assert.rejects(openS3Store(`s3://bucket?endpoint=${endpoint}`, { limits }), (error) =>
        isRetakeError(error, 'storage.unreachable'),
      )
    }
  })
})

function label(how: Fault['how']): string {
  return how.kind === 'status' ? how.code : how.kind
}
