import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeBucket, s3Missing, s3Server, withClient } from '../../test/support/s3.ts'
import { startS3Front } from '../../test/support/s3-front.ts'
import { openStore } from '../storage/open.ts'
import { isRetainedKey } from '../storage/s3/retained-keys.ts'
import { keepLocked } from './keep-locked.ts'
import { createExampleRepository } from './testing/example-repository.ts'

const DAY_MS = 24 * 60 * 60 * 1000

describe('Object Lock is kept in step', { skip: s3Missing }, () => {
  test('with a backup, everything that it needs is locked for as long as what it wrote', async () => {
    await using front = await startS3Front((await s3Server()).endpoint, { conditional: true })
    const { url, bucket, server } = await makeBucket({ lockable: true, endpoint: front.endpoint })
    const store = await openStore(`${url}&object-lock=governance&lock-days=2`)
    const { repository, cluster, backups } = await createExampleRepository(store)
    await using _repository = repository
    // A later backup that refers to what these wrote.
    const [, second] = backups
    assert.ok(second)
    const startedAt = new Date(Date.now() + 5 * DAY_MS)
    assert.ok((await keepLocked(cluster, { backupId: second.backupId, startedAt: startedAt.toISOString() })) > 5)
    const until = new Map<string, number>()
    for await (const { key } of store.list('')) {
      const head = await withClient(server, (client) => client.headObject({ Bucket: bucket, Key: key }))
      until.set(key, head.ObjectLockRetainUntilDate?.getTime() ?? 0)
      assert.equal(head.ObjectLockMode !== undefined, isRetainedKey(key), key)
    }
    const extended = [...until].filter(([, atMs]) => atMs === startedAt.getTime() + 2 * DAY_MS).map(([key]) => key)
    assert.ok(extended.includes('retake.json') && extended.includes('clusters/main/cluster'), String(extended))
    assert.ok(extended.some((key) => key.startsWith('packs/')) && extended.some((key) => key.startsWith('keys/')))
    assert.ok(extended.includes(`clusters/main/backups/${second.backupId}`))
    assert.equal(extended.filter((key) => key.startsWith('clusters/main/backups/')).length, 1)
  })
})
