/** What is stored says the same as the log, however the log is cut, and is made again where it is missing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildTimelinePath } from '../catalog/timeline-path.ts'
import type { Lsn } from '../postgres/lsn.ts'
import { WalBuilder } from '../postgres/wal/testing/wal-builder.ts'
import { readHeldArchive } from '../recovery/held-archive.ts'
import { openWalLog, type WalLog } from '../recovery/wal-log.ts'
import type { ClusterRepository } from '../repository/cluster.ts'
import { deleteJournalChunk, listJournalChunks } from '../repository/journal-chunks.ts'
import { generateKey } from '../repository/keys/key-material.ts'
import { journalKey } from '../repository/layout.ts'
import { createRepository } from '../repository/repository.ts'
import { exampleFacts } from '../repository/testing/example-repository.ts'
import { verifyRepository } from '../repository/verify.ts'
import { segmentName } from '../repository/wal-layout.ts'
import { putSegment } from '../repository/wal-segments.ts'
import { createMemoryStore } from '../storage/memory-store.ts'
import type { JournalTransaction } from './block.ts'
import { bookmarkSchema, borderOf, keepHabits, placeOf } from './bookmark.ts'
import { HabitCounter } from './habits.ts'
import type { JournalMark } from './mark.ts'
import { readJournal } from './read.ts'
import { type Border, scanLog } from './scan.ts'
import { updateJournal } from './update.ts'

const MIB = 1024 * 1024
const FIRST = 10

const transactionRecord = (info: number) => ({ rmgr: 1, info, data: new Uint8Array(8) })

/** Segments 10 to 59, of 1 MiB: three whole chunks. Some transactions are open over the borders, one over a whole chunk. */
function writeLog(): WalBuilder {
  const builder = new WalBuilder({ startLsn: BigInt(FIRST * MIB), segmentSizeBytes: MIB, systemIdentifier: 77n })
  let xid = 700
  const isOpenUntil = new Map<number, number>()
  for (let place = FIRST; place < 60; ) {
    const own = xid++
    builder.add({ rmgr: 10, info: 0, xid: own, data: new Uint8Array(xid % 7 === 0 ? 300_000 : 9_000) })
    isOpenUntil.set(own, place + (own % 50 === 0 ? 20 : own % 5 === 0 ? 1 : 0))
    place = Number(builder.endLsn / BigInt(MIB))
    for (const [open, until] of isOpenUntil) {
      if (until > place) continue
      isOpenUntil.delete(open)
      builder.add({ ...transactionRecord(open % 3 === 0 ? 0x20 : 0), xid: open })
    }
    if (xid % 40 === 0) builder.add({ rmgr: 0, info: 0x70, data: restorePoint(`point ${xid}`) })
  }
  builder.addSwitch()
  return builder
}

function restorePoint(name: string): Uint8Array {
  const bytes = new Uint8Array(8 + 64)
  bytes.set(Buffer.from(name), 8)
  return bytes
}

async function makeArchive() {
  const builder = writeLog()
  const store = createMemoryStore()
  const repository = await createRepository(store, generateKey())
  const cluster = await repository.registerCluster({
    ...exampleFacts,
    systemIdentifier: '77',
    walSegmentSizeBytes: MIB,
  })
  const wal = builder.padded()
  const last = FIRST + wal.length / MIB - 1
  for (let number = FIRST; number <= last; number++) {
    const bytes = wal.subarray((number - FIRST) * MIB, (number - FIRST + 1) * MIB)
    const id = { timeline: 1, segment: BigInt(number), partial: false, validBytes: MIB }
    await putSegment(cluster, id, [bytes], { commits: 0, restorePoints: [] })
  }
  const range = { beginLsn: builder.startLsn, endLsn: (builder.startLsn + BigInt(wal.length)) as Lsn }
  return { cluster, repository, store, range, log: await logOf(cluster) }
}

