/** Object Lock and versions, as a real server enforces them. What it does not (see s3-front.ts), a proxy before it does. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeBucket, s3Missing, s3Server, type TestBucket, withClient } from '../../../test/support/s3.ts'
import { startS3Front } from '../../../test/support/s3-front.ts'
import { isRetakeError } from '../../base/errors.ts'
import { generateKey } from '../../repository/keys/key-material.ts'
import { createRepository } from '../../repository/repository.ts'
import type { ObjectStore } from '../object-store.ts'
import { openStore } from '../open.ts'
import { KEPT_VERSIONS } from './s3-versions.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const PACK = 'packs/ab/0123'
const content = Buffer.from('content')

interface Subject extends AsyncDisposable, TestBucket {
  readonly store: ObjectStore
}

async function open(mode: 'compliance' | 'governance'): Promise<Subject> {
  const front = await startS3Front((await s3Server()).endpoint, { conditional: true })
  const bucket = await makeBucket({ lockable: true, endpoint: front.endpoint })
  const store = await openStore(`${bucket.url}&object-lock=${mode}&lock-days=3`)
  return {
    ...bucket,
    store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]()
      await front[Symbol.asyncDispose]()
    },
  }
}

/** Of all objects: versions and marks of deletion. */
async function versions({ bucket, server }: TestBucket) {
  const list = await withClient(server, (client) => client.listObjectVersions({ Bucket: bucket }))
  return [...(list.Versions ?? []), ...(list.DeleteMarkers ?? [])].map(({ Key, VersionId }) => ({ Key, VersionId }))
}

async function retentionOf({ bucket, server }: TestBucket, key: string) {
  const answer = await withClient(server, (client) => client.getObjectRetention({ Bucket: bucket, Key: key }))
  return { mode: answer.Retention?.Mode, untilMs: answer.Retention?.RetainUntilDate?.getTime() ?? 0 }
}

async function assertLocked(store: ObjectStore, key: string): Promise<void> {
  await assert.rejects(
    store.delete(key),
    (error) => isRetakeError(error, 'storage.locked') && Date.parse(String(error.details.until)) > Date.now(),
  )
  assert.ok(await store.get(key), 'it is still there')
}

