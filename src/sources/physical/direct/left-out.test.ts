import assert from 'node:assert/strict'
import { test } from 'node:test'
import { treatmentOf } from './left-out.ts'

const cases: readonly [path: string, expected: ReturnType<typeof treatmentOf>][] = [
  ['postmaster.pid', 'leave-out'],
  ['postmaster.opts', 'leave-out'],
  ['backup_label', 'leave-out'],
  ['backup_label.old', 'take'],
  ['tablespace_map', 'leave-out'],
  ['postgresql.auto.conf', 'take'],
  ['postgresql.auto.conf.tmp', 'leave-out'],
  ['current_logfiles', 'take'],
  ['current_logfiles.tmp', 'leave-out'],
  ['global/pg_control', 'last'],
  ['elsewhere/pg_control', 'take'],
  ['global/pg_internal.init', 'leave-out'],
  ['base/5/pg_internal.init.123', 'leave-out'],
  ['base/pgsql_tmp', 'leave-out'],
  ['pg_tblspc/1/PG_17_1/pgsql_tmp', 'leave-out'],
  ['pg_wal', 'wal'],
  ['elsewhere/pg_wal', 'take'],
  ['pg_replslot', 'empty'],
  ['elsewhere/pg_notify', 'empty'],
  ['pg_stat', 'take'],
  ['pg_stat_tmp', 'empty'],
  ['base/5/t3_16384', 'leave-out'],
  ['base/5/t3_16384_vm.2', 'leave-out'],
  ['pg_tblspc/1/PG_17_1/5/t3_16384', 'leave-out'],
  ['elsewhere/t3_16384', 'take'],
  ['base/5/16400', 'leave-out'],
  ['base/5/16400.3', 'leave-out'],
  ['base/5/16400_fsm', 'leave-out'],
  ['base/5/16400_init', 'take'],
  ['base/5/16401', 'take'],
  ['base/5/16401_vm.1', 'take'],
  ['base/5/PG_VERSION', 'take'],
]

test('what a base backup leaves out, by name and place', () => {
  const names = new Set(['16400', '16400_init', '16401'])
  for (const [path, expected] of cases) {
    const slash = path.lastIndexOf('/')
    assert.equal(treatmentOf(path.slice(0, Math.max(0, slash)), path.slice(slash + 1), { names }), expected, path)
  }
})
