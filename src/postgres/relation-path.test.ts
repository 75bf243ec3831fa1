import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRelationFile } from './relation-path.ts'

test('knows the files of relations, with fork and segment', () => {
  assert.deepEqual(isRelationFile('base/5/16384'), { segmentNumber: 0, fork: 'main' })
  assert.deepEqual(isRelationFile('base/5/16384.12'), { segmentNumber: 12, fork: 'main' })
  assert.deepEqual(isRelationFile('base/5/16384_fsm'), { segmentNumber: 0, fork: 'fsm' })
  assert.deepEqual(isRelationFile('base/5/16384_vm.1'), { segmentNumber: 1, fork: 'vm' })
  assert.deepEqual(isRelationFile('base/5/16384_init'), { segmentNumber: 0, fork: 'init' })
  assert.deepEqual(isRelationFile('global/1262'), { segmentNumber: 0, fork: 'main' })
  assert.deepEqual(isRelationFile('pg_tblspc/16400/PG_17_202406281/5/16401.3'), { segmentNumber: 3, fork: 'main' })
})

test('leaves everything else alone', () => {
  const others = [
    'PG_VERSION',
    'global/pg_control',
    'global/pg_filenode.map',
    'global/pg_internal.init',
    'base/5/PG_VERSION',
    'base/5/pg_filenode.map',
    'base/5/t3_16384',
    'base/5/16384.0',
    'base/5/16384_tmp',
    'base/pgsql_tmp/16384',
    'base/16384',
    'pg_wal/000000010000000000000001',
    'pg_xact/0000',
    'pg_multixact/offsets/0000',
    'pg_tblspc/16400/5/16401',
    'some/base/5/16384',
    'base/5/16384 ',
  ]
  for (const name of others) assert.equal(isRelationFile(name), undefined, name)
})
