import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeCopyRow, textArray } from './copy-in.ts'
import { cineTrackData } from './data.ts'
import { Random, uuidOf } from './random.ts'
import { cineTrackTables, supportingTables } from './tiers.ts'

const rowsOf = (options: { seed?: number; scale?: number }, table: string) => [
  ...(cineTrackData(options)
    .find((candidate) => candidate.table === table)
    ?.rows() ?? []),
]

test('the same seed makes the same rows, another seed others', () => {
  const first = rowsOf({ seed: 3, scale: 0.02 }, 'public.reviews')
  assert.ok(first.length > 20)
  assert.deepEqual(rowsOf({ seed: 3, scale: 0.02 }, 'public.reviews'), first)
  assert.notDeepEqual(rowsOf({ seed: 4, scale: 0.02 }, 'public.reviews'), first)
})

test('there is data for each of the ten tables, about 100,000 rows at scale 1', () => {
  const counts = new Map(cineTrackData().map((table) => [table.table, [...table.rows()].length]))
  for (const { schema, name } of cineTrackTables) assert.ok((counts.get(`${schema}.${name}`) ?? 0) > 1_000, name)
  for (const name of supportingTables) assert.ok((counts.get(name) ?? 0) > 1_000, name)
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  assert.ok(total > 90_000 && total < 120_000, String(total))
})

test('every row has a value for each of its columns', () => {
  for (const table of cineTrackData({ scale: 0.01 })) {
    for (const row of table.rows()) assert.equal(row.length, table.columns.length, table.table)
  }
})

test('keys are unique and references meet', () => {
  const users = new Set(rowsOf({ scale: 0.1 }, 'public.users').map((row) => row[0]))
  const reviews = new Set(rowsOf({ scale: 0.1 }, 'public.reviews').map((row) => row[0]))
  const follows = rowsOf({ scale: 0.1 }, 'public.follows')
  assert.equal(new Set(follows.map((row) => `${row[0]} ${row[1]}`)).size, follows.length)
  for (const [follower, followed] of follows)
    assert.ok(users.has(follower) && users.has(followed) && follower !== followed)
  for (const row of rowsOf({ scale: 0.1 }, 'public.review_interactions'))
    assert.ok(reviews.has(row[1]) && users.has(row[2]))
})

test('what COPY would take for something else is escaped', () => {
  assert.equal(encodeCopyRow(['a\tb', 'c\\d\n', null, 7, true, '']), 'a\\tb\tc\\\\d\\n\t\\N\t7\ttrue\t\n')
  assert.equal(textArray(['plain', 'two words', 'quo"te', 'null', '']), '{plain,"two words","quo\\"te","null",""}')
})

test('ids look like version 4 UUIDs and do not repeat', () => {
  const ids = new Set<string>()
  for (let i = 0; i < 20_000; i++) ids.add(uuidOf(1, i % 4, i))
  assert.equal(ids.size, 20_000)
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})

test('random numbers stay inside their bounds and differ between streams', () => {
  const random = new Random(1, 2, 3)
  for (let i = 0; i < 10_000; i++) {
    const value = random.between(3, 9)
    assert.ok(value >= 3 && value <= 9)
    assert.ok(random.skewed(10) < 10)
  }
  assert.notEqual(new Random(1, 2).next(), new Random(2, 1).next())
})
