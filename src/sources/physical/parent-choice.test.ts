import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseLsn, ZERO_LSN } from '../../postgres/lsn.ts'
import { belongsTo, type ParentFacts, sameDatabases, whyNoPageLsns, whyNoParent } from './parent-choice.ts'

const parent: ParentFacts = {
  backupId: '20261122T090411Z-0badcafe',
  timeline: 1,
  startLsn: '0/3000028',
  stopTimeline: 1,
  stopLsn: '0/3000120',
  dataChecksums: true,
  blockSizeBytes: 8192,
  databases: [{ oid: 5, version: '700' }],
}
const server = {
  timelinePath: [{ timeline: 1, beginLsn: ZERO_LSN }],
  lsn: parseLsn('0/4000000'),
  dataChecksums: true,
  blockSizeBytes: 8192,
}
const path = (switchLsn: string) => [
  { timeline: 1, beginLsn: ZERO_LSN, endLsn: parseLsn(switchLsn) },
  { timeline: 2, beginLsn: parseLsn(switchLsn) },
]

test('a parent ends on the path of the server, before where it is', () => {
  assert.equal(whyNoParent(parent, server), undefined)
  assert.equal(whyNoParent(parent, { ...server, lsn: parseLsn('0/3000120') }), undefined)
  assert.match(whyNoParent(parent, { ...server, lsn: parseLsn('0/3000119') }) ?? '', /has not come as far/)
  assert.equal(whyNoParent(parent, { ...server, timelinePath: path('0/3000120') }), undefined)
  // What the parent read after the server left its timeline belongs to another history, though its start does not.
  assert.match(whyNoParent(parent, { ...server, timelinePath: path('0/3000100') }) ?? '', /left timeline 1 before/)
  assert.match(whyNoParent({ ...parent, stopTimeline: 3 }, server) ?? '', /left timeline 3/)
  assert.match(whyNoParent({ ...parent, blockSizeBytes: 4096 }, server) ?? '', /another size/)
})

test('switched checksums and unknown databases leave content alone to compare', () => {
  assert.equal(whyNoPageLsns(parent, server), undefined)
  assert.match(whyNoPageLsns(parent, { ...server, dataChecksums: false }) ?? '', /switched off/)
  assert.match(whyNoPageLsns({ ...parent, databases: undefined }, server) ?? '', /which databases/)
})

test('a database is the same when its row is, at both looks', () => {
  const before = [
    { oid: 1, version: '5' },
    { oid: 5, version: '9' },
  ]
  const after = [
    { oid: 1, version: '5' },
    { oid: 5, version: '10' },
    { oid: 7, version: '11' },
  ]
  assert.deepEqual(sameDatabases(before, after), [{ oid: 1, version: '5' }])
})

test('files belong to a database by their path, in every tablespace', () => {
  const trusts = belongsTo([{ oid: 5, version: '9' }])
  for (const file of ['global/1262', 'base/5/1259', 'pg_tblspc/16400/PG_17_202406281/5/16384'])
    assert.ok(trusts(file), file)
  for (const file of ['base/6/1259', 'base/55/1259', 'pg_tblspc/5/PG_17_202406281/6/1', 'pg_tblspc/5'])
    assert.ok(!trusts(file), file)
})
