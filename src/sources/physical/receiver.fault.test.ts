import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { type Protection, protect } from '../../../test/support/lab.ts'
import { startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { startLoad } from '../../../test/support/wal-load.ts'
import { assertWholeLog } from '../../../test/support/whole-log.ts'
import { sleep } from '../../base/abort.ts'
import { RetakeError } from '../../base/errors.ts'
import { parseLsn } from '../../postgres/lsn.ts'
import { readPosition } from '../../repository/wal-records.ts'
import { receiveWal } from './receiver.ts'
import { keyText, spawnChild } from './testing/child.ts'
import { archiveEnd, readArchive } from './testing/read-wal.ts'
import { startReceiver } from './testing/receive.ts'
import { hookedStore, type StoreAction } from './testing/recording-store.ts'

const SEGMENT_BYTES = 1024 * 1024

async function startServer(): Promise<TestServer> {
  return await startTestServer({ walSegmentSizeMb: 1, settings: { wal_keep_size: '1GB' } })
}

/** What the server was told (its slot moved there) and what the archive says of itself can be read back. */
async function assertAcknowledgedIsHeld(lab: Protection): Promise<void> {
  const [slot] = await lab.server.query<{ lsn: string | null }>(
    'select restart_lsn::text as lsn from pg_replication_slots where slot_name = $1',
    [lab.slot],
  )
  const position = await readPosition(lab.cluster)
  const end = archiveEnd(await readArchive(lab.cluster), { timeline: 1, segmentSizeBytes: SEGMENT_BYTES })
  if (end > 0n) assert.ok(end >= parseLsn(slot?.lsn ?? '0/0'), 'acknowledged is held')
  if (position) assert.ok(end >= parseLsn(position.flushLsn), 'the position never says too much')
}

test('a receiver that is killed at any moment loses no acknowledged byte and goes on without a hole', async () => {
  await using server = await startServer()
  await using lab = await protect(server)
  const task = {
    url: lab.url,
    key: keyText(lab),
    cluster: lab.cluster.facts.name,
    slot: lab.slot,
    port: server.server.port,
  }
  {
    await using _load = startLoad(server)
    for (const afterMs of [300, 450, 700, 500, 950, 350]) {
      const child = spawnChild('receive', task)
      const exited = once(child, 'exit')
      await sleep(afterMs)
      child.kill('SIGKILL')
      await exited
      await assertAcknowledgedIsHeld(lab)
    }
  }
  await lab.catchUp()
  await assertWholeLog(lab)
})

test('whatever call to the storage fails, the receiver tries again and the log has no hole', async () => {
  await using server = await startServer()
  await using lab = await protect(server)
  const calls = new Map<StoreAction, number>()
  const failed = new Map<StoreAction, number>()
  const store = hookedStore(lab.cluster.store, {
    before(action, key) {
      if (key.includes('/leases/')) return
      const call = (calls.get(action) ?? 0) + 1
      calls.set(action, call)
      // Each kind of call fails twice: counted by kind, so that no rhythm of the receiver lets one of them through.
      if (call !== 2 && call !== 5) return
      failed.set(action, (failed.get(action) ?? 0) + 1)
      throw new RetakeError('storage.failed', `the storage did not answer (${action})`)
    },
  })
  await using receiver = startReceiver({
    cluster: { ...lab.cluster, store },
    target: server.target,
    slot: lab.slot,
    thread: false,
  })
  const actions = ['append', 'sync', 'open', 'write', 'commit'] as const
  const started = performance.now()
  {
    await using _load = startLoad(server)
    while (actions.some((action) => (failed.get(action) ?? 0) < 2) && performance.now() - started < 60_000) {
      await sleep(300)
      await assertAcknowledgedIsHeld(lab)
    }
  }
  await receiver.stop()
  for (const action of actions) assert.equal(failed.get(action), 2, `${action} has failed twice`)
  await receiveWal({ cluster: lab.cluster, target: server.target, slot: lab.slot, until: { kind: 'caught-up' } })
  await assertWholeLog(lab)
})
