import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isRetakeError } from '../../base/errors.ts'
import { formatLsn, type Lsn } from '../lsn.ts'
import { WalReader } from './reader.ts'
import { WalBuilder } from './testing/wal-builder.ts'

const segmentSizeBytes = 65_536

const entry = fc.oneof(
  { weight: 20, arbitrary: fc.record({ kind: fc.constant('record' as const), bytes: fc.nat(300) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('record' as const), bytes: fc.nat(60_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('record' as const), bytes: fc.integer({ min: 100_000, max: 200_000 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('switch' as const), bytes: fc.constant(0) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('abandoned' as const), bytes: fc.integer({ min: 9000, max: 9500 }) }),
  },
)
/** The segment's number: also where the lower half of the position is about to overflow. */
const log = fc
  .tuple(fc.constantFrom(0n, 1n, 0xfffen, 0xffffn, 0x123456789n), fc.array(entry, { minLength: 1, maxLength: 30 }))
  .map(([segment, entries]) => {
    const builder = new WalBuilder({ startLsn: segment * BigInt(segmentSizeBytes), segmentSizeBytes })
    for (const [index, { kind, bytes }] of entries.entries()) {
      const data = new Uint8Array(bytes).map((_, at) => at * 31 + index)
      if (kind === 'record') builder.add({ rmgr: 10, info: index & 0x0f, xid: index, data })
      else if (kind === 'switch') builder.addSwitch()
      else builder.addAbandoned(data)
    }
    return builder
  })

function readAll(bytes: Uint8Array, startLsn: bigint, cuts: readonly number[] = []) {
  const reader = new WalReader({ startLsn: startLsn as Lsn, segmentSizeBytes })
  const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((left, right) => left - right), bytes.length]
  const records = edges.slice(1).flatMap((end, index) => reader.push(bytes.subarray(edges[index], end)))
  return { reader, records }
}

const shown = (record: { lsn: bigint; endLsn: bigint; rmgr: number; info: number; xid: number; data: Uint8Array }) => ({
  lsn: formatLsn(record.lsn),
  endLsn: formatLsn(record.endLsn),
  rmgr: record.rmgr,
  info: record.info,
  xid: record.xid,
  data: Buffer.from(record.data).toString('base64'),
})

describe('WalReader', () => {
  test('gives back what was written, whatever the pieces', () => {
    fc.assert(
      fc.property(log, fc.array(fc.nat(), { maxLength: 40 }), (builder, cuts) => {
        const { reader, records } = readAll(builder.bytes, builder.startLsn, cuts)
        assert.deepEqual(records.map(shown), builder.records.map(shown))
        assert.equal(reader.validEndLsn, builder.records.at(-1)?.endLsn ?? builder.startLsn)
        assert.equal(reader.end, undefined)
      }),
      { numRuns: 60 },
    )
  })

  test('gives a record as soon as its last byte is there', () => {
    const builder = new WalBuilder({ startLsn: 0n, segmentSizeBytes })
    const { lsn } = builder.add({ rmgr: 1, info: 0, data: new Uint8Array(9) })
    const end = 40 + 24 + 2 + 9
    const reader = new WalReader({ startLsn: builder.startLsn, segmentSizeBytes })
    assert.deepEqual(reader.push(builder.bytes.subarray(0, end - 1)), [])
    assert.equal(reader.push(builder.bytes.subarray(end - 1, end))[0]?.lsn, lsn)
  })

  test('gives copies: the buffer that was pushed may be used again', () => {
    fc.assert(
      fc.property(log, fc.integer({ min: 1, max: 20_000 }), (builder, pieceBytes) => {
        const reader = new WalReader({ startLsn: builder.startLsn, segmentSizeBytes })
        const buffer = Buffer.alloc(pieceBytes)
        const { bytes } = builder
        const records = []
        for (let at = 0; at < bytes.length; at += pieceBytes) {
          const length = bytes.copy(buffer, 0, at, at + pieceBytes)
          records.push(...reader.push(buffer.subarray(0, length)))
        }
        buffer.fill(0xaa)
        assert.deepEqual(records.map(shown), builder.records.map(shown))
      }),
      { numRuns: 30 },
    )
  })

  test('ends at the first zeros after the last record', () => {
    fc.assert(
      fc.property(log, fc.array(fc.nat(), { maxLength: 5 }), (builder, cuts) => {
        const { reader, records } = readAll(
          Buffer.concat([builder.padded(), Buffer.alloc(segmentSizeBytes)]),
          builder.startLsn,
          cuts,
        )
        assert.deepEqual(records.map(shown), builder.records.map(shown))
        assert.equal(reader.end, 'zeros')
      }),
      { numRuns: 30 },
    )
  })

  test('never gives a changed record: a flipped byte is an error or lies where no record is', () => {
    fc.assert(
      fc.property(log, fc.nat(), fc.integer({ min: 1, max: 255 }), (builder, position, change) => {
        const bytes = builder.bytes
        const at = position % bytes.length
        bytes.writeUInt8(bytes.readUInt8(at) ^ change, at)
        const reader = new WalReader({ startLsn: builder.startLsn, segmentSizeBytes, timeline: 1 })
        const expected = builder.records.map(shown)
        let records: ReturnType<WalReader['push']> = []
        let failed = false
        try {
          records = reader.push(bytes)
        } catch (error) {
          assert.ok(isRetakeError(error, 'wal.damaged'), String(error))
          failed = true
        }
        assert.deepEqual(records.map(shown), expected.slice(0, records.length))
        if (records.length === expected.length || failed) return
        // Neither all records nor an error: a length that now reads as the end of the log, or as a longer record still to come.
        assert.ok(reader.validEndLsn <= builder.startLsn + BigInt(at))
      }),
      { numRuns: 300 },
    )
  })

  test('begins with the first whole record after any position', () => {
    fc.assert(
      fc.property(log, fc.nat(), (builder, position) => {
        const at = position % builder.bytes.length
        const startLsn = builder.startLsn + BigInt(at)
        const { records, reader } = readAll(builder.bytes.subarray(at), startLsn)
        assert.deepEqual(records.map(shown), builder.records.slice(builder.records.length - records.length).map(shown))
        // Only the records that begin before the next page are passed over.
        const nextPage = startLsn + ((8192n - (startLsn % 8192n)) % 8192n)
        const isEmptyRest = builder.records.some(
          ({ info, lsn, endLsn }) => info === 0x40 && lsn < nextPage && nextPage < endLsn,
        )
        const due = isEmptyRest ? [] : builder.records.filter((record) => record.lsn >= nextPage)
        assert.equal(records.length, due.length)
        // What a switch left empty cannot be told from where the log ends.
        assert.equal(reader.end, isEmptyRest && at % segmentSizeBytes < segmentSizeBytes - 8192 ? 'zeros' : undefined)
      }),
      { numRuns: 60 },
    )
  })
})

describe('WalReader at the end of a log', () => {
  const startLsn = 16n * 65_536n
  const built = (timeline = 1) => {
    const builder = new WalBuilder({ startLsn, segmentSizeBytes, timeline })
    for (let index = 0; index < 400; index += 1) builder.add({ rmgr: 10, info: 0, data: new Uint8Array(100) })
    return builder
  }
  const old = () => {
    const builder = new WalBuilder({ startLsn: startLsn - 65_536n, segmentSizeBytes })
    for (let index = 0; index < 400; index += 1) builder.add({ rmgr: 10, info: 0, data: new Uint8Array(100) })
    return builder.bytes
  }

  test('takes the pages of a recycled segment for the end', () => {
    const builder = built()
    const valid = Math.ceil(builder.bytes.length / 8192) * 8192
    const bytes = Buffer.concat([builder.padded().subarray(0, valid - 8192), old().subarray(valid - 8192)])
    const reader = new WalReader({ startLsn: builder.startLsn, segmentSizeBytes })
    const records = reader.push(bytes)
    assert.equal(reader.end, 'recycled-page')
    assert.equal(reader.validEndLsn, records.at(-1)?.endLsn)
    assert.ok(reader.validEndLsn <= startLsn + BigInt(valid - 8192))
    assert.deepEqual(reader.push(bytes), [])
  })

  test('names an unknown page magic', () => {
    const bytes = built().bytes
    bytes.writeUInt16LE(0xd1ff, 0)
    const reader = new WalReader({ startLsn: startLsn as Lsn, segmentSizeBytes })
    assert.throws(() => reader.push(bytes), /0xD1FF/)
    assert.throws(() => reader.push(bytes), /0xD1FF/)
  })

  test('refuses a newer timeline, another cluster, other segment sizes and a missing page', () => {
    const read = (bytes: Uint8Array, options: Partial<ConstructorParameters<typeof WalReader>[0]>) => () =>
      new WalReader({ startLsn: startLsn as Lsn, segmentSizeBytes, ...options }).push(bytes)
    assert.throws(read(built(3).bytes, { timeline: 2 }), /timeline 3/)
    assert.throws(read(built().bytes, { systemIdentifier: '78' }), (error) => isRetakeError(error, 'cluster.foreign'))
    assert.throws(read(built().bytes, { segmentSizeBytes: 32_768 }), /segments of 65536/)
    const bytes = built().bytes
    assert.throws(read(Buffer.concat([bytes.subarray(0, 8192), bytes.subarray(16_384)]), {}), /belongs at/)
    assert.equal(read(built(2).bytes, { timeline: 2, systemIdentifier: '77' })().length, 400)
  })

  test('gives out nothing of a record whose length is beyond reason', () => {
    const bytes = built().bytes
    bytes.writeUInt32LE(0xffffffff, 40)
    const reader = new WalReader({ startLsn: startLsn as Lsn, segmentSizeBytes })
    assert.throws(() => reader.push(bytes), /length of 4294967295/)
    assert.equal(reader.validEndLsn, startLsn)
  })
})
