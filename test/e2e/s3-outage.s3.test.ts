/** The bucket fails in the middle of a backup and of reception: both go on when it is back, and nothing acknowledged is lost. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { compareDigests, digestDatabase } from '../../src/demo/content-digest.ts'
import { generateKey } from '../../src/repository/keys/key-material.ts'
import { createRepository } from '../../src/repository/repository.ts'
import { verifyRepository } from '../../src/repository/verify.ts'
import { protect, waitArchived, waitStreaming } from '../support/lab.ts'
import '../support/leaks.ts'
import { anyMajor, startTestServer } from '../support/postgres.ts'
import { restore } from '../support/restore.ts'
import { makeBucket, s3Missing, s3Server } from '../support/s3.ts'
import { type Fault, startS3Front } from '../support/s3-front.ts'

const OUTAGES: readonly Fault['how'][] = [
  { kind: 'status', status: 503, code: 'SlowDown' },
  { kind: 'reset' },
  { kind: 'lost-answer' },
]

describe('a bucket that fails for a while', { skip: s3Missing }, () => {
  test('costs time, and nothing else', async () => {
    await using front = await startS3Front((await s3Server()).endpoint, { conditional: true })
    const { url } = await makeBucket({ endpoint: front.endpoint })
    const key = generateKey()
    {
      await using _repository = await createRepository(url, key)
    }
    await using server = await startTestServer({ major: anyMajor() })
    await using protection = await protect(server, { into: { url, key } })
    await using receiver = protection.receive()
    await waitStreaming(server)
    await server.query('create table t (n bigint, word text)')
    let running = true
    const writing = (async () => {
      for (let n = 0; running; n++) {
        await server.query('insert into t select $1, md5(g::text) from generate_series(1, 200) g', [n])
        await setTimeout(20)
      }
    })()
    const backup = protection.backUp()
    for (const how of OUTAGES) {
      const before = front.requests.length
      front.plan({ matching: () => true, times: Number.POSITIVE_INFINITY, how })
      while (front.requests.length < before + 10) await setTimeout(20)
      front.heal()
      await setTimeout(300)
    }
    await backup
    running = false
    await writing
    const expected = await digestDatabase(server)
    await waitArchived(server)
    await receiver.stop()
    const { findings } = await verifyRepository({ repository: protection.repository, depth: 'deep' })
    assert.deepEqual(
      findings.filter(({ severity }) => severity === 'error'),
      [],
    )
    await using restored = await restore({ url, key }, { at: 'latest' })
    assert.deepEqual(compareDigests(expected, await digestDatabase(restored)), [])
  })
})