describe('a bucket with Object Lock', { skip: s3Missing }, () => {
  for (const mode of ['compliance', 'governance'] as const) {
    test(`${mode}: what a restore needs is locked as it is written, and not deleted`, async () => {
      await using subject = await open(mode)
      const { store, bucket, server } = subject
      assert.equal(await store.create(PACK, content), true)
      const { mode: found, untilMs } = await retentionOf(subject, PACK)
      assert.equal(found, mode.toUpperCase())
      assert.ok(Math.abs(untilMs - Date.now() - 3 * DAY_MS) < DAY_MS / 24)
      await assertLocked(store, PACK)
      {
        await using writer = await store.openWriter('clusters/main/backups/20261122T120000Z-0000000c')
        for (let index = 0; index < 9; index++) await writer.write(Buffer.alloc(1024 * 1024))
        assert.equal(await writer.commit(), true)
      }
      await assertLocked(store, 'clusters/main/backups/20261122T120000Z-0000000c')
      const [version] = await versions(subject)
      await assert.rejects(
        withClient(server, (client) => client.deleteObject({ Bucket: bucket, ...version, Key: version?.Key })),
        'the server itself refuses',
      )
    })
  }

  test('retention is extended and never shortened', async () => {
    await using subject = await open('compliance')
    const { store } = subject
    await store.create(PACK, content)
    const later = new Date(Date.now() + 10 * DAY_MS)
    assert.deepEqual(await store.retain?.(PACK, later), later)
    assert.equal((await retentionOf(subject, PACK)).untilMs, later.getTime())
    assert.deepEqual(await store.retain?.(PACK, new Date(Date.now() + DAY_MS)), later)
    assert.equal((await retentionOf(subject, PACK)).untilMs, later.getTime())
    assert.equal(await store.retain?.('packs/ab/none', later), undefined)
  })

  test('what comes and goes is not locked, and leaves nothing behind', async () => {
    await using subject = await open('compliance')
    const { store } = subject
    const lease = 'clusters/main/leases/wal/0000000000000001'
    const tail = 'clusters/main/wal/00000001/tail/0000000000000007-00000000-0123abcd'
    const position = 'clusters/main/wal/position'
    for (const key of [lease, tail]) assert.equal(await store.create(key, content), true)
    for (let index = 0; index < KEPT_VERSIONS + 4; index++) {
      await store.replace(lease, content)
      await store.replace(position, content)
    }
    await using other = await openStore(store.url)
    await other.replace(position, content)
    const kept = (await versions(subject)).map(({ Key }) => Key)
    for (const key of [lease, position]) {
      assert.equal(kept.filter((one) => one === key).length, 1 + KEPT_VERSIONS, `${key}: a few for who is reading`)
    }
    assert.equal(kept.filter((one) => one === tail).length, 1)
    for (const key of [lease, tail, position]) assert.equal(await store.delete(key), true)
    assert.equal(await store.delete(lease), false)
    assert.equal(await store.create(lease, content), true, 'a deleted name is free again')
    assert.equal(await store.delete(lease), true)
    assert.deepEqual(await versions(subject), [])
  })

  test('what is sealed anew leaves nothing of what it replaced, where no lock keeps it', async () => {
    const subject = await makeBucket({ lockable: true })
    await using store = await openStore(subject.url)
    for (const text of ['old', 'newer', 'newest']) await store.replace('keys/0123.json', Buffer.from(text))
    assert.equal((await versions(subject)).length, 1)
    assert.equal(Buffer.from((await store.get('keys/0123.json')) ?? []).toString(), 'newest')
  })

  test('when its time is over it is deleted with all that was kept of it', async () => {
    await using subject = await open('governance')
    const { store, bucket, server } = subject
    await store.create(PACK, content)
    await assertLocked(store, PACK)
    await withClient(server, (client) =>
      client.putObjectRetention({
        Bucket: bucket,
        Key: PACK,
        BypassGovernanceRetention: true,
        Retention: { Mode: 'GOVERNANCE', RetainUntilDate: new Date(Date.now() + 1500) },
      }),
    )
    while (await store.head(PACK)) {
      await store
        .delete(PACK)
        .catch((error: unknown) => assert.ok(isRetakeError(error, 'storage.locked'), String(error)))
    }
    assert.deepEqual(await versions(subject), [])
  })

  test('a legal hold keeps an object too', async () => {
    await using subject = await open('governance')
    const { store, bucket, server } = subject
    const key = 'clusters/main/runs/20261122T120000Z-0000000c.begun'
    await store.create(key, content)
    const hold = (Status: 'ON' | 'OFF') =>
      withClient(server, (client) => client.putObjectLegalHold({ Bucket: bucket, Key: key, LegalHold: { Status } }))
    await hold('ON')
    await assert.rejects(store.delete(key), (error) => isRetakeError(error, 'storage.locked'))
    await hold('OFF')
    assert.equal(await store.delete(key), true)
  })

  test('where versions may not be deleted, an object is hidden', async () => {
    const front = await startS3Front((await s3Server()).endpoint, { conditional: true })
    await using _front = front
    const subject = await makeBucket({ lockable: true, endpoint: front.endpoint })
    await using store = await openStore(subject.url)
    await store.create(PACK, content)
    front.plan({
      matching: ({ method, target }) => method === 'DELETE' && target.includes('versionId'),
      times: Number.POSITIVE_INFINITY,
      how: { kind: 'status', status: 403, code: 'AccessDenied' },
    })
    assert.equal(await store.delete(PACK), true)
    front.assertAllHit()
    assert.equal(await store.head(PACK), undefined)
    assert.deepEqual(await Array.fromAsync(store.list('')), [])
    assert.equal((await versions(subject)).length, 2)
  })

  test('no repository is made where a second write overwrites, nor where the lock that is asked for is missing', async () => {
    // This server does not look at If-None-Match in buckets that keep versions.
    const { url } = await makeBucket({ lockable: true })
    await assert.rejects(createRepository(url, generateKey()), (error) => isRetakeError(error, 'storage.unsupported'))
    await using store = await openStore(url)
    assert.deepEqual(await Array.fromAsync(store.list('')), [])
    const plain = await makeBucket()
    await assert.rejects(
      createRepository(`${plain.url}&object-lock=compliance&lock-days=1`, generateKey()),
      (error) => isRetakeError(error, 'storage.unsupported') && /Object Lock/.test(error.message),
    )
  })
})
