import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { inspect } from 'node:util'
import { postgresMajors, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { isRetakeError } from '../../base/errors.ts'
import { formatLsn, parseLsn } from '../lsn.ts'
import { runBaseBackup } from './base-backup.ts'
import { openReplication } from './connection.ts'
import { startPhysicalStream } from './wal-stream.ts'

for (const major of postgresMajors()) {
  describe(`replication connection, PostgreSQL ${major}`, () => {
    let server: TestServer
    before(async () => {
      server = await startTestServer({ major, settings: { wal_level: 'logical' } })
    })
    after(() => server[Symbol.asyncDispose]())

    test('identifies the cluster', async () => {
      await using connection = await openReplication(server.target)
      const [expected] = await server.query<{ id: string; lsn: string }>(
        'select system_identifier::text as id, pg_current_wal_flush_lsn()::text as lsn from pg_control_system()',
      )
      const identity = await connection.identifySystem()
      assert.equal(identity.systemIdentifier, expected?.id)
      assert.equal(identity.timeline, 1)
      assert.ok(identity.flushLsn <= parseLsn(await server.currentLsn()) && identity.flushLsn > 0n)
      assert.equal(Math.floor(connection.serverVersionNum / 10_000), major)
      assert.equal(connection.mode, 'physical')
    })

    test('shows settings', async () => {
      await using connection = await openReplication(server.target)
      assert.equal(await connection.show('wal_level'), 'logical')
      assert.equal(await connection.show('wal_segment_size'), '16MB')
      await assert.rejects(connection.show('no_such_setting'), (error) => isRetakeError(error, 'postgres.error'))
      assert.equal(await connection.show('max_wal_senders'), '10', 'usable after an error')
    })

    test('a slot is created with reserved WAL, once, read and dropped', async () => {
      await using connection = await openReplication(server.target)
      assert.equal(await connection.readSlot('mine'), undefined)
      assert.deepEqual(await connection.createPhysicalSlot('mine'), { created: true })
      assert.deepEqual(await connection.createPhysicalSlot('mine'), { created: false })
      const position = await connection.readSlot('mine')
      const [row] = await server.query(
        "select restart_lsn::text as lsn, temporary, slot_type from pg_replication_slots where slot_name = 'mine'",
      )
      assert.deepEqual(row, { lsn: formatLsn(position?.restartLsn ?? 0n), temporary: false, slot_type: 'physical' })
      assert.equal(position?.restartTimeline, 1)
      await connection.dropSlot('mine')
      await connection.dropSlot('mine')
      assert.equal(await connection.readSlot('mine'), undefined)
    })

    test('slots that cannot be used are refused', async () => {
      await using connection = await openReplication(server.target)
      await server.query("select pg_create_logical_replication_slot('logical', 'pgoutput')")
      await assert.rejects(
        connection.createPhysicalSlot('logical'),
        (error) => isRetakeError(error, 'postgres.slot') && error.details.logical === true,
      )
      await server.query("select pg_create_physical_replication_slot('empty')")
      for (const act of [() => connection.createPhysicalSlot('empty'), () => connection.readSlot('empty')]) {
        await assert.rejects(act(), (error) => isRetakeError(error, 'postgres.slot') && error.details.lost === true)
      }
      await assert.rejects(connection.createPhysicalSlot('Not A Name'), (error) =>
        isRetakeError(error, 'config.invalid'),
      )
    })

    test('a timeline without history', async () => {
      await using connection = await openReplication(server.target)
      assert.equal(await connection.timelineHistory(1), undefined)
      assert.equal(await connection.timelineHistory(77), undefined)
    })

    test('commands of two callers do not mix', async () => {
      await using connection = await openReplication(server.target)
      const both = await Promise.allSettled([connection.show('port'), connection.show('port')])
      assert.deepEqual(
        both.map((result) => result.status),
        ['fulfilled', 'rejected'],
      )
      assert.equal(await connection.show('port'), String(server.server.port))
    })

    test('the server ends the connection: the reason is told', async () => {
      await using connection = await openReplication(server.target)
      await connection.show('port')
      await server.query("select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'walsender'")
      await assert.rejects(connection.show('port'), (error) => isRetakeError(error, 'postgres.connection-lost'))
    })
  })

  describe(`pg_hba.conf with nothing but "host all all", PostgreSQL ${major}`, () => {
    let server: TestServer
    before(async () => {
      server = await startTestServer({ major, hba: 'local all all trust\nhost all all all trust\n' })
      await server.query('create role keeper login replication nosuperuser')
    })
    after(() => server[Symbol.asyncDispose]())

    test('everything that Retake needs works through replication=database', async () => {
      await using connection = await openReplication(server.targetOf({ user: 'keeper' }))
      assert.equal(connection.mode, 'database')
      await connection.createPhysicalSlot('keeper')
      let bytes = 0
      const count = (piece: Buffer) => {
        bytes += piece.length
      }
      const options = { label: 'x', fastCheckpoint: true, verifyChecksums: true }
      await runBaseBackup(connection, options, { begin() {}, archive() {}, data: count, manifest: count })
      assert.ok(bytes > 10_000_000)
      const slot = await connection.readSlot('keeper')
      assert.ok(slot)
      await using stream = await startPhysicalStream(connection, {
        slot: 'keeper',
        timeline: 1,
        startLsn: slot.restartLsn,
      })
      const end = await stream.run((event) => {
        if (event.type === 'data') void stream.stop()
      })
      assert.deepEqual(end, { reason: 'stopped' })
    })

    test('a database that does not exist is told as such', async () => {
      await assert.rejects(openReplication(server.targetOf({ user: 'keeper', database: 'nowhere' })), (error) =>
        isRetakeError(error, 'config.invalid'),
      )
    })
  })
}

test('refused by pg_hba.conf in both ways: the error carries the very line to add', async () => {
  await using server = await startTestServer({ hba: 'local all all trust\nhost all postgres all trust\n' })
  await server.query('create role keeper login replication')
  await assert.rejects(
    openReplication(server.targetOf({ user: 'keeper' })),
    (error) =>
      isRetakeError(error, 'postgres.privilege') &&
      error.details.hbaLine === 'host  replication  keeper  127.0.0.1/32  scram-sha-256' &&
      /pg_reload_conf/.test(inspect(error)),
  )
})
