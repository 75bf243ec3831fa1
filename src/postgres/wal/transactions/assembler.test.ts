import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type RecordShape, record, viewOf } from '../testing/view-of.ts'
import { TransactionAssembler, type TransactionAssemblerOptions } from './assembler.ts'
import type { WalTransaction } from './transaction.ts'

const insert = (xid: number, relfilenode = 1, more: Partial<RecordShape> = {}): RecordShape => ({
  ...{ rmgr: 10, info: 0, xid, main: record.insert(1), blocks: [{ relfilenode, block: 0 }] },
  ...more,
})
const commit = (xid: number, subxids: readonly number[] = []): RecordShape => ({
  ...{ rmgr: 1, info: subxids.length > 0 ? 0x80 : 0, xid, main: record.end(subxids) },
})
const abort = (xid: number): RecordShape => ({ rmgr: 1, info: 0x20, xid, main: record.end() })
const assign = (topXid: number, subxids: readonly number[]): RecordShape => ({
  ...{ rmgr: 1, info: 0x50, xid: subxids.at(-1) ?? 0, main: record.assignment(topXid, subxids) },
})
const running = (nextXid: number, oldestXid: number, xids: readonly number[] = []): RecordShape => ({
  ...{ rmgr: 8, info: 0x10, main: record.running(nextXid, oldestXid, xids) },
})
const shutdown = (nextXid: number): RecordShape => ({ rmgr: 0, info: 0, main: record.checkpoint(nextXid) })

function assemble(shapes: readonly RecordShape[], options: Partial<TransactionAssemblerOptions> = {}) {
  const ended: WalTransaction[] = []
  const assembler = new TransactionAssembler({ ...options, onTransaction: (transaction) => ended.push(transaction) })
  for (const [index, shape] of shapes.entries()) assembler.add(viewOf({ lsn: 4096 + index * 256, ...shape }))
  return { ended, open: assembler.openTransactions() }
}

const brief = ({ xid, outcome, files }: WalTransaction) =>
  `${xid} ${outcome} ${files.reduce((sum, { inserted }) => sum + inserted, 0)}`

describe('where a transaction began', () => {
  test('is known of those that got their id after the server said which is next', () => {
    const { ended } = assemble([insert(7), running(9, 7, [7]), insert(9), commit(9), commit(7)])
    assert.deepEqual(
      ended.map(({ xid, isFromBegin }) => [xid, isFromBegin]),
      [
        [9, true],
        [7, false],
      ],
    )
  })

  test('is known of all when the next id was known before the first record', () => {
    const { ended } = assemble([insert(7), insert(6), commit(7), commit(6)], { nextXid: 7 })
    assert.deepEqual(
      ended.map(({ xid, isFromBegin }) => [xid, isFromBegin]),
      [
        [7, true],
        [6, false],
      ],
    )
  })

  test('is known across the border where ids begin anew', () => {
    const { ended } = assemble([
      running(0xfffffffe, 0xfffffffe),
      insert(5),
      commit(5),
      insert(0xfffffff0),
      commit(0xfffffff0),
    ])
    assert.deepEqual(
      ended.map(({ xid, isFromBegin }) => [xid, isFromBegin]),
      [
        [5, true],
        [0xfffffff0, false],
      ],
    )
  })
})

describe('how a transaction ended', () => {
  test('is a crash when the server began anew without it', () => {
    const { ended, open } = assemble([insert(7), insert(8), commit(8), shutdown(9)])
    assert.deepEqual(ended.map(brief), ['8 committed 1', '7 crashed 1'])
    assert.deepEqual(open, [])
  })

  test('is unknown when the server no longer runs it', () => {
    const { ended } = assemble([insert(7), insert(8), running(10, 8, [8]), commit(8)])
    assert.deepEqual(ended.map(brief), ['7 unknown 1', '8 committed 1'])
  })

  test('is unknown after an end that was not understood, and never called a crash', () => {
    const strange = { ...commit(7), info: 0x80, main: Buffer.alloc(12, 0xff) }
    const { ended } = assemble([insert(7), strange, shutdown(9)])
    assert.deepEqual(ended.map(brief), ['7 unknown 1'])
    assert.equal(ended[0]?.isExact, false)
  })

  test('is found of a prepared one that began before the log', () => {
    const end = { rmgr: 1, info: 0xb0, main: record.endOfPrepared(7) }
    const { ended } = assemble([running(9, 9), end])
    assert.deepEqual(ended.map(brief), ['7 committed 0'])
    assert.equal(ended[0]?.isFromBegin, false)
  })

  test('undoes what was inserted only to be taken back', () => {
    const undo = { ...insert(7), info: 0x10, main: record.delete(1, 0x08) }
    const { ended } = assemble([insert(7, 1, { main: record.insert(1, 0x04) }), undo, insert(7, 2), commit(7)])
    assert.deepEqual(
      ended[0]?.files.map(({ file, inserted, deleted }) => [file.relfilenode, inserted, deleted]),
      [[2, 1, 0]],
    )
  })
})

