/** Acknowledging from a spool: what the server was told is never lost while the machine lives, whatever is killed or refused. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { protect, waitArchived, waitStreaming } from '../../../test/support/lab.ts'
import { startTestServer } from '../../../test/support/postgres.ts'
import { acknowledgedLsn, heldLsn, killSpooled, uploadAlone } from '../../../test/support/spool-kills.ts'
import { startLoad } from '../../../test/support/wal-load.ts'
import { assertWholeLog } from '../../../test/support/whole-log.ts'
import { parseLsn } from '../../postgres/lsn.ts'
import { readPosition } from '../../repository/wal-records.ts'
import { receiveWal } from './receiver.ts'
import { bucketLike } from './testing/bucket-like.ts'
import { keepLog, startReceiver } from './testing/receive.ts'

const startServer = () => startTestServer({ walSegmentSizeMb: 1, settings: { wal_keep_size: '1GB' } })

test('a receiver that is killed at any moment has lost nothing that it acknowledged from its spool', async () => {
  await using server = await startServer()
  await using lab = await protect(server)
  const spool = lab.temp.join('spool')
  const cluster = { ...lab.cluster, store: bucketLike(lab.cluster.store, async () => {}) }
  {
    await using _load = startLoad(server, { pauseMs: 20 })
    const afterMs = [100, 900, 400]
    const ahead = await killSpooled(lab, { spool, afterMs, cluster })
    assert.ok(ahead > 0, 'at least once the spool alone held what was acknowledged')
  }
  await receiveWal({
    cluster,
    target: server.target,
    slot: lab.slot,
    spoolDirectory: spool,
    until: { kind: 'caught-up' },
  })
  await assertWholeLog(lab)
})

test('a commit returns while the bucket answers nothing; the position tells what only the spool holds', async () => {
  await using server = await startServer()
  await using lab = await protect(server)
  const spool = lab.temp.join('spool')
  const gate = Promise.withResolvers<void>()
  let closed = false
  const slow = bucketLike(lab.cluster.store, async (key) => {
    if (closed && key.includes('/tail/')) await gate.promise
  })
  const cluster = { ...lab.cluster, store: slow }
  const options = { cluster, target: server.target, slot: lab.slot, spoolDirectory: spool, thread: false }
  await using receiver = startReceiver({ ...options, synchronous: true })
  // Also when something is found wrong, or the receiver would wait for ever.
  using _open = { [Symbol.dispose]: () => gate.resolve() }
  await waitStreaming(server)
  await waitArchived(server)
  closed = true
  await server.query("alter system set synchronous_standby_names = 'retake'")
  await server.query('select pg_reload_conf()')
  await server.query('create table t as select generate_series(1, 1000) as n')
  await waitArchived(server)
  const acknowledged = await acknowledgedLsn(lab)
  assert.ok((await heldLsn(lab)) < acknowledged, 'nothing of it is uploaded')
  const position = await waitForPosition(lab.cluster, acknowledged)
  assert.ok(parseLsn(position.flushLsn) < acknowledged, 'of the repository the position says what is there')
  for (const name of partsIn(spool)) assert.equal(readFileSync(name).includes('generate_series'), false, 'sealed')
  const log = keepLog()
  gate.resolve()
  closed = false
  await receiver.stop()
  assert.ok((await heldLsn(lab)) >= acknowledged)
  await receiveWal({ ...options, spoolDirectory: undefined, until: { kind: 'caught-up' }, logger: log })
  assert.deepEqual(
    log.lines.filter((line) => line.startsWith('error')),
    [],
  )
})

async function waitForPosition(cluster: Parameters<typeof readPosition>[0], lsn: bigint) {
  for (let tries = 0; ; tries++) {
    const position = await readPosition(cluster)
    if (position?.spool && parseLsn(position.spool.acknowledgedLsn) >= lsn) return position
    assert.ok(tries < 600, 'the position never told')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function partsIn(spool: string): string[] {
  return readdirSync(spool, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.parentPath.includes('tail'))
    .map((entry) => join(entry.parentPath, entry.name))
}

test('the spool of another cluster, a directory of something else and a spool beside a directory are refused', async () => {
  await using server = await startServer()
  await using lab = await protect(server)
  await using other = await protect(server, { cluster: 'other' })
  const spool = lab.temp.join('spool')
  await uploadAlone(lab.cluster, spool)
  await assert.rejects(uploadAlone(other.cluster, spool), { code: 'cluster.foreign' })
  await assert.rejects(uploadAlone(lab.cluster, lab.url), { code: 'config.invalid' })
  writeFileSync(join(spool, 'spool.json'), '{}')
  await assert.rejects(uploadAlone(lab.cluster, spool), { code: 'config.invalid' })
  const { target } = server
  await assert.rejects(receiveWal({ cluster: lab.cluster, target, slot: lab.slot, spoolDirectory: spool }), {
    code: 'config.invalid',
  })
})
