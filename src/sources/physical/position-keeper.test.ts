import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InstantMicros } from '../../base/instant.ts'
import type { Lsn } from '../../postgres/lsn.ts'
import { importSealing } from '../../repository/sealing.ts'
import { readPosition } from '../../repository/wal-records.ts'
import { createMemoryStore } from '../../storage/memory-store.ts'
import { PositionKeeper } from './position-keeper.ts'

const cluster = () => ({
  facts: {
    name: 'main',
    systemIdentifier: '1',
    serverVersionNum: 170_000,
    walSegmentSizeBytes: 1 << 24,
    blockSizeBytes: 8192,
    slot: 's',
  },
  store: createMemoryStore(),
  sealing: importSealing({ repositoryId: 'r', epochs: [{ epoch: 1, key: new Uint8Array(32) }] }),
})
const word = (end: number, second: number) => ({
  serverEndLsn: BigInt(end) as Lsn,
  serverTime: BigInt(second * 1_000_000) as InstantMicros,
})
const lsn = (value: number) => BigInt(value) as Lsn

function open(monotonicMs = () => 0) {
  const place = cluster()
  const keeper = new PositionKeeper({
    cluster: place,
    slot: 's',
    clock: { now: () => new Date(0), monotonicMs },
    failed: (error) => assert.fail(String(error)),
  })
  return { place, keeper }
}

test("caught up is the server's clock at the last word that is fulfilled", async () => {
  const { place, keeper } = open()
  await using _keeper = keeper
  keeper.heard(word(100, 1))
  assert.equal(keeper.caughtUpAt, undefined)
  keeper.flushed(1, lsn(99))
  assert.equal(keeper.caughtUpAt, undefined)
  keeper.flushed(1, lsn(100))
  assert.equal(keeper.caughtUpAt, 1_000_000n)
  keeper.heard(word(100, 9))
  assert.equal(keeper.caughtUpAt, 9_000_000n, 'an idle server has nothing more: still everything is held')
  await keeper.save()
  assert.deepEqual(await readPosition(place), {
    timeline: 1,
    flushLsn: '0/64',
    at: '1970-01-01T00:00:00.000Z',
    serverTime: '1970-01-01T00:00:09.000Z',
    caughtUpAt: '1970-01-01T00:00:09.000Z',
    slot: 's',
  })
})

test('a server that is always ahead cannot put it off for ever', async () => {
  const { keeper } = open()
  await using _keeper = keeper
  for (let second = 1; second <= 10; second++) {
    keeper.heard(word(second * 100, second))
    // Always one word behind.
    keeper.flushed(1, lsn((second - 1) * 100))
  }
  assert.equal(keeper.caughtUpAt, 9_000_000n)
})

test('what another connection promised is not fulfilled by this one', async () => {
  const { keeper } = open()
  await using _keeper = keeper
  keeper.flushed(1, lsn(50))
  keeper.heard(word(100, 1))
  keeper.forget()
  keeper.flushed(2, lsn(200))
  assert.equal(keeper.caughtUpAt, undefined)
})

test('nothing is written before the server has spoken, and the same is not written twice', async () => {
  const { place, keeper } = open()
  await using _keeper = keeper
  keeper.flushed(1, lsn(5))
  await keeper.save()
  assert.equal(await readPosition(place), undefined)
  keeper.heard(word(5, 1))
  await keeper.save()
  let replaced = 0
  const { replace } = place.store
  place.store.replace = async (...given) => {
    replaced++
    await replace.apply(place.store, given)
  }
  await keeper.save()
  assert.equal(replaced, 0)
  keeper.flushed(1, lsn(6))
  await keeper.save()
  assert.equal(replaced, 1)
})

test('a keepalive that speaks of less than the server is known to have proves nothing', async () => {
  const { keeper } = open()
  await using _keeper = keeper
  keeper.forget(lsn(1000))
  keeper.flushed(1, lsn(100))
  // The server is still sending old WAL; its keepalive says how far it has sent.
  keeper.heard(word(100, 5))
  assert.equal(keeper.caughtUpAt, undefined)
  assert.equal(keeper.isCaughtUp, false)
  keeper.flushed(1, lsn(1000))
  assert.equal(keeper.caughtUpAt, 5_000_000n)
  assert.equal(keeper.isCaughtUp, true)
  keeper.forget(lsn(1000))
  assert.equal(keeper.isCaughtUp, false)
})

test('a segment that is complete is written down sooner than the rest', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let nowMs = 0
  const { place, keeper } = open(() => nowMs)
  await using _keeper = keeper
  const segment = place.facts.walSegmentSizeBytes
  const writtenAfter = async (ms: number) => {
    nowMs += ms
    t.mock.timers.tick(ms)
    // The write that a timer began.
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    return (await readPosition(place))?.flushLsn
  }
  keeper.heard(word(2 * segment, 1))
  keeper.flushed(1, lsn(segment + 1))
  assert.equal(await writtenAfter(999), undefined)
  assert.equal(await writtenAfter(1), '0/1000001')
  keeper.flushed(1, lsn(segment + 2))
  assert.equal(await writtenAfter(300), '0/1000001', 'within a segment there is time')
  keeper.flushed(1, lsn(2 * segment))
  assert.equal(await writtenAfter(0), '0/2000000')
  keeper.flushed(1, lsn(3 * segment))
  keeper.flushed(1, lsn(4 * segment))
  assert.equal(await writtenAfter(199), '0/2000000', 'many segments do not make for many objects')
  assert.equal(await writtenAfter(1), '0/4000000')
})
