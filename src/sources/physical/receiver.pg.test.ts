import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { protect, waitArchived } from '../../../test/support/lab.ts'
import { postgresMajors, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { isRetakeError } from '../../base/errors.ts'
import { type Lsn, parseLsn, segmentName } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { listSegments } from '../../repository/testing/segments.ts'
import { readWalInventory } from '../../repository/wal-archive.ts'
import { readSegmentMeta } from '../../repository/wal-segments.ts'
import { ensureWal } from './ensure-wal.ts'
import { receiveWal } from './receiver.ts'
import { readSlotStatus } from './slot-status.ts'
import { archiveEnd, readArchive } from './testing/read-wal.ts'
import { keepLog, startReceiver } from './testing/receive.ts'

const MIB = 1024 * 1024

/** Every byte that is held is the server's own, as long as the server still has the file. Returns how many files were compared. */
async function compareWithServer(server: TestServer, cluster: ClusterRepository): Promise<number> {
  let compared = 0
  for (const { timeline, segment, bytes } of await readArchive(cluster)) {
    const name = segmentName({ timeline, segment }, cluster.facts.walSegmentSizeBytes)
    const file = readFileSync(join(server.dataDir, 'pg_wal', name))
    assert.ok(file.subarray(0, bytes.length).equals(bytes), `${name} is the server's`)
    compared++
  }
  return compared
}

async function fill(server: TestServer, rows: number): Promise<void> {
  await server.query('create table if not exists filler (body text)')
  await server.query(`insert into filler select repeat(md5(g::text), 10) from generate_series(1, ${rows}) g`)
}

async function flushLsn(server: TestServer): Promise<Lsn> {
  return parseLsn(await server.currentLsn())
}

for (const major of postgresMajors()) {
  test(`PostgreSQL ${major}: every segment is the server's byte for byte, across restarts of receiver and server`, async () => {
    // The server keeps its files, so that there is something to compare with.
    await using server = await startTestServer({ major, walSegmentSizeMb: 1, settings: { wal_keep_size: '1GB' } })
    await using lab = await protect(server)
    const options = { cluster: lab.cluster, target: server.target, slot: lab.slot }
    const log = keepLog()
    {
      await using receiver = startReceiver({ ...options, logger: log })
      await fill(server, 30_000)
      await server.query(`select pg_create_restore_point('first point')`)
      await waitArchived(server)
      await server.restart()
      await fill(server, 5_000)
      await waitArchived(server)
      await receiver.stop()
    }
    assert.ok(
      log.lines.some((line) => line.startsWith('warn: ')),
      'the restart of the server was noticed',
    )
    const reached = await flushLsn(server)
    await fill(server, 2_000)
    const received = await receiveWal({ ...options, until: { kind: 'caught-up' } })
    assert.ok(received.flushLsn >= reached)
    assert.ok((await compareWithServer(server, lab.cluster)) > 10)

    const inventory = await readWalInventory(lab.cluster)
    assert.equal(inventory.ranges.length, 1)
    assert.equal(inventory.ranges[0]?.reason, 'first-contact')
    assert.deepEqual(new Set(inventory.tails.map(({ segment }) => segment)).size, 1, 'only the open segment is a tail')
    assert.equal(inventory.position?.flushLsn && parseLsn(inventory.position.flushLsn), received.flushLsn)
    assert.ok(inventory.position?.caughtUpAt)
    const metas = await Promise.all(listSegments(inventory).map((segment) => readSegmentMeta(lab.cluster, segment)))
    assert.deepEqual(
      metas.flatMap((meta) => meta?.restorePoints.map(({ name }) => name) ?? []),
      ['first point'],
    )
    assert.ok(metas.some((meta) => (meta?.commits ?? 0) > 0 && meta?.firstAt && meta.maxXid))
  })
}

test('what the server was told is durable, and the slot does not lag behind', async () => {
  await using server = await startTestServer({ walSegmentSizeMb: 1 })
  await using lab = await protect(server)
  await using receiver = startReceiver({ cluster: lab.cluster, target: server.target, slot: lab.slot })
  for (let round = 0; round < 5; round++) {
    await fill(server, 3_000)
    await waitArchived(server)
    const [row] = await server.query<{ lsn: string }>('select flush_lsn::text as lsn from pg_stat_replication')
    const end = archiveEnd(await readArchive(lab.cluster), { timeline: 1, segmentSizeBytes: MIB })
    assert.ok(end >= parseLsn(row?.lsn ?? '0/0'))
  }
  const status = await readSlotStatus(server.target, lab.slot)
  assert.equal(status.active, true)
  assert.equal(status.walStatus, 'reserved')
  assert.ok((status.lagBytes ?? Number.NaN) < MIB)
  await receiver.stop()
  assert.deepEqual(await readSlotStatus(server.target, 'no_such_slot'), { exists: false, active: false })
})

test('as a synchronous standby every commit that returned is held', async () => {
  await using server = await startTestServer({
    settings: { synchronous_standby_names: 'retake', synchronous_commit: 'local' },
  })
  await using lab = await protect(server)
  await using receiver = startReceiver({
    cluster: lab.cluster,
    target: server.target,
    slot: lab.slot,
    synchronous: true,
  })
  await server.query('create table t (n int)')
  await waitArchived(server)
  await server.query('set synchronous_commit = on')
  for (let round = 0; round < 20; round++) {
    const rows = await server.query<{ lsn: string }>(
      `insert into t values (${round}); select pg_current_wal_insert_lsn()::text as lsn`,
    )
    const end = archiveEnd(await readArchive(lab.cluster), { timeline: 1, segmentSizeBytes: 16 * MIB })
    assert.ok(end >= parseLsn(rows[0]?.lsn ?? ''), 'the commit record is in the archive when commit returns')
  }
  await server.query('set synchronous_commit = local')
  await receiver.stop()
})

test('a slot that the server has invalidated leaves a recorded gap, and the archive goes on after it', async () => {
  await using server = await startTestServer({
    walSegmentSizeMb: 1,
    settings: { max_slot_wal_keep_size: '2MB', min_wal_size: '2MB', max_wal_size: '4MB' },
  })
  await using lab = await protect(server)
  const options = { cluster: lab.cluster, target: server.target, slot: lab.slot }
  const before = await receiveWal({ ...options, until: { kind: 'caught-up' } })
  for (let round = 0; round < 5; round++) {
    await fill(server, 5_000)
    await server.query('checkpoint')
  }
  assert.equal((await readSlotStatus(server.target, lab.slot)).walStatus, 'lost')
  const log = keepLog()
  const after = await receiveWal({ ...options, until: { kind: 'caught-up' }, logger: log })
  assert.ok(after.flushLsn > before.flushLsn)
  const { ranges, partials, tails } = await readWalInventory(lab.cluster)
  assert.deepEqual(
    ranges.map(({ reason }) => reason),
    ['first-contact', 'gap'],
  )
  assert.equal(parseLsn(ranges[1]?.heldUntilLsn ?? ''), before.flushLsn)
  assert.ok(parseLsn(ranges[1]?.beginLsn ?? '') > before.flushLsn)
  assert.ok(log.lines.some((line) => line.startsWith('error: ') && line.includes('WAL IS MISSING')))
  assert.equal(partials.length, before.flushLsn % BigInt(MIB) === 0n ? 0 : 1)
  assert.ok(tails.every(({ segment }) => segment === after.flushLsn / BigInt(MIB)))
  assert.equal((await readSlotStatus(server.target, lab.slot)).walStatus, 'reserved')
  await receiveWal({ ...options, until: { kind: 'caught-up' } })
  assert.equal((await readWalInventory(lab.cluster)).ranges.length, 2)
})

test('another cluster, and another past of the same one, are refused and nothing of them is stored', async () => {
  await using server = await startTestServer()
  await using lab = await protect(server)
  const options = { cluster: lab.cluster, slot: lab.slot }
  await fill(server, 1_000)
  await receiveWal({ ...options, target: server.target, until: { kind: 'caught-up' } })
  const archived = await readArchive(lab.cluster)
  await using foreign = await startTestServer({ ownIdentity: true })
  await assert.rejects(receiveWal({ ...options, target: foreign.target }), (error) =>
    isRetakeError(error, 'cluster.foreign'),
  )
  // A copy of the same template: the same system identifier and timeline, another past.
  await using twin = await startTestServer()
  await assert.rejects(receiveWal({ ...options, target: twin.target }), (error) => isRetakeError(error, 'wal.diverged'))
  await fill(twin, 20_000)
  await assert.rejects(receiveWal({ ...options, target: twin.target }), (error) => isRetakeError(error, 'wal.diverged'))
  assert.deepEqual(await readArchive(lab.cluster), archived)
})

test('ensureWal receives by itself, or watches the receiver that runs', async () => {
  await using server = await startTestServer()
  await using lab = await protect(server)
  const options = { cluster: lab.cluster, target: server.target, slot: lab.slot }
  await fill(server, 1_000)
  const first = await ensureWal({ ...options, untilLsn: await flushLsn(server) })
  assert.equal(first.by, 'this-run')
  await using receiver = startReceiver(options)
  await waitArchived(server)
  await fill(server, 1_000)
  const untilLsn = await flushLsn(server)
  const second = await ensureWal({ ...options, untilLsn })
  assert.equal(second.by, 'other-receiver')
  assert.ok(second.flushLsn >= untilLsn)
  await receiver.stop()
})
