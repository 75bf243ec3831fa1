import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type RecordShape, record, viewOf, words } from '../testing/view-of.ts'
import { decodeRecord } from './decode.ts'

const decode = (shape: RecordShape) => decodeRecord(viewOf(shape))
const reasonOf = (shape: RecordShape) => {
  const event = decode(shape)
  return event.type === 'unknown' ? event.reason : event.type
}
const heap = { rmgr: 10, info: 0, xid: 7, blocks: [{ relfilenode: 16_384, block: 3 }] }

describe('a record that is not understood', () => {
  test('is of a version, or a kind, that is not known', () => {
    assert.equal(reasonOf({ ...heap, main: record.insert(1) }), 'insert')
    assert.equal(reasonOf({ ...heap, main: record.insert(1), major: 14 }), 'version')
    assert.equal(reasonOf({ ...heap, main: record.insert(1), major: 19 }), 'version')
    assert.equal(reasonOf({ rmgr: 0, info: 0xc0 }), 'operation')
    assert.equal(reasonOf({ rmgr: 0, info: 0xe0, major: 16 }), 'operation')
    assert.equal(reasonOf({ rmgr: 0, info: 0xe0, major: 17 }), 'checkpoint-redo')
    assert.equal(reasonOf({ rmgr: 1, info: 0x70, main: record.end() }), 'operation')
  })

  test('has flags that are not known, no place, another length or no block', () => {
    assert.equal(reasonOf({ ...heap, main: record.insert(1, 0x40) }), 'content')
    assert.equal(reasonOf({ ...heap, main: record.insert(0) }), 'content')
    assert.equal(reasonOf({ ...heap, main: Buffer.concat([record.insert(1), Buffer.alloc(1)]) }), 'content')
    assert.equal(reasonOf({ ...heap, main: record.insert(1), blocks: [] }), 'content')
    assert.equal(reasonOf({ ...heap, info: 0x10, main: record.delete(1) }), 'delete')
    // It says that the old row comes with it, which it does not.
    assert.equal(reasonOf({ ...heap, info: 0x10, main: record.delete(1, 0x02) }), 'content')
    assert.equal(reasonOf({ rmgr: 1, info: 0x80, main: words(0, 0, 1 << 9) }), 'content')
  })

  test('lists more, or less, than it holds', () => {
    const rows = (count: number, places: number) =>
      Buffer.concat([Buffer.from([0, 0, count & 0xff, count >> 8]), Buffer.alloc(places * 2, 1)])
    assert.equal(reasonOf({ ...heap, rmgr: 9, info: 0x50, main: rows(3, 3) }), 'multi-insert')
    assert.equal(reasonOf({ ...heap, rmgr: 9, info: 0xd0, main: rows(3, 0) }), 'multi-insert')
    assert.equal(reasonOf({ ...heap, rmgr: 9, info: 0x50, main: rows(3, 2) }), 'content')
    assert.equal(reasonOf({ ...heap, rmgr: 9, info: 0x50, main: rows(0, 0) }), 'content')
    assert.equal(reasonOf({ rmgr: 8, info: 0x10, main: words(2, 0, 0, 9, 8, 7, 1) }), 'content')
    assert.equal(reasonOf({ rmgr: 1, info: 0x50, main: words(7, 0xffffffff) }), 'content')
    assert.equal(reasonOf({ rmgr: 1, info: 0x80, main: words(0, 0, 2, 0xffffffff, 1) }), 'content')
    assert.equal(reasonOf({ rmgr: 4, info: 0x20, main: words(5, 2, 1663) }), 'content')
  })
})

describe('what the reader did not keep', () => {
  test('is said of an end, and its lists are what was kept', () => {
    const main = Buffer.concat([record.end([11, 12, 13, 14])])
    const whole = decode({ rmgr: 1, info: 0x80, xid: 10, main })
    const cut = decode({ rmgr: 1, info: 0x80, xid: 10, main, keptBytes: main.length - 6 })
    assert.ok(whole.type === 'commit' && whole.isComplete)
    assert.deepEqual(whole.subxids, [11, 12, 13, 14])
    assert.ok(cut.type === 'commit' && !cut.isComplete)
    assert.deepEqual(cut.subxids, [11, 12])
    assert.equal(cut.ofXid, 10)
  })

  test('makes the transaction that was prepared unknown when its id lies there', () => {
    const main = record.endOfPrepared(12)
    const whole = decode({ rmgr: 1, info: 0xb0, main })
    assert.ok(whole.type === 'commit-prepared' && whole.ofXid === 12)
    const cut = decode({ rmgr: 1, info: 0xb0, main, keptBytes: main.length - 1 })
    assert.ok(cut.type === 'commit-prepared' && cut.ofXid === undefined && !cut.isComplete)
  })

  test('makes unknown what cannot be told without it', () => {
    assert.equal(reasonOf({ rmgr: 1, info: 0x50, main: record.assignment(7, [8, 9]), keptBytes: 12 }), 'cut')
    assert.equal(reasonOf({ rmgr: 8, info: 0x10, main: record.running(9, 8, [8]), keptBytes: 24 }), 'cut')
  })
})

test('other resource managers are named, those of extensions by number', () => {
  const names = [11, 13, 128, 255].map((rmgr) => {
    const event = decode({ rmgr, info: 0x30 })
    return event.type === 'other' && event.manager
  })
  assert.deepEqual(names, ['Btree', 'Gin', 'custom128', 'custom255'])
})
