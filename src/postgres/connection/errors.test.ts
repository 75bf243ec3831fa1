import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ErrorCode } from '../../base/error-codes.ts'
import { hbaLine, isTlsFailure, networkError, type ServerMessage, serverError } from './errors.ts'

const context = { display: 'postgres://rep@h:5432/app', user: 'rep', database: 'app' }

function message(sqlState: string, text: string, more: Partial<ServerMessage> = {}): ServerMessage {
  return { severity: 'ERROR', sqlState, message: text, ...more }
}

const table: [name: string, ServerMessage, code: ErrorCode, details: object, hint: RegExp][] = [
  [
    'wrong password',
    message('28P01', 'password authentication failed for user "rep"'),
    'postgres.auth',
    {},
    /ALTER ROLE rep PASSWORD/,
  ],
  [
    'unknown role',
    message('28000', 'role "rep" does not exist', { routine: 'InitializeSessionUserId' }),
    'postgres.auth',
    {},
    /CREATE ROLE rep/,
  ],
  [
    'no pg_hba line',
    message(
      '28000',
      'no pg_hba.conf entry for replication connection from host "10.0.0.7", user "rep", no encryption',
      { routine: 'ClientAuthentication' },
    ),
    'postgres.privilege',
    { hbaLine: 'host  replication  rep  10.0.0.7/32  scram-sha-256' },
    /pg_reload_conf/,
  ],
  [
    'not a replication role',
    message('42501', 'must be superuser or replication role to start walsender', { routine: 'InitPostgres' }),
    'postgres.privilege',
    {},
    /ALTER ROLE rep REPLICATION/,
  ],
  ['no such database', message('3D000', 'database "app" does not exist'), 'config.invalid', {}, /existing database/],
  [
    'too many walsenders',
    message('53300', 'number of requested standby connections exceeds max_wal_senders (currently 2)'),
    'postgres.error',
    {},
    /max_wal_senders/,
  ],
  ['no slot free', message('53400', 'all replication slots are in use'), 'postgres.slot', {}, /max_replication_slots/],
  [
    'slot in use',
    message('55006', 'replication slot "s" is active for PID 4711'),
    'postgres.slot',
    { slot: 's', active: true, pid: 4711 },
    /pg_terminate_backend\(4711\)/,
  ],
  [
    'slot missing',
    message('42704', 'replication slot "s" does not exist'),
    'postgres.slot',
    { slot: 's', missing: true },
    /retake init/,
  ],
  [
    'slot invalidated (18)',
    message('55000', 'can no longer access replication slot "s"', {
      detail: 'This replication slot has been invalidated due to "wal_removed".',
      routine: 'ReplicationSlotAcquire',
    }),
    'postgres.slot',
    { slot: 's', lost: true },
    /pg_drop_replication_slot\('s'\)/,
  ],
  [
    'slot invalidated (older words)',
    message('55000', 'can no longer get changes from replication slot "s"'),
    'postgres.slot',
    { slot: 's', lost: true },
    /drop/i,
  ],
  [
    'WAL removed',
    message('58P01', 'requested WAL segment 000000010000000000000003 has already been removed', {
      routine: 'WalSndSegmentOpen',
    }),
    'wal.gap',
    { segment: '000000010000000000000003' },
    /new backup/,
  ],
  [
    'WAL removed, server speaks German',
    message('58P01', 'das angeforderte WAL-Segment 000000010000000000000003 wurde schon entfernt', {
      routine: 'WalSndSegmentOpen',
    }),
    'wal.gap',
    { segment: '000000010000000000000003' },
    /new backup/,
  ],
  [
    'ahead of the server',
    message('XX000', 'requested starting point 0/9000000 is ahead of the WAL flush position of this server 0/3000000', {
      routine: 'StartReplication',
    }),
    'wal.diverged',
    {},
    /right server/,
  ],
  [
    'foreign timeline',
    message('XX000', "requested timeline 7 is not in this server's history", { routine: 'tliSwitchPoint' }),
    'wal.diverged',
    {},
    /right server/,
  ],
  ['starting up', message('57P03', 'the database system is starting up'), 'postgres.unreachable', {}, /Wait/],
  [
    'shut down',
    message('57P01', 'terminating connection due to administrator command'),
    'postgres.connection-lost',
    {},
    /again/,
  ],
  ['a pooler', message('08P01', 'unsupported startup parameter: replication'), 'postgres.unsupported', {}, /pooler/],
]

describe('serverError', () => {
  for (const [name, said, code, details, hint] of table) {
    test(name, () => {
      const error = serverError(said, context)
      assert.equal(error.code, code)
      assert.match(error.hint ?? '', hint)
      assert.equal(error.details.sqlState, said.sqlState)
      for (const [key, value] of Object.entries(details)) assert.equal(error.details[key], value, key)
      assert.ok(error.message.includes(said.message), 'the words of the server are kept')
    })
  }

  test('whatever else the server says is an error with its own hint', () => {
    const error = serverError(message('22012', 'division by zero', { hint: 'Do not.' }), context)
    assert.deepEqual([error.code, error.hint, error.details.sqlState], ['postgres.error', 'Do not.', '22012'])
  })
})

describe('hbaLine', () => {
  const cases: [said: string, line: string][] = [
    [
      'no pg_hba.conf entry for host "::1", user "rep", database "app", SSL encryption',
      'hostssl  app  rep  ::1/128  scram-sha-256',
    ],
    [
      'no pg_hba.conf entry for replication connection from host "[local]", user "rep", no encryption',
      'local  replication  rep  scram-sha-256',
    ],
    [
      'pg_hba.conf rejects connection for host "10.1.2.3", user "rep", database "app", no encryption',
      'host  app  rep  10.1.2.3/32  scram-sha-256',
    ],
  ]
  for (const [said, line] of cases)
    test(line, () => assert.equal(hbaLine(said, { user: 'rep', database: 'app' }), line))

  test('names that pg_hba.conf would take for keywords or patterns are quoted', () => {
    assert.equal(
      hbaLine('host "10.0.0.1"', { user: 'my role', database: 'all' }),
      'host  "all"  "my role"  10.0.0.1/32  scram-sha-256',
    )
  })
})

describe('networkError', () => {
  const cases: [errno: string, code: ErrorCode, hint: RegExp][] = [
    ['ECONNREFUSED', 'postgres.unreachable', /listen_addresses/],
    ['ENOENT', 'postgres.unreachable', /socket directory/],
    ['ENOTFOUND', 'postgres.unreachable', /DNS/],
    ['ETIMEDOUT', 'postgres.unreachable', /firewall/],
    ['ECONNRESET', 'postgres.connection-lost', /again/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'postgres.tls', /verify-full/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'postgres.tls', /sslrootcert/],
  ]
  for (const [errno, code, hint] of cases) {
    test(errno, () => {
      const cause = Object.assign(new Error('said so'), { code: errno })
      const error = networkError(cause, context)
      assert.deepEqual([error.code, error.cause, error.details.errno], [code, cause, errno])
      assert.match(error.hint ?? '', hint)
    })
  }

  test('the time limit of pg, which has no code', () => {
    assert.equal(networkError(new Error('timeout expired'), context).code, 'postgres.unreachable')
  })

  test('what is typed already stays', () => {
    const error = serverError(message('28P01', 'x'), context)
    assert.equal(networkError(error, context), error)
  })

  test('a refused connection is not a TLS failure, so prefer does not fall back to plain', () => {
    assert.equal(isTlsFailure(Object.assign(new Error('x'), { code: 'ECONNREFUSED' })), false)
    assert.equal(isTlsFailure(new Error('The server does not support SSL connections')), true)
  })
})
