import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseLsn } from '../../postgres/lsn.ts'
import type { CheckState } from './check.ts'
import { judgeSlot, namesStandby, replicationChecks } from './replication-checks.ts'
import { serverChecks } from './server-checks.ts'
import type { ServerFacts } from './server-facts.ts'

const settings = {
  wal_level: 'replica',
  max_wal_senders: '10',
  max_replication_slots: '10',
  max_slot_wal_keep_size: '65536',
  full_page_writes: 'on',
  data_checksums: 'on',
  fsync: 'on',
  archive_mode: 'off',
  wal_sender_timeout: '60000',
  data_directory: '/data',
  config_file: '/data/postgresql.conf',
  hba_file: '/data/pg_hba.conf',
  max_wal_size: '1024',
}

const healthy: ServerFacts = {
  serverVersionNum: 170010,
  settings: new Map(Object.entries(settings)),
  role: {
    name: 'retake',
    superuser: false,
    replication: true,
    readsAllSettings: true,
    monitors: true,
    readsFiles: true,
  },
  client: { address: '10.0.0.7', encrypted: true },
  inRecovery: false,
  walSenderCount: 1,
  slotCount: 1,
  slot: { exists: true, active: true, restartLsn: parseLsn('0/3000000'), lagBytes: 100, walStatus: 'reserved' },
  slotName: 'retake_main',
  walDirectoryBytes: 64 * 1024 ** 2,
  archiver: { failing: false },
  clockOffsetMs: 3,
  clockUncertaintyMs: 1,
  files: { kind: 'not-usable', reason: '/data is not on this machine.' },
  includedFiles: [],
}

const withSettings = (changed: Record<string, string>): ServerFacts => ({
  ...healthy,
  settings: new Map(Object.entries({ ...settings, ...changed })),
})

function judge(id: string, facts: ServerFacts) {
  const check = serverChecks.find((candidate) => candidate.id === id)
  assert.ok(check, id)
  return check.judge(facts)
}

test('a server as it should be passes every check', () => {
  for (const { id, judge: decide } of serverChecks) {
    assert.ok(['passed', 'skipped'].includes(decide(healthy).state), `${id}: ${decide(healthy).finding}`)
  }
})

const wrong: readonly (readonly [id: string, facts: ServerFacts, state: CheckState, fix: RegExp])[] = [
  ['server.version', { ...healthy, serverVersionNum: 140012 }, 'failed', /Upgrade/],
  ['server.version', { ...healthy, serverVersionNum: 190000 }, 'warning', /Upgrade Retake/],
  [
    'server.role',
    { ...healthy, role: { ...healthy.role, name: 'Odd', replication: false } },
    'failed',
    /^ALTER ROLE "Odd" REPLICATION;$/,
  ],
  [
    'server.monitor',
    { ...healthy, role: { ...healthy.role, monitors: false } },
    'warning',
    /^GRANT pg_monitor TO retake;$/,
  ],
  [
    'server.reread',
    { ...healthy, role: { ...healthy.role, readsFiles: false } },
    'warning',
    /^GRANT EXECUTE ON FUNCTION pg_read_binary_file\(text, bigint, bigint, boolean\) TO retake;$/,
  ],
  ['server.wal-level', withSettings({ wal_level: 'minimal' }), 'failed', /wal_level = 'replica'/],
  ['server.wal-senders', { ...withSettings({ max_wal_senders: '1' }) }, 'failed', /max_wal_senders = '10'/],
  [
    'server.wal-senders',
    { ...withSettings({ max_wal_senders: '2' }), slot: { exists: true, active: false } },
    'warning',
    /max_wal_senders/,
  ],
  [
    'server.slots',
    { ...withSettings({ max_replication_slots: '1' }), slot: { exists: false, active: false } },
    'failed',
    /max_replication_slots = '5'/,
  ],
  ['server.slot-limit', withSettings({ max_slot_wal_keep_size: '-1' }), 'warning', /max_slot_wal_keep_size = '64GB'/],
  ['server.slot-limit', withSettings({ max_slot_wal_keep_size: '512' }), 'warning', /max_slot_wal_keep_size = '16GB'/],
  [
    'server.idle-slot-timeout',
    withSettings({ idle_replication_slot_timeout: '600' }),
    'warning',
    /idle_replication_slot_timeout = '0'/,
  ],
  [
    'server.full-page-writes',
    withSettings({ full_page_writes: 'off' }),
    'failed',
    /full_page_writes = 'on'; SELECT pg_reload_conf\(\);/,
  ],
  ['server.checksums', withSettings({ data_checksums: 'off' }), 'warning', /pg_checksums --enable/],
  ['server.fsync', withSettings({ fsync: 'off' }), 'failed', /fsync = 'on'/],
  [
    'server.archiving',
    { ...withSettings({ archive_mode: 'on' }), archiver: { failing: true, lastFailedWal: 'X' } },
    'warning',
    /archive_command/,
  ],
  ['server.sender-timeout', withSettings({ wal_sender_timeout: '0' }), 'warning', /wal_sender_timeout = '60s'/],
  ['server.sender-timeout', withSettings({ wal_sender_timeout: '500' }), 'warning', /wal_sender_timeout = '60s'/],
  ['server.wal-directory', { ...healthy, walDirectoryBytes: 5 * 1024 ** 3 }, 'warning', /pg_replication_slots/],
  ['server.clock', { ...healthy, clockOffsetMs: -2500, clockUncertaintyMs: 100 }, 'warning', /set-ntp true/],
  [
    'server.outside-files',
    withSettings({ hba_file: '/etc/postgresql/pg_hba.conf' }),
    'warning',
    /tar .*\/etc\/postgresql\/pg_hba.conf/,
  ],
  ['server.outside-files', withSettings({ 'pgsodium.getkey_script': '/etc/getkey.sh' }), 'warning', /getkey\.sh/],
]

