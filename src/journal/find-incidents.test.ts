import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InstantMicros } from '../base/instant.ts'
import type { Lsn } from '../postgres/lsn.ts'
import type { JournalTransaction } from './block.ts'
import { incidentsOf, worstFirst } from './find-incidents.ts'
import { HabitCounter } from './habits.ts'
import type { TableName } from './incident.ts'
import { changesOf, fileOf, transaction } from './testing/transactions.ts'

const made = (relfilenode: number, fork = 0) => ({
  ...{ type: 'file-create' as const, lsn: 1n as Lsn, endLsn: 2n as Lsn, xid: 7, topXid: undefined, fork },
  file: fileOf(relfilenode),
})

const names: Readonly<Record<number, TableName>> = {
  100: { kind: 'table', schema: 'public', table: 'films', rows: 1000 },
  101: { kind: 'index', schema: 'public', table: 'films_pkey' },
  102: { kind: 'table', schema: 'public', table: 'seen', rows: 4000 },
  103: { kind: 'toast', schema: 'pg_toast', table: 'pg_toast_100' },
  1259: { kind: 'catalog', schema: 'pg_catalog', table: 'pg_class' },
  2619: { kind: 'catalog' },
  8000: { kind: 'catalog', schema: 'pg_catalog', table: 'pg_statistic' },
}
const nameOf = ({ relfilenode }: { readonly relfilenode: number }): TableName =>
  names[relfilenode] ?? { kind: 'unknown' }

function found(more: Partial<JournalTransaction>, often = 1) {
  const counter = new HabitCounter()
  for (let times = 0; times < often; times++) counter.add(transaction(more))
  return incidentsOf(transaction(more), { nameOf, habits: counter.habits() })
}

const brief = (more: Partial<JournalTransaction>, often?: number) =>
  found(more, often).map(({ kind, severity, what }) => `${severity} ${kind}: ${what}`)

test('deletions and changes are as severe as their share of the table', () => {
  const deleted = (count: number) => brief({ files: [changesOf(100, { deleted: count })] })
  assert.deepEqual(deleted(5000), ['critical mass-delete: 5,000 rows of public.films deleted, all of the table'])
  assert.deepEqual(deleted(500), ['critical mass-delete: 500 rows of public.films deleted, 50 % of the table'])
  assert.deepEqual(deleted(100), ['warning mass-delete: 100 rows of public.films deleted, 10 % of the table'])
  assert.deepEqual(deleted(99), [])
  const updated = brief({ files: [changesOf(100, { updated: 600 })] })
  assert.deepEqual(updated, ['warning mass-update: 600 rows of public.films changed, 60 % of the table'])
})

test('of a table that nobody knows only many rows count', () => {
  assert.deepEqual(brief({ files: [changesOf(900, { deleted: 999 })] }), [])
  assert.match(
    brief({ files: [changesOf(900, { deleted: 1000 })] }).join(''),
    /^warning .* whose name is not known deleted$/,
  )
})

test('what is done to a table in the transaction that made it is no loss', () => {
  const changes = { wholeFiles: [made(900)], files: [changesOf(900, { inserted: 5000, deleted: 5000, updated: 2000 })] }
  assert.deepEqual(brief(changes), [])
})

test('rows that moved to another partition, and those of TOAST, are not deleted', () => {
  assert.deepEqual(brief({ files: [changesOf(100, { deleted: 900, movedAway: 850 })] }), [])
  assert.deepEqual(brief({ files: [changesOf(103, { deleted: 9000 })] }), [])
})

test('what comes again and again is a habit', () => {
  const files = [changesOf(100, { deleted: 900 })]
  assert.equal(brief({ files }, 3).length, 1)
  assert.deepEqual(brief({ files }, 4), [])
})

test('one that did not commit has done nothing', () => {
  assert.deepEqual(found({ outcome: 'aborted', files: [changesOf(100, { deleted: 900 })] }), [])
})

test('a table whose file is gone was dropped, emptied, or written anew', () => {
  const gone = [fileOf(100), fileOf(101)]
  assert.deepEqual(brief({ droppedFiles: gone }), ['critical drop: public.films dropped, with about 1,000 rows'])
  const anew = { droppedFiles: gone, wholeFiles: [made(200), made(201)] }
  const index = changesOf(201, { newPages: 1 })
  assert.deepEqual(brief({ ...anew, files: [index] }), [
    'critical truncate: public.films emptied (TRUNCATE), with about 1,000 rows',
  ])
  assert.deepEqual(brief({ ...anew, files: [index, changesOf(200, { newPages: 9 })] }), [
    'info schema-change: public.films written anew',
  ])
  const several = { ...anew, droppedFiles: [...gone, fileOf(102)], wholeFiles: [made(200), made(201), made(202)] }
  assert.match(
    brief({ ...several, files: [changesOf(200, { inserted: 3 })] }).join(''),
    /^warning truncate: .*written anew/,
  )
})

test('an index that is made anew twice does not hide that the table has its rows', () => {
  const what = brief({
    droppedFiles: [fileOf(100), fileOf(300), fileOf(101)],
    wholeFiles: [made(300), made(200), made(201), made(200, 2)],
    files: [changesOf(200, { inserted: 1000 })],
  })
  assert.deepEqual(what, ['info schema-change: public.films written anew'])
})

test('a definition that changed is worth knowing, statistics that were gathered are not', () => {
  const changedRelations = [{ database: 5, oid: 100 }]
  const touched = (...relfilenodes: number[]) => {
    const files = relfilenodes.map((relfilenode) => changesOf(relfilenode, { updated: 1 }))
    return brief({ changedRelations, files })
  }
  const changed = ['info schema-change: The definition of 1 relation changed']
  assert.deepEqual([touched(1259), touched(1259, 2619)], [changed, changed])
  assert.deepEqual([touched(2619), touched(8000), touched(2619, 100)], [[], [], []])
})

test('the worst comes first, of those that are alike the larger, then the newer', () => {
  const one = (xid: number, deleted: number, relfilenode = 100) =>
    found({
      xid,
      end: { lsn: BigInt(xid) as Lsn, endLsn: BigInt(xid + 1) as Lsn, at: 0n as InstantMicros },
      files: [changesOf(relfilenode, { deleted })],
    })
  const all = [one(1, 200), one(2, 600), one(3, 900), one(4, 900), one(5, 1000, 102)].flat()
  assert.deepEqual(
    worstFirst(all).map(({ xid }) => xid),
    [4, 3, 2, 5, 1],
  )
})

test('its targets are before and with the transaction', () => {
  const [drop] = found({ droppedFiles: [fileOf(100)], isFromBegin: false })
  assert.deepEqual([drop?.before, drop?.after, drop?.isPartial], ['before-xid:7', 'lsn:0/5A', true])
})
