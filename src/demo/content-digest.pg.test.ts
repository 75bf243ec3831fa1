import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTestServer } from '../../test/support/postgres.ts'
import '../../test/support/leaks.ts'
import { compareDigests, digestDatabase } from './content-digest.ts'

test('a digest sees content and nothing else', async () => {
  await using server = await startTestServer({})
  await server.query(`
    create schema "odd Schema";
    create table t (id int primary key, x float8, at timestamptz, raw bytea, doc jsonb, list text[]);
    insert into t select g, g / 3.0, '2026-01-01Z'::timestamptz + g * interval '1 hour', decode('00ff', 'hex'), '{"a": 1}', '{x,"y z"}'
      from generate_series(1, 500) g;
    create table "odd Schema"."T" as select * from t;
    create unlogged table u as select 1 as a;
    create materialized view m as select count(*) from t;
    create sequence s;
    select nextval('s'), lo_from_bytea(0, '\\x0102');
  `)
  const before = await digestDatabase(server)
  assert.deepEqual(Object.keys(before.tables), ['"odd Schema"."T"', 'public.m', 'public.t', 'large objects'])
  assert.equal(before.tables['public.t']?.rows, 500)
  assert.equal(before.tables['public.t']?.hash, before.tables['"odd Schema"."T"']?.hash)

  // Another order on disk, other settings of the session: the same content.
  await server.query(
    `set timezone = 'Asia/Tokyo'; set datestyle = 'German'; set extra_float_digits = -5; set bytea_output = 'escape'`,
  )
  await server.query('update t set x = x where id % 2 = 0')
  await server.query('cluster t using t_pkey')
  assert.deepEqual(await digestDatabase(server), before)

  await server.query('begin')
  await server.query('update t set x = x + 1e-9 where id = 7')
  const inside = await digestDatabase(server, { inTransaction: true })
  const [zone] = await server.query<{ TimeZone: string }>('show timezone')
  await server.query('rollback')
  assert.equal(zone?.TimeZone, 'Asia/Tokyo')
  assert.deepEqual(compareDigests(before, inside), [
    { object: 'public.t', problem: 'has 500 rows as expected, but not the same content' },
  ])

  await server.query(
    `delete from t where id = 3; drop table "odd Schema"."T"; create table extra (); select setval('s', 50)`,
  )
  const changed = compareDigests(before, await digestDatabase(server))
  assert.deepEqual(changed.map((difference) => difference.object).sort(), [
    '"odd Schema"."T"',
    'public.extra',
    'public.s',
    'public.t',
  ])
  assert.match(changed.find((difference) => difference.object === 'public.t')?.problem ?? '', /499 rows instead of 500/)
})

test('a sequence may stand up to 32 steps further, and never back', () => {
  const at = (lastValue: bigint, increment = 1n) => ({ tables: {}, sequences: { s: { lastValue, increment } } })
  assert.deepEqual(compareDigests(at(10n), at(42n)), [])
  assert.equal(compareDigests(at(10n), at(43n)).length, 1)
  assert.deepEqual(compareDigests(at(10n), at(52n), { stepsUnderWay: 10n }), [])
  assert.equal(compareDigests(at(10n), at(53n), { stepsUnderWay: 10n }).length, 1)
  assert.equal(compareDigests(at(10n), at(9n), { stepsUnderWay: 10n }).length, 1)
  assert.equal(compareDigests(at(10n), at(9n)).length, 1)
  assert.deepEqual(compareDigests(at(-10n, -5n), at(-170n, -5n)), [])
})
