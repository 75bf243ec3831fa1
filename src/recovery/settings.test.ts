import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  capacitySettings,
  loggingSettings,
  parseSettings,
  quoteForRestoreCommand,
  quoteShell,
  recoverySettings,
  renderBlock,
  standingSettings,
  withBlock,
  withoutBlock,
} from './settings.ts'

const stop = { name: 'recovery_target_lsn', value: '0/3000060', inclusive: true } as const

test('every other target is emptied before the one that counts', () => {
  const names = recoverySettings({ stop, timeline: 3, restoreCommand: 'x', action: 'promote' }).map(([name]) => name)
  const chosen = names.indexOf('recovery_target_lsn')
  for (const other of ['recovery_target', 'recovery_target_name', 'recovery_target_time', 'recovery_target_xid']) {
    assert.ok(names.indexOf(other) !== -1 && names.indexOf(other) < chosen, other)
  }
  assert.equal(new Set(names).size, names.length)
})

test('a restored server never archives, never follows and never waits for the old standbys', () => {
  const settings = new Map(standingSettings({ port: '5433' }))
  assert.equal(settings.get('archive_mode'), 'off')
  assert.equal(settings.get('primary_conninfo'), '')
  assert.equal(settings.get('synchronous_standby_names'), '')
  assert.equal(settings.get('port'), '5433')
})

test('only the capacities that are too small are raised', () => {
  const primary = {
    maxConnections: 200,
    maxWorkerProcesses: 8,
    maxWalSenders: 10,
    maxPreparedTransactions: 0,
    maxLocksPerTransaction: 64,
  }
  const configured = parseSettings('max_connections = 100\nmax_worker_processes = 8\nmax_wal_senders=20 # more\n')
  assert.deepEqual(capacitySettings(primary, configured), [
    ['max_connections', '200'],
    ['max_prepared_transactions', '0'],
    ['max_locks_per_transaction', '64'],
  ])
})

test('a block is appended, replaced by its successor, and leaves the original as it was', () => {
  const original = "# own\nwork_mem = '4MB'\n"
  const first = withBlock(original, {
    name: 'a',
    rendered: renderBlock('a', { comment: 'one', settings: [['port', '1']] }),
  })
  const second = withBlock(first, {
    name: 'a',
    rendered: renderBlock('a', { comment: 'two', settings: [['port', '2']] }),
  })
  assert.equal(parseSettings(second).get('port'), '2')
  assert.equal(second.includes("port = '1'"), false)
  assert.equal(withoutBlock(second, 'a'), original)
  assert.equal(withoutBlock(original, 'a'), original)
})

test('a configuration file is read as PostgreSQL reads it', () => {
  const text = `# port = 1
port = 5432   # trailing
 Listen_Addresses='*'
shared_preload_libraries 'pg_cron, pg_net'
log_line_prefix = 'it''s %m \\\\ '
port=5433
broken
`
  const settings = parseSettings(text)
  assert.equal(settings.get('port'), '5433')
  assert.equal(settings.get('listen_addresses'), '*')
  assert.equal(settings.get('shared_preload_libraries'), 'pg_cron, pg_net')
  assert.equal(settings.get('log_line_prefix'), "it's %m \\ ")
})

test('property: any value survives being written and read', () => {
  const value = fc.string({ unit: 'binary', maxLength: 40 }).filter((text) => !/[\n\r\0]/.test(text))
  fc.assert(
    fc.property(value, (text) => {
      const rendered = renderBlock('a', { comment: 'c', settings: [['application_name', text]] })
      assert.equal(parseSettings(rendered).get('application_name'), text)
    }),
  )
})

test('a word reaches the shell unchanged', () => {
  for (const word of ['/plain', '/with space', "/it's", '/a"b', '/50%', '/$HOME`x`', '/ünï']) {
    const out = spawnSync('/bin/sh', ['-c', `printf %s ${quoteShell(word)}`], { encoding: 'utf8' })
    assert.equal(out.stdout, word)
  }
  assert.equal(quoteForRestoreCommand('/50%'), "'/50%%'")
})

test('the log of a recovery is in a language and a place that we know', () => {
  const settings = new Map(loggingSettings())
  assert.equal(settings.get('lc_messages'), 'C')
  assert.equal(settings.get('logging_collector'), 'off')
})
