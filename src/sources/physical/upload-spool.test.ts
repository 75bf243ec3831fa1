import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { makeTemp } from '../../../test/support/temp.ts'
import type { Lsn } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../../repository/cluster.ts'
import { createExampleRepository, exampleFacts } from '../../repository/testing/example-repository.ts'
import { TailWriter } from '../../repository/wal-tail.ts'
import { DirectoryStore } from '../../storage/directory-store.ts'
import { createMemoryStore } from '../../storage/memory-store.ts'
import { LocalSpool } from './local-spool.ts'
import type { HeldTimeline } from './resume.ts'
import { keepLog } from './testing/receive.ts'
import { judgeSpooled, missingSpoolWarning, type SpoolTarget, uploadSpool } from './upload-spool.ts'

const lsn = (value: number) => BigInt(value) as Lsn
const held = (timeline: number, begin: number, end: number): HeldTimeline => ({
  timeline,
  beginLsn: lsn(begin),
  endLsn: lsn(end),
})
const wal = (timeline: number, begin: number, end: number) => ({ timeline, beginLsn: lsn(begin), endLsn: lsn(end) })

test('what the spool holds is held already, continues what is held, or has no place', () => {
  const archive = [held(1, 100, 200)]
  assert.equal(judgeSpooled(wal(1, 150, 200), archive).kind, 'held')
  assert.equal(judgeSpooled(wal(1, 250, 250), archive).kind, 'held')
  assert.deepEqual(judgeSpooled(wal(1, 150, 300), archive), { kind: 'continues', fromLsn: 200n })
  assert.deepEqual(judgeSpooled(wal(1, 200, 300), archive), { kind: 'continues', fromLsn: 200n })
  assert.equal(judgeSpooled(wal(1, 201, 300), archive).kind, 'apart')
  assert.equal(judgeSpooled(wal(1, 50, 90), archive).kind, 'apart')
  assert.equal(judgeSpooled(wal(2, 150, 300), archive).kind, 'apart')
  assert.equal(judgeSpooled(wal(1, 150, 300), [...archive, held(2, 180, 190)]).kind, 'apart')
  assert.equal(judgeSpooled(wal(1, 150, 190), [...archive, held(2, 180, 190)]).kind, 'held')
})

test('who begins without the spool is told what only the spool holds', () => {
  const position = {
    timeline: 1,
    flushLsn: '0/80',
    at: '',
    serverTime: '',
    spool: { host: 'db1', acknowledgedLsn: '0/C8' },
  }
  assert.equal(missingSpoolWarning(position, [held(1, 100, 200)]), undefined)
  assert.match(missingSpoolWarning(position, [held(1, 100, 199)]) ?? '', /on db1 .* 0\/C8 of timeline 1 .* 0\/C7/)
  assert.match(missingSpoolWarning(position, []) ?? '', /nowhere/)
  assert.equal(missingSpoolWarning({ ...position, spool: undefined }, []), undefined)
})

