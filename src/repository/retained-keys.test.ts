/** The storage locks objects by their names; the names are ours. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseLsn } from '../postgres/lsn.ts'
import { isRetainedKey } from '../storage/s3/retained-keys.ts'
import * as layout from './layout.ts'
import * as wal from './wal-layout.ts'

const backupId = '20261122T120000Z-0000000c'
const place = { timeline: 1, segment: 7n }

test('whatever a restore needs is locked as it is written', () => {
  for (const key of [
    layout.REPOSITORY_KEY,
    'keys/0123.json',
    'keys/0123.receipt',
    'keys/0123.removed',
    layout.packKey('0'.repeat(32)),
    layout.clusterFactsKey('main'),
    layout.epochKey('main', 1),
    layout.epochRecordKey('main', 1, 'retired'),
    layout.shredKey('main', 'begun'),
    layout.manifestKey('main', backupId),
    layout.manifestKey('main', backupId, 3),
    wal.segmentName('main', { ...place, partial: false }).key,
    wal.segmentName('main', { ...place, partial: true }).key,
    wal.rangeKey('main', { timeline: 1, begin: parseLsn('0/1000000') }),
    wal.historyKey('main', 2),
  ]) {
    assert.equal(isRetainedKey(key), true, key)
  }
})

test('what is replaced, or deleted in the course of things, is not', () => {
  for (const key of [
    wal.positionKey('main'),
    'keys/0123.proven-20261122T120000Z-0000000c',
    layout.epochRecordKey('main', 1, 'retiring'),
    wal.tailPartKey('main', { ...place, offsetBytes: 0, random: '0123abcd' }),
    `${layout.leasePrefix('main', 'backup')}0000000000000001`,
    layout.runKey('main', backupId, 'begun'),
    layout.runKey('main', backupId, 'done'),
    layout.rewriteRunKey('main', backupId),
    `${layout.condemnedPrefix('main')}x`,
    `${layout.holdsPrefix('main')}x`,
    `${layout.readersPrefix('main')}x`,
    layout.verifiedKey('main', backupId),
    layout.lastVerificationKey('main'),
    layout.drillKey('main', backupId),
    '.probe/0123',
  ]) {
    assert.equal(isRetainedKey(key), false, key)
  }
})
