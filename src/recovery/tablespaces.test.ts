import assert from 'node:assert/strict'
import { test } from 'node:test'
import { placeTablespaces } from './tablespaces.ts'

const tablespaces = [
  { oid: 16385, location: '/mnt/fast' },
  { oid: 16390, location: '/mnt/slow' },
]
const targetDirectory = '/srv/restored'

test('never to the original place, unless asked; by oid or by old place', () => {
  assert.deepEqual(
    placeTablespaces(tablespaces, { targetDirectory, map: {} }).map((one) => one.location),
    ['/srv/restored.tablespaces/16385', '/srv/restored.tablespaces/16390'],
  )
  assert.deepEqual(
    placeTablespaces(tablespaces, { targetDirectory, map: { 16385: '/a', '/mnt/slow': '/b' } }).map(
      (one) => one.location,
    ),
    ['/a', '/b'],
  )
})

test('what cannot be meant is refused', () => {
  for (const map of [
    { 1: '/a' },
    { '/mnt': '/a' },
    { 16385: '/srv/restored' },
    { 16385: '/srv/restored/pg_tblspc/x' },
  ]) {
    assert.throws(() => placeTablespaces(tablespaces, { targetDirectory, map }), { code: 'config.invalid' })
  }
  assert.equal(
    placeTablespaces(tablespaces, { targetDirectory, map: { 16385: '/srv/restored-2' } })[0]?.location,
    '/srv/restored-2',
  )
})