async function logOf(cluster: ClusterRepository): Promise<WalLog> {
  return openWalLog(cluster, { held: await readHeldArchive(cluster), path: buildTimelinePath([], 1) })
}

type Told = readonly (JournalTransaction | JournalMark)[]

async function tell(log: WalLog, read: typeof readJournal | typeof scanLog, range: { beginLsn: Lsn; endLsn: Lsn }) {
  const told: (JournalTransaction | JournalMark)[] = []
  const transactions: JournalTransaction[] = []
  const marks: JournalMark[] = []
  const sources = await read(log, range, {
    onTransaction: (one) => transactions.push(one),
    onMark: (one) => marks.push(one),
  })
  told.push(...transactions, ...marks)
  return { told: told as Told, sources }
}

test('the stored journal says what the log says, from any position to any other', async () => {
  const { cluster, log, range } = await makeArchive()
  const { told } = await tell(log, scanLog, range)
  assert.ok(told.length > 300)
  const updated = await updateJournal(cluster)
  assert.deepEqual([updated.stored, updated.removed, updated.unreadable], [2, 0, []])
  assert.deepEqual(
    (await listJournalChunks(cluster)).map(({ firstSegment }) => firstSegment),
    [16n, 32n],
  )
  const stored = await tell(log, readJournal, range)
  assert.deepEqual(stored.told, told)
  const { storedLogBytes, scannedLogBytes } = stored.sources ?? {}
  assert.deepEqual([storedLogBytes, scannedLogBytes], [32 * MIB, Number(range.endLsn - range.beginLsn) - 32 * MIB])
  for (const [from, to] of [
    [17.3, 30],
    [20, 47.5],
    [40.01, 55],
    [49, 52],
    [12, 14],
  ] as const) {
    const part = { beginLsn: BigInt(Math.round(from * MIB)) as Lsn, endLsn: BigInt(Math.round(to * MIB)) as Lsn }
    const isIn = (one: Told[number]) => {
      const lsn = 'outcome' in one ? (one.end?.endLsn ?? one.lastLsn) : one.endLsn
      return lsn > part.beginLsn && lsn <= part.endLsn
    }
    const expected = told.filter(isIn)
    const found = (await tell(log, readJournal, part)).told
    if (from >= 16) assert.deepEqual(found, expected)
    else assert.equal(found.length, expected.length)
  }
})

test('a reading that goes on from where another one ended says what one reading says', async () => {
  const { cluster, log, range } = await makeArchive()
  const whole = (await tell(log, scanLog, range)).told.filter((one) => 'outcome' in one)
  for (const isStored of [false, true]) {
    if (isStored) await updateJournal(cluster)
    const found: JournalTransaction[] = []
    let border: Border | undefined
    let beginLsn = range.beginLsn
    for (const place of [10.001, 12.7, 16, 16.5, 31.999, 33.2, 48, 49.1, Number.POSITIVE_INFINITY]) {
      const endLsn = place === Number.POSITIVE_INFINITY ? range.endLsn : (BigInt(Math.round(place * MIB)) as Lsn)
      const read = await readJournal(log, { beginLsn, endLsn }, { border, onTransaction: (one) => found.push(one) })
      const reached = await read.border()
      // As somebody keeps it for the next time.
      const mark = reached && bookmarkSchema.parse(JSON.parse(JSON.stringify({ ...nothingFound, ...placeOf(reached) })))
      border = mark && borderOf(mark)
      beginLsn = endLsn
    }
    assert.deepEqual(found, whole, `stored: ${isStored}`)
  }
})

const nothingFound = {
  readAt: '2026-11-22T12:00:00.000Z',
  timeline: 1,
  habits: {},
  habitsSince: '2026-11-22T12:00:00.000Z',
  incidents: [],
}

