import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readNewestRecord, readSynced } from '../../storage/mirrored/copy-record.ts'
import { acquireLease } from '../lease.ts'
import { openRepository } from '../repository.ts'
import { writeExampleBackup } from '../testing/example-repository.ts'
import { verifyRepository } from '../verify.ts'
import { readPosition } from '../wal-records.ts'
import { putSegment } from '../wal-segments.ts'
import { TailWriter } from '../wal-tail.ts'
import { syncRepository } from './sync.ts'
import { contentOf, createMirroredExample, type MirroredExample } from './testing/mirrored-example.ts'

async function assertEqualCopies({ places }: MirroredExample): Promise<void> {
  const [first, ...others] = await Promise.all(places.map(({ memory }) => contentOf(memory)))
  for (const other of others) assert.deepEqual([...other.keys()], [...(first?.keys() ?? [])])
  for (const other of others) assert.deepEqual(other, first)
}

async function setUp(names?: readonly string[]) {
  const mirrored = await createMirroredExample(names)
  await using repository = await mirrored.open()
  const reports = await syncRepository({ repository, setUp: true })
  assert.deepEqual(
    reports.map(({ outcome }) => outcome),
    reports.map(() => 'current'),
  )
  await assertEqualCopies(mirrored)
  return mirrored
}

test('a new mirror becomes a whole repository of its own', async () => {
  const mirrored = await setUp(['origin', 'north', 'south'])
  const { example, places } = mirrored
  for (const { name, memory } of places) {
    const record = (await readNewestRecord(memory))?.record
    assert.deepEqual(record?.current.toSorted(), ['north', 'origin', 'south'])
    await using alone = await openRepository(memory, example.key)
    const report = await verifyRepository({ repository: alone, depth: 'deep' })
    assert.deepEqual(report.findings, [], `the copy ${name} is whole`)
    if (name !== 'origin') assert(await readSynced(memory))
  }
})

test('an empty place is not filled by itself, nor one that holds another repository', async () => {
  const mirrored = await createMirroredExample()
  const [, north] = mirrored.places
  {
    await using repository = await mirrored.open()
    const [report] = await syncRepository({ repository })
    assert.equal(report?.error?.code, 'repo.missing')
    assert.deepEqual((await contentOf(north!.memory)).size, 0)
  }
  const [foreign] = (await createMirroredExample(['foreign'])).places
  await north?.memory.create('retake.json', (await foreign?.memory.get('retake.json')) ?? new Uint8Array())
  await using repository = await mirrored.open()
  const [report] = await syncRepository({ repository, setUp: true })
  assert.equal(report?.error?.code, 'repo.exists')
  assert.deepEqual((await contentOf(north!.memory)).size, 1)
})

test('a copy that was away gets what it missed, and gives what it alone has', async () => {
  const mirrored = await setUp()
  const [origin, north] = mirrored.places
  {
    await using repository = await mirrored.open()
    north!.gate.state = 'down'
    const cluster = await repository.openCluster('main')
    await writeExampleBackup(cluster, { backupId: '20261122T110000Z-0000000c' })
    north!.gate.state = 'up'
  }
  // Somebody who did not see the other half.
  {
    await using alone = await openRepository(north!.memory, mirrored.example.key)
    await writeExampleBackup(await alone.openCluster('main'), { backupId: '20261122T120000Z-0000000d' })
  }
  await using repository = await mirrored.open()
  const [report] = await syncRepository({ repository })
  assert.equal(report?.outcome, 'current')
  assert.equal(report.copiedObjects, 5)
  assert.equal(report.returnedObjects, 5)
  await assertEqualCopies(mirrored)
  await using alone = await openRepository(origin!.memory, mirrored.example.key)
  assert.deepEqual((await verifyRepository({ repository: alone, depth: 'deep' })).findings, [])
})

test('an emptied primary wipes nothing; the other copies go on and fill it only when asked to', async () => {
  const mirrored = await setUp()
  const [origin, north] = mirrored.places
  const before = await contentOf(north!.memory)
  for (const { key } of await Array.fromAsync(origin!.memory.list(''))) await origin?.memory.delete(key)
  await using repository = await mirrored.open()
  assert.equal((await syncRepository({ repository }))[0]?.error?.code, 'repo.missing')
  assert.deepEqual(await contentOf(north!.memory), before)
  await using writer = await mirrored.open()
  await writer.store.create('clusters/main/condemned/x', Buffer.from('x'))
  await using again = await mirrored.open()
  assert.equal((await syncRepository({ repository: again }))[0]?.error?.code, 'repo.missing')
  assert.equal((await contentOf(origin!.memory)).size, 0)
  assert.equal((await syncRepository({ repository: again, setUp: true }))[0]?.outcome, 'current')
  await assertEqualCopies(mirrored)
})

test('a listing that lies by leaving things out deletes nothing', async () => {
  const mirrored = await setUp()
  const [origin] = mirrored.places
  const before = await contentOf(origin!.memory)
  for (const { key } of await Array.fromAsync(origin!.memory.list('packs/'))) await origin?.memory.delete(key)
  await using repository = await mirrored.open()
  const [report] = await syncRepository({ repository })
  assert.equal(report?.outcome, 'current')
  assert((report?.returnedObjects ?? 0) > 0)
  assert.deepEqual(await contentOf(origin!.memory), before)
})

