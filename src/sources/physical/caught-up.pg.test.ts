import assert from 'node:assert/strict'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { type Protection, protect } from '../../../test/support/lab.ts'
import { startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { parseLsn } from '../../postgres/lsn.ts'
import { readWalInventory } from '../../repository/wal-archive.ts'
import { positionKey, rangeKey } from '../../repository/wal-layout.ts'
import { readPosition } from '../../repository/wal-records.ts'
import { receiveWal, type WalGoal } from './receiver.ts'
import { readArchive } from './testing/read-wal.ts'
import { keepLog } from './testing/receive.ts'

async function serverNow(server: TestServer): Promise<number> {
  const [row] = await server.query<{ now: string }>(`
    select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as now`)
  return Date.parse(row?.now ?? '')
}

test('a run that ends by itself says until when everything is held, also when nothing was left to receive', async () => {
  // Nothing is written meanwhile, so that only the question can tell.
  await using server = await startTestServer({ settings: { autovacuum: 'off' } })
  await using lab = await protect(server)
  const { cluster, slot } = lab
  await server.query('create table item (id int)')
  await server.query('checkpoint')
  await lab.catchUp()
  const goals: WalGoal[] = [
    { kind: 'caught-up' },
    { kind: 'lsn', lsn: parseLsn((await readPosition(cluster))?.flushLsn ?? '') },
    { kind: 'caught-up' },
  ]
  for (const until of goals) {
    const before = await serverNow(server)
    const { flushLsn } = await receiveWal({ cluster, target: server.target, slot, until })
    const position = await readPosition(cluster)
    assert.ok(position?.caughtUpAt, until.kind)
    assert.ok(Date.parse(position.caughtUpAt) >= before, `${until.kind}: ${position.caughtUpAt}`)
    assert.equal(parseLsn(position.flushLsn), flushLsn)
  }
})

test('a damaged position and range are said aloud, and nothing of the WAL is lost or replaced', async () => {
  await using server = await startTestServer({ walSegmentSizeMb: 1 })
  await using lab: Protection = await protect(server)
  const { cluster, slot } = lab
  await lab.catchUp()
  const before = await readPosition(cluster)
  assert.ok(before)
  const [first] = (await readWalInventory(cluster)).ranges
  assert.ok(first)
  const range = rangeKey('main', { timeline: first.timeline, begin: parseLsn(first.beginLsn) })
  const position = positionKey('main')
  const garbage = Buffer.alloc(300, 7)
  for (const key of [range, position]) await cluster.store.replace(key, garbage)
  await server.query('create table item as select generate_series(1, 20000) as id')
  const logger = keepLog()
  await receiveWal({ cluster, target: server.target, slot, until: { kind: 'caught-up' }, logger })
  const errors = logger.lines.filter((line) => line.startsWith('error:'))
  assert.ok(errors.some((line) => line.includes(`${position} is damaged`)))
  assert.ok(errors.some((line) => line.includes(`${range} is damaged`)))
  assert.deepEqual(Buffer.from((await cluster.store.get(range)) ?? []), garbage, 'evidence stays as it is')
  const after = await readPosition(cluster)
  assert.ok(after && parseLsn(after.flushLsn) > parseLsn(before.flushLsn))
  // No second range: it went on where the archive ended, although the record of its beginning is lost.
  const inventory = await readWalInventory(cluster, { onDamage: () => {} })
  assert.deepEqual(inventory.ranges, [])
  const segments = (await readArchive(cluster)).map(({ segment }) => segment)
  assert.deepEqual(
    segments,
    segments.map((_, index) => (segments[0] ?? 0n) + BigInt(index)),
  )
})