for (const [id, facts, state, fix] of wrong) {
  test(`${id} is ${state} with the fix ${fix.source}`, () => {
    const verdict = judge(id, facts)
    assert.equal(verdict.state, state, verdict.finding)
    assert.match(verdict.fix ?? '', fix)
  })
}

test('a setting that the role may not see is unknown, never passed', () => {
  const blind = { ...healthy, settings: new Map(), walDirectoryBytes: undefined }
  const states = serverChecks.map(({ id, judge: decide }) => [id, decide(blind).state] as const)
  for (const id of [
    'server.wal-level',
    'server.full-page-writes',
    'server.fsync',
    'server.outside-files',
    'server.wal-directory',
  ]) {
    assert.equal(states.find(([candidate]) => candidate === id)?.[1], 'unknown', id)
  }
})

test('a clock that differs less than the measurement is exact passes', () => {
  assert.equal(judge('server.clock', { ...healthy, clockOffsetMs: 5000, clockUncertaintyMs: 4000 }).state, 'passed')
})

test('the slot: missing, lost, nearly lost, left alone, in use', () => {
  const at = parseLsn('0/3000000')
  assert.equal(judgeSlot({ exists: false, active: false }, 's').fix, 'retake init')
  assert.match(
    judgeSlot({ exists: true, active: false, walStatus: 'lost' }, 's').fix ?? '',
    /pg_drop_replication_slot\('s'\).*retake backup/,
  )
  assert.equal(judgeSlot({ exists: true, active: false, restartLsn: at, walStatus: 'unreserved' }, 's').state, 'failed')
  const behind = {
    exists: true,
    active: false,
    restartLsn: at,
    walStatus: 'extended',
    lagBytes: 2 * 1024 ** 3,
    safeWalSizeBytes: 1024 ** 3,
  } as const
  assert.equal(judgeSlot(behind, 's').state, 'warning')
  assert.match(judgeSlot(behind, 's').finding, /2\.0 GiB.*1\.0 GiB more/)
  assert.equal(judgeSlot({ ...behind, active: true }, 's').state, 'passed')
})

test('synchronous_standby_names in all its forms', () => {
  for (const value of ['retake', '*', 'a, retake', 'FIRST 1 (a, retake)', 'ANY 2 (a, "retake")', '2 (Retake, b)']) {
    assert.equal(namesStandby(value, 'retake'), true, value)
  }
  for (const value of ['', 'a', 'FIRST 1 (a, retake2)']) assert.equal(namesStandby(value, 'retake'), false, value)
})

test('commits that wait for an apply that never comes are a failure', () => {
  const check = replicationChecks.find(({ id }) => id === 'replication.synchronous')
  const attempt = { mode: 'physical', systemIdentifier: '1' } as const
  const decide = (server: ServerFacts) => check?.judge({ attempt, server, receiverName: 'retake' }).state
  assert.equal(decide(healthy), 'passed')
  const named = { synchronous_standby_names: 'retake' }
  assert.equal(decide(withSettings({ ...named, synchronous_commit: 'remote_apply' })), 'failed')
  assert.equal(decide({ ...withSettings(named), slot: { ...healthy.slot, active: false } }), 'warning')
  assert.equal(decide(withSettings(named)), 'passed')
})
