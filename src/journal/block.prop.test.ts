/** A journal gives back what was put in, and what was changed on the way is noticed or harmless, never a crash. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isRetakeError } from '../base/errors.ts'
import type { InstantMicros } from '../base/instant.ts'
import type { Lsn } from '../postgres/lsn.ts'
import { decodeBlock, encodeBlock, type JournalTransaction } from './block.ts'

const oid = fc.integer({ min: 0, max: 0xffff_ffff })
const file = fc.record({
  tablespace: fc.constantFrom(1663, 16_400),
  database: fc.constantFrom(5, 16_384),
  relfilenode: oid,
})
const rows = fc.oneof(fc.constant(0), fc.nat(3), fc.integer({ min: -1, max: 2 ** 40 }))
const lsn = fc.bigInt({ min: 2n ** 20n, max: 2n ** 62n }) as fc.Arbitrary<Lsn>
const at = fc.bigInt({ min: 946_684_800_000_000n, max: 4_000_000_000_000_000n }) as fc.Arbitrary<InstantMicros>
const near = fc.bigInt({ min: 0n, max: 2n ** 40n })

const transaction: fc.Arbitrary<JournalTransaction> = fc
  .record({
    xid: oid,
    subxids: fc.array(oid, { maxLength: 3 }),
    outcome: fc.constantFrom('committed' as const, 'aborted' as const, 'crashed' as const, 'unknown' as const),
    hasEnd: fc.boolean(),
    at,
    position: lsn,
    recordBytes: fc.bigInt({ min: 24n, max: 10_000n }),
    before: near,
    last: fc.bigInt({ min: 0n, max: 1n << 30n }),
    gid: fc.option(fc.string(), { nil: undefined }),
    isFromBegin: fc.boolean(),
    isExact: fc.boolean(),
    records: fc.nat(),
    walBytes: fc.integer({ min: 0, max: 2 ** 45 }),
    files: fc.array(
      fc.record({
        ...{ file, inserted: rows, updated: rows, deleted: rows, movedAway: rows, newPages: rows },
        isToast: fc.boolean(),
      }),
      { maxLength: 4 },
    ),
    otherFiles: fc.option(fc.record({ inserted: rows, updated: rows, deleted: rows }), { nil: undefined }),
    created: fc.array(file, { maxLength: 2 }),
    truncated: fc.array(oid, { maxLength: 2 }),
    location: fc.option(fc.string(), { nil: undefined }),
    catalogRows: fc.array(
      fc.record({
        ...{ file, block: oid, offset: fc.nat(300), lengthBytes: fc.nat(2000) },
        change: fc.constantFrom('insert' as const, 'update' as const, 'delete' as const),
        head: fc.uint8Array({ maxLength: 120 }).map((bytes) => Buffer.from(bytes).toString('base64')),
        from: fc.option(
          fc.record({ block: oid, offset: fc.nat(300), prefixBytes: fc.nat(300), suffixBytes: fc.nat(300) }),
          { nil: undefined },
        ),
      }),
      { maxLength: 2 },
    ),
    droppedFiles: fc.array(file, { maxLength: 2 }),
    changedRelations: fc.array(fc.record({ database: oid, oid }), { maxLength: 2 }),
    rolledBackRows: fc.constantFrom(0, 0, 7),
    wholeFilesLeftOut: fc.constantFrom(0, 0, 3),
  })
  .map(
    ({
      hasEnd,
      at: time,
      position,
      recordBytes,
      before,
      last,
      gid,
      created,
      truncated,
      location,
      catalogRows,
      ...rest
    }) => {
      const end = hasEnd ? { lsn: (position - recordBytes) as Lsn, endLsn: position, at: time } : undefined
      const lastLsn = (end ? position - recordBytes - last : position) as Lsn
      const place = { lsn: lastLsn, endLsn: position, xid: rest.xid, topXid: undefined }
      return {
        ...rest,
        ...{ end, lastLsn, firstLsn: (position - before) as Lsn },
        prepared: gid === undefined ? undefined : { lsn: lastLsn, endLsn: position, at: time, gid },
        wholeFiles: [
          ...created.map((one) => ({ type: 'file-create' as const, ...place, file: one, fork: 0 })),
          ...(truncated.length > 0
            ? [
                {
                  type: 'truncate' as const,
                  ...place,
                  database: 5,
                  relationOids: truncated,
                  isCascade: true,
                  restartsSequences: false,
                },
              ]
            : []),
          ...catalogRows.map(({ from, ...one }) => ({
            type: 'catalog-row' as const,
            ...place,
            ...one,
            ...(from ? { from } : {}),
          })),
          ...(location === undefined ? [] : [{ type: 'tablespace-create' as const, ...place, oid: 1, location }]),
        ],
      }
    },
  )

const sorted = (list: readonly JournalTransaction[]) =>
  [...list].sort((left, right) => Number((left.end?.endLsn ?? left.lastLsn) - (right.end?.endLsn ?? right.lastLsn)))
/** In an order near enough: numbers between neighbours are below 2^52. */
const near52 = (list: readonly JournalTransaction[]) => {
  const [first] = list
  return list.filter((one) => first && abs(one.lastLsn - first.lastLsn) < 2n ** 51n)
}
const abs = (value: bigint) => (value < 0n ? -value : value)

describe('a block', () => {
  test('gives back the transactions that were put in', () => {
    fc.assert(
      fc.property(fc.array(transaction, { maxLength: 6 }), (list) => {
        const transactions = structuredClone(near52(sorted(list)))
        assert.deepEqual(decodeBlock(encodeBlock(transactions)), transactions)
      }),
    )
  })

  test('that was changed or cut is refused, or gives transactions', () => {
    fc.assert(
      fc.property(
        fc.array(transaction, { minLength: 1, maxLength: 3 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        (list, where, change, isCut) => {
          const bytes = encodeBlock(near52(sorted(list)))
          const place = where % bytes.length
          bytes[place] = (bytes[place] ?? 0) ^ change
          try {
            decodeBlock(isCut ? bytes.subarray(0, place) : bytes)
          } catch (error) {
            assert.ok(isRetakeError(error, 'repo.damaged'), String(error))
          }
        },
      ),
    )
  })
})
