/** Delta restores from a bucket: by range requests, in this thread and in others. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openDeltaStage } from '../../../test/support/delta.ts'
import '../../../test/support/leaks.ts'
import { startTestServer } from '../../../test/support/postgres.ts'
import { makeBucket, s3Missing } from '../../../test/support/s3.ts'
import { generateKey } from '../../repository/keys/key-material.ts'
import { createRepository } from '../../repository/repository.ts'

describe('a delta restore from a bucket', { skip: s3Missing }, () => {
  test('fetches only what differs, and makes the directory what a fresh restore is', async () => {
    const { url } = await makeBucket()
    const key = generateKey()
    {
      await using _repository = await createRepository(url, key)
    }
    await using server = await startTestServer()
    await using stage = await openDeltaStage(server, { into: { url, key } })
    const { cluster } = stage.lab
    for (const workers of [0, 1]) {
      const { fetchedBytes, comparedBytes = 0 } = await stage.restoreInto(`used ${workers}`, { cluster, workers })
      assert.ok(fetchedBytes > 0 && fetchedBytes < comparedBytes / 10, `fetched ${fetchedBytes} of ${comparedBytes}`)
    }
  })
})
