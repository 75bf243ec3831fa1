/** Backups that are taken from a standby, either way, while its primary is written to: restored, they are exact. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRetakeError } from '../../src/base/errors.ts'
import { compareDigests, digestDatabase } from '../../src/demo/content-digest.ts'
import { parseLsn } from '../../src/postgres/lsn.ts'
import { listBackups } from '../../src/repository/manifest-store.ts'
import { backUp } from '../../src/sources/physical/backup.ts'
import { ensureWal } from '../../src/sources/physical/ensure-wal.ts'
import { amcheck } from '../support/amcheck.ts'
import { protect, waitArchived, waitStreaming } from '../support/lab.ts'
import '../support/leaks.ts'
import { startTestServer } from '../support/postgres.ts'
import { restore } from '../support/restore.ts'
import { Standby } from '../support/standby.ts'
import { installTpcb, startTpcb } from '../support/tpcb.ts'

test('a standby is backed up by its files and through replication, and promoted in the middle of both', async () => {
  await using server = await startTestServer()
  await installTpcb(server.target, 20_000)
  await using lab = await protect(server)
  await using standby = await Standby.start(server)
  const ensure = (stopLsn: string) =>
    ensureWal({ cluster: lab.cluster, target: standby.target, slot: lab.slot, untilLsn: parseLsn(stopLsn) })
  const take = (via: 'files' | 'replication', onProgress?: (doneBytes: number) => void) =>
    backUp({
      cluster: lab.cluster,
      target: standby.target,
      workers: 1,
      via,
      ...(onProgress ? { maxRateKiB: 20_000, onProgress: ({ done }) => onProgress(done) } : {}),
    })
  const backupIds: string[] = []
  {
    await using load = await startTpcb({ target: server.target, accounts: 20_000, transactionsPerSecond: 300 })
    {
      await using receiver = lab.receive()
      await waitStreaming(server)
      for (const via of ['files', 'replication'] as const) {
        const summary = await take(via)
        assert.equal(summary.via, via)
        assert.equal(summary.corruptBlockCount, 0)
        assert.equal((await ensure(summary.stopLsn)).by, 'other-receiver')
        backupIds.push(summary.backupId)
      }
      await load.stop()
      await waitArchived(server)
      await receiver.stop()
    }
  }
  assert.deepEqual(
    await standby.query('select slot_name from pg_replication_slots'),
    [],
    'no slot is left on a standby',
  )
  const expected = await digestDatabase(server)
  for (const backupId of backupIds) {
    await using restored = await restore(lab, { at: 'latest', backupId })
    assert.deepEqual(compareDigests(expected, await digestDatabase(restored)), [])
    assert.deepEqual((await amcheck(restored)).findings, [])
  }

  // Without a receiver nothing is fetched from the standby, and nothing is claimed.
  await server.query('create table later as select 1')
  await standby.catchUp()
  await assert.rejects(
    ensure(await server.currentLsn()),
    (error) => isRetakeError(error, 'wal.gap') && /retake wal receive --until-lsn/.test(error.hint ?? ''),
  )
  assert.deepEqual(await standby.query('select slot_name from pg_replication_slots'), [])

  for (const via of ['files', 'replication'] as const) {
    let promotion: Promise<unknown> | undefined
    await assert.rejects(
      take(via, (done) => {
        if (done > 1_000_000) promotion ??= standby.query('select pg_promote()')
      }),
      (error) => isRetakeError(error, 'backup.refused') && /promoted/.test(error.message),
    )
    await promotion
    await standby.follow()
  }
  assert.equal((await listBackups(lab.cluster)).length, backupIds.length)
})
