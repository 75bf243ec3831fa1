import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { makeBucket, s3Missing, s3Server } from '../../../test/support/s3.ts'
import { startS3Front } from '../../../test/support/s3-front.ts'
import { createSharedView } from '../../storage/mirrored/shared-view.ts'
import { openStore } from '../../storage/open.ts'
import { temporaryDirectory } from '../../storage/testing/temporary-directory.ts'
import { REFERRING_KEYS } from '../layout.ts'
import { openRepository } from '../repository.ts'
import { createExampleRepository, writeExampleBackup } from '../testing/example-repository.ts'
import { verifyRepository } from '../verify.ts'
import { readTail, TailWriter } from '../wal-tail.ts'
import { syncRepository } from './sync.ts'
import { contentOf } from './testing/mirrored-example.ts'

describe('a directory and a bucket as one repository', { skip: s3Missing }, () => {
  test('are equal, go on when the bucket is cut off, and are equal again when it is back', async () => {
    await using front = await startS3Front((await s3Server()).endpoint, { conditional: true })
    const { url } = await makeBucket({ endpoint: front.endpoint })
    await using directory = await temporaryDirectory()
    const place = join(directory.path, 'origin')
    const example = await createExampleRepository(await openStore(place, { create: true }))
    const store = await openStore({
      copies: [
        { name: 'origin', url: place },
        { name: 'bucket', url },
      ],
      mirrorSync: 'available',
      referring: REFERRING_KEYS,
      limits: { askMs: 3000, moveMs: 3000 },
      shared: createSharedView(),
    })
    await using repository = await openRepository(store, example.key)
    assert.equal((await syncRepository({ repository, setUp: true }))[0]?.outcome, 'current')
    const cluster = await repository.openCluster('main')
    await writeExampleBackup(cluster, { backupId: '20261122T110000Z-0000000c' })
    front.plan({ matching: () => true, times: Number.POSITIVE_INFINITY, how: { kind: 'silence' } })
    await writeExampleBackup(cluster, { backupId: '20261122T120000Z-0000000d' })
    {
      await using tail = await TailWriter.open(cluster, { timeline: 2, segment: 6n, offsetBytes: 120_000 })
      await tail.append(Buffer.alloc(5000, 7))
      await tail.sync()
    }
    front.heal()
    const [report] = await syncRepository({ repository })
    assert.equal(report?.outcome, 'current', report?.error?.message)
    assert((report?.copiedObjects ?? 0) >= 6)
    await writeExampleBackup(cluster, { backupId: '20261122T130000Z-0000000e' })
    await using ours = await openStore(place)
    await using theirs = await openStore(url)
    assert.deepEqual(await contentOf(theirs), await contentOf(ours))
    await using alone = await openRepository(url, example.key)
    assert.deepEqual((await verifyRepository({ repository: alone, depth: 'deep' })).findings, [])
    assert.equal((await readTail(await alone.openCluster('main'), { timeline: 2, segment: 6n }))?.validBytes, 125_000)
  })
})
