/** A storage that shows an old listing must not make a verification say that all is well. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeBucket, s3Missing, s3Server } from '../../test/support/s3.ts'
import { startS3Front } from '../../test/support/s3-front.ts'
import { openStore } from '../storage/open.ts'
import { createExampleRepository } from './testing/example-repository.ts'
import { verifyRepository } from './verify.ts'

const PREFIXES = ['clusters/main/backups/', 'clusters/main/wal/']

describe('a storage that lies about what it holds', { skip: s3Missing }, () => {
  test('what an old listing hides is named, never passed over', async () => {
    await using front = await startS3Front((await s3Server()).endpoint)
    const { url } = await makeBucket({ endpoint: front.endpoint })
    const store = await openStore(url)
    // The proxy keeps the first answer to each question: here, that there is nothing yet.
    for (const prefix of PREFIXES) assert.deepEqual(await Array.fromAsync(store.list(prefix)), [])
    const { repository } = await createExampleRepository(store)
    await using _repository = repository
    const { findings } = await verifyRepository({ repository, depth: 'quick' })
    const before = findings.map(({ object, problem }) => `${object} ${problem}`)
    for (const prefix of PREFIXES) {
      front.plan({
        matching: ({ target }) => target.includes(`prefix=${encodeURIComponent(prefix)}`),
        times: Number.POSITIVE_INFINITY,
        how: { kind: 'old-answer' },
      })
      const outcome = await verifyRepository({ repository, depth: 'quick' }).then(
        ({ findings }) => findings.map(({ object, problem }) => `${object} ${problem}`),
        () => ['refused'],
      )
      front.assertAllHit()
      assert.ok(
        outcome.some((finding) => !before.includes(finding)),
        `an old listing of ${prefix} passed for a whole repository: ${outcome.join('; ')}`,
      )
      front.heal()
    }
  })
})
