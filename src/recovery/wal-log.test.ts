import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildTimelinePath } from '../catalog/timeline-path.ts'
import { isCoveredByOneRecord } from '../postgres/wal/long-record.ts'
import { WalBuilder } from '../postgres/wal/testing/wal-builder.ts'
import { generateKey } from '../repository/keys/key-material.ts'
import { createRepository } from '../repository/repository.ts'
import { exampleFacts } from '../repository/testing/example-repository.ts'
import { putSegment } from '../repository/wal-segments.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import { readHeldArchive } from './held-archive.ts'
import { findLandmarks, findLastLandmark, openWalLog } from './wal-log.ts'

const MIB = 1024 * 1024
const COMMIT = { rmgr: 1, info: 0 }

/** Five segments; the commit of transaction 4711 begins in the first and ends in the fourth. */
async function longCommit() {
  const builder = new WalBuilder({ startLsn: BigInt(MIB), segmentSizeBytes: MIB, systemIdentifier: 77n })
  const filler = { rmgr: 10, info: 0, data: new Uint8Array(600_000) }
  builder.add(filler)
  const commit = builder.add({ ...COMMIT, xid: 4711, data: new Uint8Array(2.6 * MIB) })
  builder.add(filler)
  builder.add({ ...COMMIT, xid: 4712, data: new Uint8Array(8) })
  builder.add(filler)
  builder.addSwitch()
  const repository = await createRepository(createMemoryStore(), generateKey())
  const cluster = await repository.registerCluster({ ...exampleFacts, systemIdentifier: '77' })
  const wal = builder.padded()
  const last = wal.length / MIB
  for (let number = 1; number <= last; number++) {
    const bytes = wal.subarray((number - 1) * MIB, number * MIB)
    const begin = BigInt(number * MIB)
    const inside = builder.records.filter(
      ({ rmgr, endLsn }) => rmgr === 1 && endLsn > begin && endLsn <= begin + BigInt(MIB),
    )
    const xids = inside.map(({ xid }) => xid)
    await putSegment(cluster, { timeline: 1, segment: BigInt(number), partial: false, validBytes: MIB }, [bytes], {
      commits: xids.length,
      restorePoints: [],
      ...(xids.length > 0 ? { minXid: xids[0], maxXid: xids.at(-1) } : { minXid: 1, maxXid: 1 }),
    })
  }
  const held = await readHeldArchive(cluster)
  return { log: openWalLog(cluster, { held, path: buildTimelinePath([], 1) }), commit, builder, wal }
}

test('a commit that spans more than two segments is found where it begins', async () => {
  const { log, commit, builder } = await longCommit()
  const range = { beginLsn: builder.startLsn, endLsn: builder.endLsn }
  const query = {
    mayHold: (meta: { readonly minXid?: number | undefined; readonly maxXid?: number | undefined }) =>
      (meta.minXid ?? 0) <= 4711 && 4711 <= (meta.maxXid ?? 0),
    matches: (landmark: object) => 'xid' in landmark && landmark.xid === 4711,
  }
  assert.equal((await findLastLandmark(log, range, query))?.lsn, commit.lsn)
  const found = []
  for await (const landmark of findLandmarks(log, range, query)) found.push(landmark.lsn)
  assert.deepEqual(found, [commit.lsn])
})

test('a segment that is the middle of one record is known by its first page', async () => {
  const { wal } = await longCommit()
  const covered = [0, 1, 2, 3, 4].map((index) => isCoveredByOneRecord(wal.subarray(index * MIB), MIB))
  assert.deepEqual(covered, [false, true, true, false, false])
  assert.equal(isCoveredByOneRecord(Buffer.alloc(8192, 7), MIB), false, 'what does not decode says no')
})
