import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RetakeError } from '../../base/errors.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import type { FaultPoint } from '../../storage/testing/faulty-store.ts'
import { openRepository, type Repository } from '../repository.ts'
import { writeExampleBackup } from '../testing/example-repository.ts'
import { verifyRepository } from '../verify.ts'
import { syncRepository } from './sync.ts'
import { contentOf, createMirroredExample, type MirroredExample } from './testing/mirrored-example.ts'

const killed = new RetakeError('storage.failed', 'as if it were killed here')

/** What is there can be used: nothing refers to what is missing. Not yet a repository is fine too. */
async function assertOrder(store: ObjectStore, mirrored: MirroredExample, when: string): Promise<void> {
  if ((await store.head('retake.json')) === undefined) return
  let repository: Repository
  try {
    repository = await openRepository(store, mirrored.example.key)
  } catch (error) {
    assert.fail(`${when}: it does not open: ${String(error)}`)
  }
  const { findings } = await verifyRepository({ repository, depth: 'quick' })
  // A new mirror has no position before everything else is there.
  const isExpected = (object: string) => object === 'clusters/main/wal/position' || object === 'clusters/main/cluster'
  const missing = await Promise.all(
    findings.map(async ({ object }) => isExpected(object) && (await store.head(object)) === undefined),
  )
  const errors = findings.filter(({ severity }, index) => severity === 'error' && !missing[index])
  assert.deepEqual(errors, [], when)
}

const points: readonly FaultPoint[] = ['create', 'replace', 'get', 'list']
const STEP: Partial<Record<FaultPoint, number>> = { create: 4, get: 9, list: 17 }

for (const point of points) {
  test(`a sync that is killed at any ${point} of the mirror keeps the order in both copies, and ends equal when run again (M1, M6, M9)`, async () => {
    let hits = 0
    for (let after = 0; ; after += STEP[point] ?? 1) {
      const mirrored = await createMirroredExample()
      const [origin, north] = mirrored.places
      {
        await using repository = await mirrored.open()
        north?.faulty.plan(point, { after, error: killed })
        const [report] = await syncRepository({ repository, setUp: true })
        if (report?.outcome === 'current') break
        hits++
      }
      for (const place of [origin, north]) {
        await assertOrder(place!.memory, mirrored, `${place?.name}, killed at ${point} ${after}`)
      }
      await using repository = await mirrored.open()
      const [report] = await syncRepository({ repository, setUp: true })
      assert.equal(report?.outcome, 'current', `killed at ${point} ${after}`)
      assert.deepEqual(await contentOf(north!.memory), await contentOf(origin!.memory))
    }
    assert(hits > 0)
  })
}

test('a backup that commits while a pass is under way is not in the mirror before its packs', async () => {
  const mirrored = await createMirroredExample()
  const [, north] = mirrored.places
  await using repository = await mirrored.open()
  await using writer = await mirrored.open()
  const cluster = await writer.openCluster('main')
  let count = 0
  // After each object that the sync brings, somebody commits a backup, whose packs lie before and behind what was listed.
  const digits = () => (0x10 + count).toString(16).padStart(8, '0')
  for (let after = 0; after < 24; after += 3) {
    north?.faulty.plan('create', {
      after: after === 0 ? 0 : 2,
      matching: (key) => !key.startsWith('copies/'),
      before: async () => {
        count++
        await writeExampleBackup(cluster, {
          backupId: `20261122T13${count.toString().padStart(2, '0')}00Z-${digits()}`,
        })
        await assertOrder(north!.memory, mirrored, `after backup ${count}`)
      },
    })
  }
  const [report] = await syncRepository({ repository, setUp: true })
  assert.equal(report?.outcome, 'current')
  north?.faulty.assertAllHit()
  assert.deepEqual(await contentOf(north!.memory), await contentOf(mirrored.places[0]!.memory))
})
