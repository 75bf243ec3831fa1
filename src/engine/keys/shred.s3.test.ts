/** Shredding where one of two copies is a bucket that can lock what it stores. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { makeBucket, s3Missing, s3Server, withClient } from '../../../test/support/s3.ts'
import { startS3Front } from '../../../test/support/s3-front.ts'
import { isRetakeError } from '../../base/errors.ts'
import { REFERRING_KEYS } from '../../repository/layout.ts'
import { syncRepository } from '../../repository/mirrors/sync.ts'
import { openRepository } from '../../repository/repository.ts'
import { createExampleRepository } from '../../repository/testing/example-repository.ts'
import { createSharedView } from '../../storage/mirrored/shared-view.ts'
import { openStore } from '../../storage/open.ts'
import { DEFAULT_TIME_LIMITS } from '../../storage/store-address.ts'
import { temporaryDirectory } from '../../storage/testing/temporary-directory.ts'
import { assembleRetake, retakeSettings } from '../open.ts'
import { shredCluster } from './shred.ts'

const KEY = 'clusters/main/keys/00000001'
const confirmed = { cluster: 'main', confirm: 'main' }

describe('shredding a cluster of a directory and a bucket', { skip: s3Missing }, () => {
  test('the bucket is asked for locks and holds of every version; what it does not tell refuses', async () => {
    await using front = await startS3Front((await s3Server()).endpoint, { conditional: true })
    const { url, bucket, server } = await makeBucket({ lockable: true, endpoint: front.endpoint })
    await using directory = await temporaryDirectory()
    const origin = join(directory.path, 'origin')
    const example = await createExampleRepository(await openStore(origin, { create: true }))
    const store = await openStore({
      copies: [
        { name: 'origin', url: origin },
        { name: 'bucket', url },
      ],
      mirrorSync: 'available',
      referring: REFERRING_KEYS,
      limits: DEFAULT_TIME_LIMITS,
      shared: createSharedView(),
    })
    await using retake = assembleRetake(retakeSettings({}), await openRepository(store, example.key))
    const [synced] = await syncRepository({ repository: retake.repository, setUp: true })
    assert.equal(synced?.outcome, 'current', synced?.error?.message)
    const refusal = async () => {
      const error: unknown = await shredCluster(retake, confirmed).catch((thrown: unknown) => thrown)
      assert(isRetakeError(error), String(error))
      assert.equal(await store.head('clusters/main/shred/begun'), undefined, 'nothing was changed')
      return error
    }

    const hold = (Status: 'ON' | 'OFF') =>
      withClient(server, (client) => client.putObjectLegalHold({ Bucket: bucket, Key: KEY, LegalHold: { Status } }))
    await hold('ON')
    const held = await refusal()
    assert.equal(held.code, 'storage.locked')
    assert.match(held.message, new RegExp(`"bucket".*${KEY}.*under a legal hold`))
    assert.doesNotMatch(held.message, /"origin"/)
    await hold('OFF')

    const until = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3_600_000)
    const retain = (RetainUntilDate: Date) =>
      withClient(server, (client) =>
        client.putObjectRetention({
          Bucket: bucket,
          Key: KEY,
          BypassGovernanceRetention: true,
          Retention: { Mode: 'GOVERNANCE', RetainUntilDate },
        }),
      )
    await retain(until)
    const locked = await refusal()
    assert.deepEqual([locked.code, locked.details.until], ['storage.locked', until.toISOString()])
    await retain(new Date(Date.now() + 1000))

    for (const permission of ['retention', 'legal-hold']) {
      front.plan({
        matching: ({ method, target }) => method === 'GET' && new RegExp(`[?&]${permission}`).test(target),
        how: { kind: 'status', status: 403, code: 'AccessDenied' },
      })
      const denied = await refusal()
      assert.equal(denied.code, 'storage.denied')
      assert.match(denied.message, /"bucket".*is not known/)
      assert.match(denied.hint ?? '', permission === 'retention' ? /s3:GetObjectRetention/ : /s3:GetObjectLegalHold/)
    }
    front.assertAllHit()

    while (await shredCluster(retake, { ...confirmed, dryRun: true }).then(() => false, isLocked)) {
      // Until the retention is over, which the clock decides.
    }
    const { copies } = await shredCluster(retake, { ...confirmed, dryRun: true })
    assert.deepEqual(
      copies.map(({ copy, objects, versions }) => [copy, objects, versions]),
      [
        ['origin', 1, 1],
        ['bucket', 1, 1],
      ],
    )

    // Versions may not be deleted: the bucket hides its key, which is not the end of it.
    front.plan({
      matching: ({ method, target }) =>
        method === 'DELETE' && target.includes('/keys/') && target.includes('versionId'),
      times: 2,
      how: { kind: 'status', status: 403, code: 'AccessDenied' },
    })
    await assert.rejects(
      shredCluster(retake, confirmed),
      (error) => isRetakeError(error, 'storage.denied') && /still stores 1 versions/.test(error.message),
    )
    assert.equal(await store.head('clusters/main/shred/done'), undefined)
    front.heal()
    const done = await shredCluster(retake, confirmed)
    assert.ok(done.proof?.doneAt)
    const left = await withClient(server, (client) =>
      client.listObjectVersions({ Bucket: bucket, Prefix: 'clusters/main/keys/' }),
    )
    assert.deepEqual([left.Versions ?? [], left.DeleteMarkers ?? []], [[], []])
  })

  test('a bucket without Object Lock and without versions holds nothing', async () => {
    const { url } = await makeBucket()
    const example = await createExampleRepository(await openStore(url))
    await using retake = assembleRetake(retakeSettings({}), await openRepository(await openStore(url), example.key))
    const report = await shredCluster(retake, confirmed)
    assert.deepEqual(
      [report.outcome, report.copies.map(({ objects, versions }) => [objects, versions])],
      ['shredded', [[1, 1]]],
    )
  })
})

const isLocked = (error: unknown) => {
  assert(isRetakeError(error, 'storage.locked'), String(error))
  return true
}
