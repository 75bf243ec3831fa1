import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { RelationRow } from '../../postgres/catalog/catalog-rows.ts'
import { chooseRelations, type DatabaseCatalog, isLeftOutFile } from './choose-relations.ts'

const relation = (row: Partial<RelationRow> & Pick<RelationRow, 'oid'>): RelationRow => ({
  name: `r${row.oid}`,
  namespace: 2200,
  fileNumber: row.oid,
  tablespace: 0,
  rows: -1,
  toastOid: 0,
  persistence: 'p',
  kind: 'r',
  ...row,
})

const catalog = (more: Partial<DatabaseCatalog>): DatabaseCatalog => ({
  oid: 5,
  tablespace: 1663,
  relations: [],
  namespaces: [{ oid: 2200, name: 'public' }],
  parts: [],
  ...more,
})

const leavesOutOf = (made: DatabaseCatalog, tables: readonly string[], also: readonly string[] = []) => {
  const choice = chooseRelations(
    made,
    tables.map((table) => ({ schema: 'public', table })),
  )
  return (path: string) =>
    isLeftOutFile(path, { database: made.oid, choice, also: new Set(also), needsTemplate: false })
}

test('a table keeps its TOAST table, indexes, partitions and sequences, and theirs', () => {
  const made = catalog({
    relations: [
      relation({ oid: 20_000, name: 'parent', kind: 'p', fileNumber: 0 }),
      relation({ oid: 20_001, toastOid: 20_002 }),
      relation({ oid: 20_002, kind: 't', namespace: 99 }),
      relation({ oid: 20_003, kind: 'i', namespace: 99 }),
      relation({ oid: 20_004, kind: 'S' }),
      relation({ oid: 20_005, kind: 'i', tablespace: 30_000 }),
      relation({ oid: 20_009, name: 'other' }),
    ],
    parts: [
      { part: 20_001, whole: 20_000 },
      { part: 20_003, whole: 20_002 },
      { part: 20_004, whole: 20_001 },
      { part: 20_005, whole: 20_001 },
    ],
  })
  const leavesOut = leavesOutOf(made, ['parent'])
  for (const file of ['20001', '20001_vm', '20001.3', '20002', '20003', '20004'])
    assert(!leavesOut(`base/5/${file}`), file)
  assert(!leavesOut('pg_tblspc/30000/PG_15_202209061/5/20005'))
  for (const file of ['20009', '20009_fsm', '20009.1']) assert(leavesOut(`base/5/${file}`), file)
  assert(!leavesOut('base/5/20009_init'), 'an unlogged table is made anew from it')
})

test('every version of a row counts, and a name that is wanted twice is kept twice', () => {
  const made = catalog({
    relations: [
      relation({ oid: 20_000, name: 't', fileNumber: 20_000 }),
      relation({ oid: 20_000, name: 't', fileNumber: 20_007 }),
      relation({ oid: 20_001, name: 't', fileNumber: 20_001 }),
      relation({ oid: 20_002, name: 'other' }),
    ],
  })
  const leavesOut = leavesOutOf(made, ['t'])
  assert.deepEqual(
    ['20000', '20007', '20001', '20002'].map((file) => leavesOut(`base/5/${file}`)),
    [false, false, false, true],
  )
})

test('what the catalogs do not know is laid out, and so is what a replay has asked for', () => {
  const made = catalog({ relations: [relation({ oid: 20_002 })] })
  assert.equal(leavesOutOf(made, [])('base/5/20001'), false)
  assert.equal(leavesOutOf(made, [])('base/5/20002'), true)
  assert.equal(leavesOutOf(made, [], ['1663/5/20002'])('base/5/20002'), false)
})

test('a table that is not there is named', () => {
  const { unknown } = chooseRelations(catalog({ relations: [relation({ oid: 20_002, name: 'v', kind: 'v' })] }), [
    { schema: 'public', table: 'v' },
    { schema: 'nowhere', table: 't' },
  ])
  assert.deepEqual(
    unknown.map(({ table }) => table),
    ['v', 't'],
  )
})

test('nothing of the system is ever left out, whatever the catalogs say; of other databases every relation does', () => {
  const rows = fc.array(
    fc.record({
      oid: fc.integer({ min: 1, max: 40_000 }),
      fileNumber: fc.integer({ min: 0, max: 40_000 }),
      tablespace: fc.constantFrom(0, 1663, 30_000),
      kind: fc.constantFrom('r', 'i', 't', 'S', 'p', 'm', 'v'),
    }),
  )
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 40_000 }), (list, fileNumber) => {
      const relations = list.map(relation)
      const leavesOut = leavesOutOf(catalog({ relations }), ['r20000'])
      for (const row of relations) {
        if (row.oid >= 16_384 || row.fileNumber === 0) continue
        const directory = row.tablespace === 30_000 ? 'pg_tblspc/30000/PG_15_202209061/5' : 'base/5'
        assert(!leavesOut(`${directory}/${row.fileNumber}`))
      }
      for (const path of [
        `global/${fileNumber}`,
        'base/5/pg_filenode.map',
        'base/6/pg_filenode.map',
        'base/6/PG_VERSION',
        `base/6/${fileNumber}_init`,
        `base/6/t3_${fileNumber}`,
        'pg_xact/0000',
        'pg_multixact/offsets/0000',
        'PG_VERSION',
      ])
        assert(!leavesOut(path), path)
      assert(leavesOut(`base/6/${fileNumber}`))
      assert(leavesOut(`base/1/${fileNumber}`))
      const template = {
        database: undefined,
        choice: { ofUsers: new Set<string>(), kept: new Set<string>() },
        also: new Set<string>(),
      }
      assert(!isLeftOutFile(`base/1/${fileNumber}`, { ...template, needsTemplate: true }))
    }),
  )
})