describe('subtransactions', () => {
  test('are part of what names them when it ends', () => {
    const { ended } = assemble([insert(7), insert(8), insert(9, 2), commit(7, [8, 9])])
    assert.deepEqual(ended.map(brief), ['7 committed 3'])
    assert.equal(ended[0]?.firstLsn, 4096n)
    assert.equal(ended[0]?.lastLsn, ended[0]?.end?.lsn)
  })

  test('count as rolled back when it is known whose they were, else they stand alone', () => {
    const known = assemble([insert(7), insert(8, 1, { topXid: 7 }), abort(8), commit(7)])
    assert.deepEqual(known.ended.map(brief), ['7 committed 1'])
    assert.equal(known.ended[0]?.rolledBackRows, 1)
    const unknown = assemble([insert(7), insert(8), abort(8), commit(7)])
    assert.deepEqual(unknown.ended.map(brief), ['8 aborted 1', '7 committed 1'])
  })

  test('make their transaction known although it has written nothing itself', () => {
    const { ended } = assemble([insert(8, 1, { topXid: 7 }), abort(8), insert(9, 1, { topXid: 7 }), commit(7, [9])])
    assert.deepEqual(ended.map(brief), ['7 committed 1'])
    assert.equal(ended[0]?.rolledBackRows, 1)
  })

  test('are no longer kept apart when there are too many; what they did is then an upper bound, and said to be one', () => {
    const subxids = Array.from({ length: 50 }, (_, index) => 100 + index)
    const shapes = [
      insert(7),
      ...subxids.map((xid) => insert(xid)),
      assign(7, subxids),
      abort(100),
      commit(7, subxids.slice(1)),
    ]
    const whole = assemble(shapes).ended
    assert.deepEqual(whole.map(brief), ['7 committed 50'])
    assert.ok(whole[0]?.isExact)
    const { ended } = assemble(shapes, { maxEntries: 10 })
    const top = ended.find(({ xid }) => xid === 7)
    assert.equal(top?.isExact, false)
    assert.ok((top?.files[0]?.inserted ?? 0) + (top?.otherFiles?.inserted ?? 0) >= 50)
  })
})

test('the same number in two databases is two files, also among many', () => {
  const shapes = Array.from({ length: 40 }, (_, index) => [
    insert(7, index, { blocks: [{ relfilenode: index, block: 0, database: 1 }] }),
    insert(7, index, { blocks: [{ relfilenode: index, block: 0, database: 2 }] }),
  ])
  const { ended } = assemble([...shapes.flat(), ...shapes.flat(), commit(7)])
  assert.equal(ended[0]?.files.length, 80)
  assert.ok(ended[0]?.files.every(({ inserted }) => inserted === 2))
})

test('an assembler that goes on with what another knew gives out the same', () => {
  const xid = fc.integer({ min: 5, max: 9 })
  const shape: fc.Arbitrary<RecordShape> = fc.oneof(
    { weight: 5, arbitrary: fc.tuple(xid, fc.integer({ min: 1, max: 12 })).map(([one, file]) => insert(one, file)) },
    { weight: 2, arbitrary: fc.tuple(xid, fc.subarray([5, 6, 7, 8, 9])).map(([one, subxids]) => commit(one, subxids)) },
    xid.map(abort),
    fc.tuple(xid, fc.subarray([5, 6, 7, 8, 9], { minLength: 1 })).map(([top, subxids]) => assign(top, subxids)),
    xid.map((next) => running(next + 3, next)),
    { weight: 1, arbitrary: fc.constant(shutdown(9)) },
  )
  fc.assert(
    fc.property(fc.array(shape, { maxLength: 40 }), fc.nat(40), (shapes, cut) => {
      const views = shapes.map((one, index) => viewOf({ lsn: 4096 + index * 256, ...one }))
      const whole: WalTransaction[] = []
      const one = new TransactionAssembler({ onTransaction: (transaction) => whole.push(transaction) })
      for (const view of views) one.add(view)
      const parted: WalTransaction[] = []
      const onTransaction = (transaction: WalTransaction) => parted.push(transaction)
      const first = new TransactionAssembler({ onTransaction })
      for (const view of views.slice(0, cut)) first.add(view)
      const second = new TransactionAssembler({ onTransaction, state: structuredClone(first.state) })
      for (const view of views.slice(cut)) second.add(view)
      assert.deepEqual(parted, whole)
      assert.deepEqual(second.state, one.state)
    }),
    { numRuns: 500 },
  )
})
