/** A watch over the log goes on where the last one ended, also when a recovery has made another log of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'
import { WalBuilder } from '../postgres/wal/testing/wal-builder.ts'
import { readHeldArchive } from '../recovery/held-archive.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { generateKey } from '../repository/keys/key-material.ts'
import { createRepository } from '../repository/repository.ts'
import { exampleFacts } from '../repository/testing/example-repository.ts'
import { putHistory } from '../repository/wal-records.ts'
import { putSegment } from '../repository/wal-segments.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import type { Bookmark } from './bookmark.ts'
import { watchLog } from './watch.ts'

const MIB = 1024 * 1024
const FIRST = 10
const NOW = new Date('2026-11-22T12:00:00.000Z')

const lsnAt = (mib: number) => BigInt(Math.round(mib * MIB)) as Lsn

/** Whole segments of 1 MiB on a timeline, from one on. */
async function put(cluster: ClusterRepository, { timeline, from, to }: { timeline: number; from: number; to: number }) {
  const builder = new WalBuilder({ startLsn: lsnAt(from), segmentSizeBytes: MIB, systemIdentifier: 77n, timeline })
  while (builder.endLsn < lsnAt(to - 0.1)) {
    builder.add({ rmgr: 10, info: 0, xid: 7, data: new Uint8Array(9000) })
  }
  builder.addSwitch()
  const wal = builder.padded()
  for (let at = 0; at < wal.length; at += MIB) {
    const id = { timeline, segment: BigInt(from + at / MIB), partial: false, validBytes: MIB }
    await putSegment(cluster, id, [wal.subarray(at, at + MIB)], { commits: 0, restorePoints: [] })
  }
}

async function emptyCluster(): Promise<ClusterRepository> {
  const repository = await createRepository(createMemoryStore(), generateKey())
  return repository.registerCluster({ ...exampleFacts, systemIdentifier: '77', walSegmentSizeBytes: MIB })
}

async function watch(
  cluster: ClusterRepository,
  earlier: Bookmark | undefined,
  more: { laterMs?: number; patienceMs?: number } = {},
) {
  const { laterMs = 0, patienceMs } = more
  const now = new Date(NOW.getTime() + laterMs)
  return watchLog(cluster, { held: await readHeldArchive(cluster), backups: [], earlier, now, patienceMs })
}

const incidentAt = (mib: number) => ({
  ...{ kind: 'drop' as const, what: 'public.users dropped', target: 'public.users', tables: ['public.users'] },
  ...{ lsn: formatLsn(lsnAt(mib)), before: 'before-xid:7', seenAt: NOW.toISOString() },
})

test('nothing is held: nothing is known; the first look begins at the end', async () => {
  const cluster = await emptyCluster()
  assert.equal(await watch(cluster, undefined), undefined)
  await put(cluster, { timeline: 1, from: FIRST, to: 13 })
  const first = await watch(cluster, undefined)
  assert.deepEqual(
    [first?.bookmark.timeline, first?.bookmark.lsn, first?.bookmark.open, first?.behindBytes],
    [1, formatLsn(lsnAt(13)), undefined, 0],
  )
})

test('a little that is new waits until it is more than what would be read again, or for so long', async () => {
  const cluster = await emptyCluster()
  await put(cluster, { timeline: 1, from: FIRST, to: 13 })
  const first = (await watch(cluster, undefined))?.bookmark
  assert.ok(first)
  // As if the look before had ended at three quarters of the last segment.
  const earlier = { ...first, lsn: formatLsn(lsnAt(12.75)), resumeLsn: formatLsn(lsnAt(12.75)) }
  const patient = await watch(cluster, earlier, { laterMs: 59_000, patienceMs: 60_000 })
  assert.deepEqual(patient, { bookmark: earlier, behindBytes: MIB / 4, isPatient: true })
  const later = await watch(cluster, earlier, { laterMs: 60_000, patienceMs: 60_000 })
  assert.deepEqual([later?.isPatient, later?.behindBytes, later?.bookmark.lsn], [false, 0, first.lsn])
  assert.equal(later?.bookmark.readAt, '2026-11-22T12:01:00.000Z')
  const more = { ...earlier, lsn: formatLsn(lsnAt(12.4)) }
  assert.equal((await watch(cluster, more, { patienceMs: 60_000 }))?.isPatient, false)
})

test('what a recovery has undone is forgotten, what was before it stays, and the new timeline is looked through', async () => {
  const cluster = await emptyCluster()
  await put(cluster, { timeline: 1, from: FIRST, to: 20 })
  const first = (await watch(cluster, undefined))?.bookmark
  assert.ok(first)
  const earlier = { ...first, incidents: [incidentAt(12), incidentAt(17)] }
  assert.deepEqual((await watch(cluster, earlier))?.bookmark.incidents, earlier.incidents)
  await putHistory(cluster, {
    timeline: 2,
    content: Buffer.from(`1\t${formatLsn(lsnAt(15))}\tno recovery target specified\n`),
  })
  await put(cluster, { timeline: 2, from: 15, to: 18 })
  const after = await watch(cluster, earlier)
  assert.deepEqual(after?.bookmark.incidents, [incidentAt(12)])
  assert.deepEqual([after.bookmark.timeline, after.bookmark.lsn, after.behindBytes], [2, formatLsn(lsnAt(18)), 0])
  assert.ok(parseLsn(after.bookmark.resumeLsn) > lsnAt(17))
})

test('behind a hole it goes on, without what was open', async () => {
  const cluster = await emptyCluster()
  await put(cluster, { timeline: 1, from: FIRST, to: 12 })
  const first = (await watch(cluster, undefined))?.bookmark
  await put(cluster, { timeline: 1, from: 14, to: 16 })
  const after = await watch(cluster, first)
  assert.deepEqual([after?.bookmark.lsn, after?.behindBytes], [formatLsn(lsnAt(16)), 0])
})
