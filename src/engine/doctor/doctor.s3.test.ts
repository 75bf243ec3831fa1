import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeBucket, s3Missing, s3Server } from '../../../test/support/s3.ts'
import { startS3Front } from '../../../test/support/s3-front.ts'
import { generateKey } from '../../repository/keys/key-material.ts'
import { createRepository } from '../../repository/repository.ts'
import { diagnose } from './doctor.ts'

describe('doctor on a bucket', { skip: s3Missing }, () => {
  test('tries the storage, and tells one that may not be written from one that overwrites', async () => {
    await using front = await startS3Front((await s3Server()).endpoint, { conditional: true })
    // The server itself overwrites in a bucket that keeps versions; the proxy does not let it.
    const { url, bucket, server } = await makeBucket({ lockable: true, endpoint: front.endpoint })
    const key = generateKey()
    await using _repository = await createRepository(url, key)
    const states = async (repo: string) => {
      // Nobody answers there; what is asked of the server is not what this is about.
      const databaseUrl = 'postgres://nobody@127.0.0.1:9/postgres'
      const { checks } = await diagnose({ repo, key, databaseUrl }, { stepLimitMs: 60_000 })
      const of = (id: string) => checks.find((check) => check.id === id)
      return { writable: of('repository.writable'), storage: of('repository.storage') }
    }
    const good = await states(url)
    assert.deepEqual([good.writable?.state, good.storage?.state], ['passed', 'passed'])

    const isPut = ({ method }: { readonly method: string }) => method === 'PUT'
    front.plan({ matching: isPut, times: 1, how: { kind: 'status', status: 403, code: 'AccessDenied' } })
    const denied = await states(url)
    assert.deepEqual([denied.writable?.state, denied.storage?.state], ['failed', 'skipped'])
    assert.match(denied.writable?.fix ?? '', /s3:PutObject/)

    const overwriting = await states(`s3://${bucket}?endpoint=${server.endpoint}`)
    assert.deepEqual([overwriting.writable?.state, overwriting.storage?.state], ['passed', 'failed'])
    assert.match(overwriting.storage?.finding ?? '', /second write/)
    front.assertAllHit()
  })
})
