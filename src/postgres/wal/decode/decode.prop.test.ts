/** Whatever a record holds, it is decoded or said to be unknown: nothing is thrown, nothing runs on, nothing is made up. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isRetakeError } from '../../../base/errors.ts'
import { WalReader } from '../reader.ts'
import { RecordParts } from '../record-parts.ts'
import { record, viewOf, words } from '../testing/view-of.ts'
import { WalBuilder } from '../testing/wal-builder.ts'
import { TransactionAssembler } from '../transactions/assembler.ts'
import { decodeRecord } from './decode.ts'

/** Small counts and lengths are much more likely than they would be by chance: they are what decoders follow. */
const main = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.array(fc.oneof(fc.nat(8), fc.integer(), fc.constant(0xffffffff)), { maxLength: 30 }).map((list) => words(...list)),
  fc.constantFrom(
    record.insert(1),
    record.delete(3),
    record.end([5, 6]),
    record.running(9, 8, [8]),
    record.checkpoint(9),
  ),
)
const shape = fc.record({
  rmgr: fc.oneof(fc.constantFrom(0, 1, 2, 4, 5, 7, 8, 9, 10, 15, 21), fc.nat(255)),
  info: fc.nat(255),
  xid: fc.nat(40),
  topXid: fc.nat(10),
  major: fc.constantFrom(15, 16, 17, 18),
  main,
  blocks: fc.array(fc.record({ relfilenode: fc.nat(5), block: fc.nat(9), database: fc.nat(2) }), { maxLength: 3 }),
})

/** Bytes that an event speaks of must be in the record: nothing of a size that it does not have. */
function requireModest(value: unknown, limit: number): void {
  if (Array.isArray(value)) assert.ok(value.length <= limit)
  if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) requireModest(part, limit)
}

describe('decodeRecord', () => {
  test('takes any content', () => {
    fc.assert(
      fc.property(shape, fc.nat(), (one, cut) => {
        const view = viewOf({ ...one, keptBytes: cut % 3 === 0 ? cut % (one.main.length + 1) : one.main.length })
        const event = decodeRecord(view)
        assert.equal(event.xid, one.xid)
        // A new page's rows are counted, not listed.
        if (event.type !== 'multi-insert') requireModest(event, Math.max(16, one.main.length))
      }),
      { numRuns: 3000 },
    )
  })

  test('reads any part headers, or says that they are none', () => {
    const parts = new RecordParts()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(200), (bytes, more) => {
        if (!parts.read(bytes, { begin: 0, end: bytes.length, bodyBytes: bytes.length + more })) return
        assert.ok(parts.mainBytes <= bytes.length + more && parts.blockCount <= 33)
        for (let index = 0; index < parts.blockCount; index += 1) assert.ok(parts.reference(index).id <= 32)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('TransactionAssembler', () => {
  test('takes any records, in any order, gives each transaction once, and keeps what it may', () => {
    fc.assert(
      fc.property(fc.array(shape, { maxLength: 60 }), (shapes) => {
        let given = 0
        const assembler = new TransactionAssembler({ maxEntries: 8, onTransaction: () => (given += 1) })
        for (const [index, one] of shapes.entries()) assembler.add(viewOf({ ...one, lsn: 4096 + index * 512 }))
        const open = assembler.openTransactions()
        const kept = open.reduce((sum, { files, wholeFiles }) => sum + files.length + wholeFiles.length, 0)
        assert.ok(kept <= 8)
        assert.ok(given <= shapes.length * 40)
        assert.equal(new Set(open.map(({ xid }) => xid)).size, open.length)
      }),
      { numRuns: 1000 },
    )
  })

  test('takes a log in which bytes were changed, up to where it is damaged', () => {
    const segmentSizeBytes = 65_536
    fc.assert(
      fc.property(
        fc.array(shape, { minLength: 1, maxLength: 40 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (shapes, place, flip) => {
          const builder = new WalBuilder({ startLsn: 65_536n, segmentSizeBytes })
          for (const one of shapes)
            builder.add({ ...one, rmgr: one.rmgr > 21 && one.rmgr < 128 ? 10 : one.rmgr, data: one.main })
          const { bytes } = builder
          const at = place % bytes.length
          bytes.writeUInt8((bytes[at] as number) ^ flip, at)
          const assembler = new TransactionAssembler({ onTransaction: () => {} })
          const reader = new WalReader({ startLsn: builder.startLsn, segmentSizeBytes })
          try {
            reader.visit(bytes, (view) => assembler.add(view))
          } catch (error) {
            if (!isRetakeError(error, 'wal.damaged')) throw error
          }
          assembler.openTransactions()
        },
      ),
      { numRuns: 300 },
    )
  })
})