/** An archive in memory, whose bytes are known. */
class KnownArchive implements SpoolTarget {
  bytes: Buffer
  readonly #begin: number
  constructor(begin: number, bytes: Buffer) {
    this.#begin = begin
    this.bytes = bytes
  }
  get timelines(): HeldTimeline[] {
    return [held(1, this.#begin, this.#begin + this.bytes.length)]
  }
  async resumeAt({ startLsn }: { readonly startLsn: Lsn }): Promise<void> {
    assert.equal(Number(startLsn), this.#begin + this.bytes.length)
  }
  async ending(_: unknown, maxBytes: number): Promise<Buffer> {
    return this.bytes.subarray(Math.max(0, this.bytes.length - maxBytes))
  }
  write(startLsn: Lsn, bytes: Uint8Array): void {
    assert.equal(Number(startLsn), this.#begin + this.bytes.length)
    this.bytes = Buffer.concat([this.bytes, bytes])
  }
  async settle(): Promise<void> {}
}

const SEGMENT = exampleFacts.walSegmentSizeBytes

async function makeSpool(): Promise<
  { cluster: ClusterRepository; spooled: ClusterRepository; directory: string } & AsyncDisposable
> {
  const temp = makeTemp({ label: 'spool' })
  const { repository } = await createExampleRepository(createMemoryStore())
  const cluster = await repository.openCluster('main')
  const directory = temp.join('spool')
  await using _spool = await LocalSpool.open(directory, cluster)
  const spooled = { ...cluster, store: new DirectoryStore(directory) }
  return { cluster, spooled, directory, [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose]() }
}

/** Segment 1 from 1000 on to its end, and 500 bytes of segment 2. */
async function fill({ spooled }: { readonly spooled: ClusterRepository }, bytes: Buffer): Promise<void> {
  const first = await TailWriter.open(spooled, { timeline: 1, segment: 1n, offsetBytes: 1000 })
  for (let at = 1000; at < SEGMENT; at += 5000) await first.append(bytes.subarray(at, Math.min(at + 5000, SEGMENT)))
  await first.sync()
  await first.close()
  const second = await TailWriter.open(spooled, { timeline: 1, segment: 2n, offsetBytes: 0 })
  await second.append(bytes.subarray(SEGMENT))
  await second.sync()
  await second.close()
}

const example = Buffer.from(Array.from({ length: SEGMENT + 500 }, (_, index) => (index * 7 + index / 251) % 256))

test('what the archive lacks is added to it in order, from where it ends, and the spool is empty then', async () => {
  await using stage = await makeSpool()
  await fill(stage, example)
  for (const end of [1000, 1700, 12_345]) {
    const archive = new KnownArchive(SEGMENT, Buffer.from(example.subarray(0, end)))
    const log = keepLog()
    await using spool = await LocalSpool.open(stage.directory, stage.cluster)
    await uploadSpool(spool, { archive, logger: log })
    assert.ok(archive.bytes.equals(example))
    assert.deepEqual(await Array.fromAsync(spool.held()), [])
    assert.deepEqual(
      log.lines.map((line) => line.split(':')[0]),
      ['info', 'info'],
    )
    await fill(stage, example)
  }
})

test('another past under the same numbers, a hole and damage are kept aside and said, and nothing of them is added', async () => {
  await using stage = await makeSpool()
  const others = Buffer.from(example.subarray(0, 2000))
  others[1500] = (others[1500] ?? 0) ^ 1
  for (const before of [others, Buffer.from(example.subarray(0, 900))]) {
    await fill(stage, example)
    const archive = new KnownArchive(SEGMENT, before)
    const log = keepLog()
    await using spool = await LocalSpool.open(stage.directory, stage.cluster)
    await uploadSpool(spool, { archive, logger: log })
    assert.ok(archive.bytes.equals(before))
    assert.deepEqual(
      log.lines.map((line) => line.split(':')[0]),
      ['error', 'error'],
    )
  }
  await fill(stage, example)
  const [part = ''] = readdirSync(stage.directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.startsWith('clusters') && name.includes('0000000000000001-'))
    .map((name) => join(stage.directory, name))
  const bytes = readFileSync(part)
  bytes[200] = (bytes[200] ?? 0) ^ 1
  writeFileSync(part, bytes)
  const log = keepLog()
  await using spool = await LocalSpool.open(stage.directory, stage.cluster)
  const archive = new KnownArchive(SEGMENT, Buffer.from(example.subarray(0, 1000)))
  await uploadSpool(spool, { archive, logger: log })
  assert.deepEqual(await Array.fromAsync(spool.held()), [])
  assert.equal(archive.bytes.length, 1000)
  assert.ok(readdirSync(join(stage.directory, 'set-aside'), { recursive: true }).length > 6)
  assert.equal(log.lines.length, 2)
})
