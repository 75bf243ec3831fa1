/** Every call of the storage fails once, in every way; afterwards the repository is as if the work had not begun, or is complete. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RetakeError } from '../base/errors.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import { type FaultPoint, FaultyStore } from '../storage/testing/faulty-store.ts'
import { generateKey } from './keys/key-material.ts'
import { listBackups } from './manifest-store.ts'
import { createRepository, openRepository } from './repository.ts'
import { cleanInterruptedRuns } from './runs.ts'
import { exampleFacts, writeExampleBackup } from './testing/example-repository.ts'
import { verifyRepository } from './verify.ts'
import { readWalInventory } from './wal-archive.ts'
import { putPosition, readPosition } from './wal-records.ts'
import { putSegment } from './wal-segments.ts'
import { readTail, TailWriter } from './wal-tail.ts'

const full = new RetakeError('storage.full', 'planned: no space is left')
const backupId = '20261122T090000Z-0000000a'

/** Runs the work once without faults to learn its calls, then once per call and way to fail. */
async function failEverywhere(
  work: (store: ObjectStore) => Promise<void>,
  prepare: () => Promise<{ store: ObjectStore; check(failed: boolean): Promise<void> }>,
): Promise<number> {
  const rehearsal = new FaultyStore((await prepare()).store)
  await work(rehearsal)
  const counts = new Map<FaultPoint, number>()
  for (const call of rehearsal.calls) {
    const point = call.split(' ')[0] as FaultPoint
    counts.set(point, (counts.get(point) ?? 0) + 1)
  }
  let runs = 0
  for (const [point, count] of counts) {
    for (let after = 0; after < count; after++) {
      for (const fault of [{ error: full }, { errorAfter: full }, { partialBytes: 100, error: full }]) {
        const subject = await prepare()
        const store = new FaultyStore(subject.store).plan(point, { after, ...fault })
        const outcome = await work(store).then(
          () => undefined,
          (error: unknown) => error,
        )
        store.assertAllHit()
        if (outcome !== undefined) assert.equal(outcome, full, `${point} ${after}: ${String(outcome)}`)
        await subject.check(outcome !== undefined)
        runs += 1
      }
    }
  }
  return runs
}

test('a backup that fails at any call is invisible or complete, and the next run cleans up', async () => {
  const key = generateKey()
  const runs = await failEverywhere(
    async (store) => {
      const repository = await openRepository(store, key)
      const cluster = await repository.openCluster('main')
      await writeExampleBackup(cluster, { backupId })
    },
    async () => {
      const inner = createMemoryStore()
      const repository = await createRepository(inner, key)
      const cluster = await repository.registerCluster(exampleFacts)
      return {
        store: inner,
        async check(failed) {
          const visible = (await listBackups(cluster)).length
          if (!failed) assert.equal(visible, 1)
          await cleanInterruptedRuns(cluster)
          const report = await verifyRepository({ repository, depth: 'deep' })
          // WAL is not part of this test, so the backup lacks it; nothing else may be wrong.
          const others = report.findings.filter(({ problem }) => !problem.startsWith('WAL from'))
          assert.deepEqual(others, [])
          assert.equal(report.backups, visible)
          const packs = await Array.fromAsync(inner.list('packs/'))
          assert.equal(packs.length, visible * 2, 'no pack of an interrupted backup stays')
        },
      }
    },
  )
  assert.ok(runs > 60, `only ${runs} runs`)
})

test('WAL that was acknowledged survives a failure at any call', async () => {
  const key = generateKey()
  const at = '2026-11-22T09:00:00.000Z'
  const wal = Buffer.alloc(exampleFacts.walSegmentSizeBytes, 'wal ')
  let acknowledged = 0
  const runs = await failEverywhere(
    async (store) => {
      acknowledged = 0
      const cluster = await (await openRepository(store, key)).openCluster('main')
      {
        await using tail = await TailWriter.open(cluster, { timeline: 1, segment: 3n, offsetBytes: 0 })
        for (let count = 0; count < 3; count++) {
          await tail.append(wal.subarray(tail.endBytes, tail.endBytes + 1000))
          await tail.sync()
          acknowledged = tail.endBytes
          const flushLsn = `0/${(0x300000 + acknowledged).toString(16).toUpperCase()}`
          await putPosition(cluster, { timeline: 1, flushLsn, at, serverTime: at })
        }
      }
      const id = { timeline: 1, segment: 3n, partial: false, validBytes: wal.length }
      await putSegment(cluster, id, [wal], { commits: 0, restorePoints: [] })
    },
    async () => {
      const inner = createMemoryStore()
      const cluster = await (await createRepository(inner, key)).registerCluster(exampleFacts)
      return {
        store: inner,
        async check() {
          const tail = await readTail(cluster, { timeline: 1, segment: 3n })
          assert.ok((tail?.validBytes ?? 0) >= acknowledged, `${tail?.validBytes} of ${acknowledged}`)
          const position = await readPosition(cluster)
          const flushed = position ? Number.parseInt(position.flushLsn.slice(2), 16) - 0x300000 : 0
          assert.ok(flushed <= (tail?.validBytes ?? 0), 'the position never says too much')
          await readWalInventory(cluster)
        },
      }
    },
  )
  assert.ok(runs > 60, `only ${runs} runs`)
})

test('a repository that could not be made is no repository, and can be made again', async () => {
  const key = generateKey()
  await failEverywhere(
    async (store) => void (await createRepository(store, key)),
    async () => {
      const store = createMemoryStore()
      return {
        store,
        async check() {
          const isThere = await store.head('retake.json')
          const repository = isThere ? await openRepository(store, key) : await createRepository(store, key)
          assert.deepEqual((await verifyRepository({ repository, depth: 'deep' })).findings, [])
        },
      }
    },
  )
})