test('habits: those that matter are kept, and what has not come for long fades', () => {
  const counter = new HabitCounter()
  for (let night = 0; night < 4; night++) assert.equal(counter.again('shop.public.staging/truncate'), night === 3)
  const habits = new Map([...counter.habits(), ['1/2/3/deleted', [9, 9]], ['1/2/4/deleted', [0, 0, 0, 5]]])
  const since = '2026-11-22T12:00:00.000Z'
  const young = keepHabits(habits, { since, now: new Date('2026-11-23T12:00:00.000Z') })
  assert.deepEqual(young, {
    habits: { 'name:shop.public.staging/truncate': [4], '1/2/4/deleted': [0, 0, 0, 5] },
    habitsSince: since,
  })
  const now = new Date('2027-11-23T12:00:00.000Z')
  const old = keepHabits(new Map(Object.entries(young.habits)), { since, now })
  assert.deepEqual(old, {
    habits: { 'name:shop.public.staging/truncate': [2], '1/2/4/deleted': [0, 0, 0, 2] },
    habitsSince: now.toISOString(),
  })
  const many = new Map(Array.from({ length: 2000 }, (_, file) => [`1/2/${file}/deleted`, [0, 0, 0, file]] as const))
  assert.equal(Object.keys(keepHabits(many, { since, now: new Date(since) }).habits).length, 500)
})

test('is made bit by bit, and again where a chunk is missing or damaged', async () => {
  const { cluster, log, range, store, repository } = await makeArchive()
  const { told } = await tell(log, scanLog, range)
  await updateJournal(cluster)
  assert.equal((await updateJournal(cluster)).stored, 0)
  // One in the middle goes; the next one told what was open at its end from itself.
  await deleteJournalChunk(cluster, { timeline: 1, firstSegment: 16n })
  assert.deepEqual((await tell(log, readJournal, range)).told, told)
  assert.equal((await updateJournal(cluster)).stored, 1)
  const key = journalKey(cluster.facts.name, { timeline: 1, firstSegment: 32n })
  const bytes = await store.get(key)
  assert.ok(bytes)
  bytes[200] = (bytes[200] ?? 0) ^ 1
  await store.replace(key, bytes)
  assert.deepEqual((await tell(log, readJournal, range)).told, told)
  const { findings } = await verifyRepository({ repository, depth: 'deep' })
  assert.deepEqual(
    findings.filter(({ object }) => object === key).map(({ severity }) => severity),
    ['warning'],
  )
  assert.equal((await updateJournal(cluster, { isRebuild: true })).stored, 2)
  assert.deepEqual((await tell(log, readJournal, range)).told, told)
  const again = await verifyRepository({ repository, depth: 'deep' })
  assert.deepEqual(
    again.findings.filter(({ object }) => object.includes('/journal/')),
    [],
  )
})

test('goes with its WAL, and tells what is left', async () => {
  const { cluster, store } = await makeArchive()
  await updateJournal(cluster)
  for (let segment = FIRST; segment < 32; segment++) {
    await store.delete(segmentName(cluster.facts.name, { timeline: 1, segment: BigInt(segment), partial: false }).key)
  }
  assert.equal((await updateJournal(cluster)).removed, 1)
  assert.deepEqual(
    (await listJournalChunks(cluster)).map(({ firstSegment }) => firstSegment),
    [32n],
  )
})

test('a segment that cannot be read costs its own chunk', async () => {
  const { cluster, store } = await makeArchive()
  const { key } = segmentName(cluster.facts.name, { timeline: 1, segment: 20n, partial: false })
  const bytes = await store.get(key)
  assert.ok(bytes)
  bytes[200] = (bytes[200] ?? 0) ^ 1
  await store.replace(key, bytes)
  const { stored, unreadable } = await updateJournal(cluster)
  assert.deepEqual([stored, unreadable.length], [1, 1])
  assert.deepEqual(
    (await listJournalChunks(cluster)).map(({ firstSegment }) => firstSegment),
    [32n],
  )
})
