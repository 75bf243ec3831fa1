import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordHead } from '../../postgres/wal/noop-rewriter.ts'
import { RecordParts } from '../../postgres/wal/record-parts.ts'
import { LeftOutRelations } from './left-out-relations.ts'

/** A record that changes these relations; `main` is all of its main data. */
function record(
  files: readonly (readonly [tablespace: number, database: number, fileNumber: number])[],
  { rmgr = 10, info = 0, main = new Uint8Array(0), lsn = 100 } = {},
): RecordHead {
  const parts = new RecordParts()
  parts.blockCount = files.length
  parts.mainBytes = main.length
  for (const [index, [tablespace, database, fileNumber]] of files.entries()) {
    parts.tablespaces[index] = tablespace
    parts.databases[index] = database
    parts.relfilenodes[index] = fileNumber
  }
  const bytes = Buffer.concat([Buffer.alloc(26), main])
  bytes.writeUInt32LE(bytes.length, 0)
  return { rmgr, info, parts, bytes, begin: 0, lsn }
}

const places = [
  { tablespace: 1663, database: 5, fileNumber: 20_000 },
  { tablespace: 1663, database: 6, fileNumber: 20_000 },
  { tablespace: 30_000, database: 5, fileNumber: 20_001 },
]

test('a record is passed over when all that it changes was left out', () => {
  const { isUnwanted, mixedChanges } = new LeftOutRelations(places)
  const of = (...files: Parameters<typeof record>[0]) => isUnwanted(record(files))
  assert.deepEqual(
    [of([1663, 5, 20_000]), of([1663, 6, 20_000], [1663, 6, 20_000]), of([30_000, 5, 20_001])],
    [true, true, true],
  )
  assert.deepEqual(
    [of(), of([1663, 7, 20_000]), of([1664, 5, 20_000]), of([1663, 5, 20_001]), of([1663, 5, 1259])],
    [false, false, false, false, false],
  )
  assert.deepEqual(mixedChanges, [])
})

test('one that changes something else as well is not, and is told', () => {
  const relations = new LeftOutRelations(places)
  const files = [
    [1663, 5, 1259],
    [30_000, 5, 20_001],
  ] as const
  assert.equal(relations.isUnwanted(record(files, { lsn: 4711 })), false)
  assert.deepEqual(relations.mixedChanges, [{ place: '30000/5/20001', lsn: 4711n }])
})

test('a database that is copied as files is told, one that is logged or dropped is not', () => {
  const relations = new LeftOutRelations(places)
  const main = Buffer.alloc(16)
  main.writeUInt32LE(16_999, 0)
  for (const info of [0x00, 0x10, 0x20]) assert.equal(relations.isUnwanted(record([], { rmgr: 4, info, main })), false)
  relations.isUnwanted(record([], { rmgr: 5, info: 0, main }))
  assert.deepEqual(relations.copiedDatabases, [{ oid: 16_999, lsn: 100n }])
})
