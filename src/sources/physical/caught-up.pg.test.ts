import assert from 'node:assert/strict'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { protect } from '../../../test/support/lab.ts'
import { startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { parseLsn } from '../../postgres/lsn.ts'
import { readPosition } from '../../repository/wal-records.ts'
import { receiveWal, type WalGoal } from './receiver.ts'

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
