/** The doctor on real servers that are wrong on purpose. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { anyMajor, postgresMajors, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { makeTemp } from '../../../test/support/temp.ts'
import { generateKey } from '../../repository/keys/key-material.ts'
import { formatKeyText } from '../../repository/keys/key-text.ts'
import { initialise } from '../initialise.ts'
import type { RetakeOptions } from '../open.ts'
import type { CheckResult } from './check.ts'
import { type DoctorReport, diagnose } from './doctor.ts'

const key = generateKey()

function optionsOf(server: TestServer, repo: string, user = server.superuser): RetakeOptions {
  return {
    repo,
    key: formatKeyText(key.bytes),
    databaseUrl: `postgres://${user}@127.0.0.1:${server.server.port}/postgres`,
    postgresBinDirectory: server.binDir,
  }
}

function find(report: DoctorReport, id: string): CheckResult {
  const check = report.checks.find((candidate) => candidate.id === id)
  assert.ok(check, id)
  return check
}

/** Every fix that is one SQL statement is run as it is printed: a fix that does not work is worse than none. */
async function applySqlFix(server: TestServer, { fix }: CheckResult): Promise<void> {
  assert.ok(fix)
  for (const statement of fix.split(';')) {
    const sql = statement.replace(/--.*/, '').trim()
    if (sql !== '') await server.query(sql)
  }
}

describe('doctor', () => {
  for (const major of postgresMajors()) {
    test(`PostgreSQL ${major} as it should be, seen by a role with the least privileges`, async () => {
      await using server = await startTestServer({ major, settings: { fsync: 'on', max_slot_wal_keep_size: '16GB' } })
      await using temp = makeTemp({ label: 'doctor' })
      await server.query('create role backup login replication')
      await server.query('grant pg_monitor to backup')
      await server.query('grant execute on function pg_read_binary_file(text, bigint, bigint, boolean) to backup')
      const options = optionsOf(server, temp.join('repo'), 'backup')
      await initialise(options)
      const report = await diagnose(options)
      const failed = report.checks.filter(({ state }) => state === 'failed').map(({ id }) => id)
      assert.deepEqual(failed, ['repository.backups'], JSON.stringify(report.checks, undefined, 2))
      const unclear = report.checks
        .filter(({ state }) => state === 'unknown')
        .map(({ id, finding }) => `${id}: ${finding}`)
      assert.deepEqual(unclear, [])
      assert.equal(find(report, 'server.role').state, 'passed')
      assert.equal(find(report, 'replication.slot').state, 'passed')
      assert.equal(find(report, 'repository.receiver').state, 'warning')
    })
  }

  test('wal_level minimal, full_page_writes off, fsync off, no slot limit', async () => {
    const settings = {
      wal_level: 'minimal',
      max_wal_senders: '0',
      full_page_writes: 'off',
      fsync: 'off',
      wal_sender_timeout: '0',
    }
    await using server = await startTestServer({ major: anyMajor(), settings, checksums: false })
    const report = await diagnose(optionsOf(server, '/nonexistent'))
    for (const id of ['server.wal-level', 'server.wal-senders', 'server.full-page-writes', 'server.fsync']) {
      assert.equal(find(report, id).state, 'failed', id)
      await applySqlFix(server, find(report, id))
    }
    for (const id of ['server.slot-limit', 'server.sender-timeout', 'server.checksums'])
      assert.equal(find(report, id).state, 'warning', id)
    await applySqlFix(server, find(report, 'server.slot-limit'))
    await applySqlFix(server, find(report, 'server.sender-timeout'))
    assert.equal(find(report, 'replication.connect').state, 'failed')
    assert.equal(find(report, 'repository.open').state, 'failed')
    assert.equal(find(report, 'repository.writable').state, 'skipped')
    assert.equal(report.healthy, false)
  })

  test('pg_hba.conf without replication: a line for all is enough, none gets the exact line', async () => {
    const address = '127.0.0.1/32'
    await using server = await startTestServer({
      major: anyMajor(),
      hba: `local all all trust\nhost all postgres ${address} trust\nhost postgres backup ${address} trust\n`,
    })
    await server.query('create role backup login replication')
    const open = await diagnose(optionsOf(server, '/nonexistent', 'backup'))
    assert.equal(find(open, 'replication.connect').state, 'passed')
    assert.match(find(open, 'replication.connect').finding, /no line for replication/)

    await using closed = await startTestServer({
      major: anyMajor(),
      hba: `local all all trust\nhost all postgres ${address} trust\nhost app backup ${address} trust\n`,
    })
    await closed.query('create role backup login replication')
    await closed.query('create database app')
    const refused = await diagnose(optionsOf(closed, '/nonexistent', 'backup'))
    const check = find(refused, 'replication.connect')
    assert.equal(check.state, 'failed')
    assert.match(check.fix ?? '', /^host +replication +backup +127\.0\.0\.1\/32 +scram-sha-256$/m)
    assert.match(check.fix ?? '', /pg_reload_conf/)
  })

  test('a role without privileges gets each grant, and the grants work', async () => {
    await using server = await startTestServer({ major: anyMajor() })
    await server.query('create role "Backup" login')
    const options = optionsOf(server, '/nonexistent', 'Backup')
    const report = await diagnose(options)
    assert.equal(find(report, 'server.role').state, 'failed')
    assert.equal(find(report, 'server.monitor').state, 'warning')
    assert.equal(find(report, 'server.reread').state, 'warning')
    assert.equal(find(report, 'server.wal-directory').state, 'unknown')
    assert.equal(find(report, 'replication.connect').state, 'failed')
    assert.match(find(report, 'replication.connect').fix ?? '', /ALTER ROLE "Backup" REPLICATION;/)
    for (const id of ['server.role', 'server.monitor', 'server.reread']) await applySqlFix(server, find(report, id))
    const repaired = await diagnose(options)
    for (const id of [
      'server.role',
      'server.monitor',
      'server.reread',
      'server.wal-directory',
      'replication.connect',
    ]) {
      assert.equal(find(repaired, id).state, 'passed', `${id}: ${find(repaired, id).finding}`)
    }
  })

  test('another cluster behind the address, and a key command that hangs, are found', async () => {
    await using server = await startTestServer({ major: anyMajor() })
    await using other = await startTestServer({ major: anyMajor(), ownIdentity: true })
    await using temp = makeTemp({ label: 'doctor' })
    const options = optionsOf(server, temp.join('repo'))
    await initialise(options)
    const report = await diagnose(optionsOf(other, temp.join('repo')))
    assert.equal(find(report, 'repository.cluster').state, 'failed')

    const keyless = await diagnose({ ...options, key: undefined, keyCommand: 'sleep 600' }, { stepLimitMs: 500 })
    assert.equal(find(keyless, 'repository.open').state, 'failed')
  })
})
