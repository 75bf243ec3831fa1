import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { POSTGRES_EPOCH_MICROS } from '../../base/instant.ts'
import type { Lsn } from '../lsn.ts'
import { isLandmarkRecord, landmarkOf } from './landmarks.ts'
import type { WalRecord } from './record.ts'

function record(part: { rmgr: number; info: number; data: Buffer; xid?: number; dataBytes?: number }): WalRecord {
  const { rmgr, info, data, xid = 7, dataBytes = data.length } = part
  return { lsn: 0x100n as Lsn, endLsn: 0x200n as Lsn, rmgr, info, xid, totalBytes: 24 + dataBytes, data, dataBytes }
}

const u32 = (...values: number[]) => Buffer.from(Uint32Array.of(...values).buffer)
const time = (micros: bigint) => Buffer.from(BigInt64Array.of(micros).buffer)

/** The end of a prepared transaction with every part that may stand before its own id. */
function preparedEnd(statisticsItemBytes: number): Buffer {
  return Buffer.concat([
    ...[time(5n), u32(1 | 2 | 4 | 8 | 16 | 256)],
    u32(5, 1663),
    ...[u32(2), u32(101, 102)],
    ...[u32(1), Buffer.alloc(12, 1)],
    ...[u32(3), Buffer.alloc(3 * statisticsItemBytes, 2)],
    ...[u32(2), Buffer.alloc(32, 3)],
    ...[u32(4242), Buffer.from('two phases\0')],
  ])
}

describe('landmarkOf', () => {
  test('gives a prepared transaction its own id, behind all other parts', () => {
    for (const [major, itemBytes] of [
      [15, 12],
      [17, 12],
      [18, 16],
    ] as const) {
      for (const [info, type] of [
        [0xb0, 'commit-prepared'],
        [0xc0, 'abort-prepared'],
      ] as const) {
        const end = landmarkOf(record({ rmgr: 1, info, data: preparedEnd(itemBytes) }), major)
        assert.deepEqual(end, { type, xid: 4242, at: POSTGRES_EPOCH_MICROS + 5n, lsn: 0x100n, endLsn: 0x200n })
      }
    }
    // The magic of a page says the version as well.
    const byMagic = landmarkOf(record({ rmgr: 1, info: 0xb0, data: preparedEnd(16) }), 0xd118)
    assert.equal(byMagic?.type === 'commit-prepared' && byMagic.xid, 4242)
  })

  test('says 0 when that id lies in what the reader did not keep, and complains when it is not there at all', () => {
    const whole = preparedEnd(12)
    const cut = whole.subarray(0, 60)
    const end = landmarkOf(record({ rmgr: 1, info: 0xb0, data: cut, dataBytes: whole.length }), 17)
    assert.equal(end?.type === 'commit-prepared' && end.xid, 0)
    assert.throws(() => landmarkOf(record({ rmgr: 1, info: 0xb0, data: cut }), 17), /does not hold/)
    assert.throws(() => landmarkOf(record({ rmgr: 1, info: 0x30, data: whole }), 17), /does not hold/)
  })

  test('takes the time of a commit, also before the year 2000', () => {
    const end = landmarkOf(record({ rmgr: 1, info: 0x00, xid: 99, data: time(-1n) }), 17)
    assert.deepEqual(end, { type: 'commit', xid: 99, at: POSTGRES_EPOCH_MICROS - 1n, lsn: 0x100n, endLsn: 0x200n })
    assert.throws(() => landmarkOf(record({ rmgr: 1, info: 0x00, data: Buffer.alloc(7) }), 17), /does not hold/)
  })

  test('sees a change of full_page_writes', () => {
    for (const value of [0, 1]) {
      const change = landmarkOf(record({ rmgr: 0, info: 0x80, data: Buffer.of(value) }), 17)
      assert.equal(change?.type === 'full-page-writes' && change.fullPageWrites, value === 1)
    }
  })

  test('is undefined for every other record', () => {
    const others = [
      [1, 0x10],
      [1, 0x50],
      [1, 0x60],
      [0, 0x20],
      [0, 0x30],
      [0, 0xb0],
      [0, 0xe0],
      [10, 0x00],
      [128, 0x40],
    ] as const
    for (const [rmgr, info] of others) {
      assert.equal(isLandmarkRecord(rmgr, info), false)
      assert.equal(landmarkOf(record({ rmgr, info, data: Buffer.alloc(100) }), 17), undefined)
    }
  })
})
