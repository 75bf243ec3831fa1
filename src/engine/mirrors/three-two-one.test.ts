import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeThreeTwoOne } from './three-two-one.ts'

const here = { name: 'origin', url: '/var/lib/retake', place: 'here', offsite: false }
const beside = { name: 'beside', url: '/mnt/retake', offsite: false }
const bucket = { name: 'north', url: 's3://north/main', offsite: true }

test('the database is the first copy: two of the repository, in two places, one off-site', () => {
  assert.deepEqual(judgeThreeTwoOne([here, bucket], []), {
    copies: ['origin', 'north'],
    unknown: [],
    places: 2,
    offsite: true,
    missing: [],
  })
})

test('what is missing is named', () => {
  assert.deepEqual(judgeThreeTwoOne([here], ['north']).missing, ['copies', 'places', 'offsite'])
  assert.deepEqual(judgeThreeTwoOne([here, beside], []).missing, ['places', 'offsite'])
  assert.deepEqual(judgeThreeTwoOne([bucket], []).missing, ['copies', 'places'])
  assert.deepEqual(judgeThreeTwoOne([here, { ...beside, place: 'there' }], []).missing, ['offsite'])
  assert.deepEqual(judgeThreeTwoOne([], []).missing, ['copies', 'places', 'offsite'])
})