test('the tail: a torn part is made whole, an obsolete one goes, a finished segment is sealed twice and ends as one', async () => {
  const mirrored = await setUp()
  const [, north] = mirrored.places
  const wal = Buffer.alloc(mirrored.example.cluster.facts.walSegmentSizeBytes, 7)
  await using repository = await mirrored.open()
  const cluster = await repository.openCluster('main')
  {
    await using tail = await TailWriter.open(cluster, { timeline: 2, segment: 7n, offsetBytes: 0 })
    await tail.append(wal.subarray(0, 1000))
    await tail.sync()
    north!.gate.state = 'down'
    await tail.append(wal.subarray(1000, 5000))
    await tail.sync()
    north!.gate.state = 'up'
  }
  const facts = { commits: 0, restorePoints: [] }
  const segment = { timeline: 2, segment: 8n, partial: false, validBytes: wal.length }
  await putSegment(cluster, segment, [wal], facts)
  await using alone = await openRepository(north!.memory, mirrored.example.key)
  await putSegment(await alone.openCluster('main'), segment, [wal], facts)
  {
    await using tail = await TailWriter.open(await alone.openCluster('main'), {
      timeline: 2,
      segment: 8n,
      offsetBytes: 0,
    })
    await tail.append(wal.subarray(0, 1000))
    await tail.sync()
  }
  const [report] = await syncRepository({ repository })
  assert.equal(report?.outcome, 'current')
  assert.equal(report.replacedObjects, 2)
  assert.equal(report.deletedObjects, 1)
  await assertEqualCopies(mirrored)
})

test('two different segments of one name are a conflict: named, changed by nobody, and the copy stays behind', async () => {
  const mirrored = await setUp()
  const [origin, north] = mirrored.places
  await using repository = await mirrored.open()
  north!.gate.state = 'down'
  const size = mirrored.example.cluster.facts.walSegmentSizeBytes
  const facts = { commits: 0, restorePoints: [] }
  const segment = { timeline: 2, segment: 8n, partial: false, validBytes: size }
  await putSegment(await repository.openCluster('main'), segment, [Buffer.alloc(size, 1)], facts)
  north!.gate.state = 'up'
  await using alone = await openRepository(north!.memory, mirrored.example.key)
  await putSegment(await alone.openCluster('main'), segment, [Buffer.alloc(size, 2)], facts)
  const key = 'clusters/main/wal/00000002/0000000000000008'
  const before = [await origin?.memory.get(key), await north?.memory.get(key)]
  const [report] = await syncRepository({ repository })
  assert.equal(report?.outcome, 'conflict')
  assert.deepEqual(report.conflicts, [key])
  assert.deepEqual([await origin?.memory.get(key), await north?.memory.get(key)], before)
  assert.deepEqual((await readNewestRecord(origin!.memory))?.record.current, ['origin'])
})

test('a writer that is at work meanwhile is not missed: its next writes are in the copy that came back', async () => {
  const mirrored = await setUp()
  const [, north] = mirrored.places
  await using writer = await mirrored.open()
  const cluster = await writer.openCluster('main')
  await using _lease = await acquireLease(cluster, { role: 'wal', holder: 'test' })
  north!.gate.state = 'down'
  await writeExampleBackup(cluster, { backupId: '20261122T110000Z-0000000c' })
  north!.gate.state = 'up'
  await using repository = await mirrored.open()
  assert.equal((await syncRepository({ repository }))[0]?.outcome, 'current')
  await writeExampleBackup(cluster, { backupId: '20261122T120000Z-0000000d' })
  await assertEqualCopies(mirrored)
})

test('mirrorSync primary: mirrors follow by syncs, and hold no position that they do not reach', async () => {
  const mirrored = await createMirroredExample()
  const [, north] = mirrored.places
  await using repository = await mirrored.open({ mirrorSync: 'primary' })
  assert.equal((await syncRepository({ repository, setUp: true }))[0]?.outcome, 'following')
  await assertEqualCopies(mirrored)
  await writeExampleBackup(await repository.openCluster('main'), { backupId: '20261122T110000Z-0000000c' })
  await using alone = await openRepository(north!.memory, mirrored.example.key)
  assert(await readPosition(await alone.openCluster('main')))
  assert.equal((await syncRepository({ repository }))[0]?.copiedObjects, 5)
  await assertEqualCopies(mirrored)
})

test('mirrorSync all: what could not be written everywhere was refused, and goes on once the copy is back', async () => {
  const mirrored = await setUp()
  const [, north] = mirrored.places
  await using repository = await mirrored.open({ mirrorSync: 'all' })
  const cluster = await repository.openCluster('main')
  north!.gate.state = 'down'
  await assert.rejects(
    writeExampleBackup(cluster, { backupId: '20261122T110000Z-0000000c' }),
    /2 are needed|unreachable|reached/,
  )
  north!.gate.state = 'up'
  const [report] = await syncRepository({ repository })
  assert.equal(report?.outcome, 'current', report?.error?.message)
  await writeExampleBackup(cluster, { backupId: '20261122T120000Z-0000000d' })
  await assertEqualCopies(mirrored)
})
