import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import '../../../test/support/leaks.ts'
import { changeKinds, digestTables, installKinds, KIND_TABLES } from '../../../test/support/kinds.ts'
import { type Protection, protect } from '../../../test/support/lab.ts'
import { findClientTool, postgresMajors, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { makeTemp, type TempDirectory } from '../../../test/support/temp.ts'
import { isRetakeError } from '../../base/errors.ts'
import { inDatabase } from '../../postgres/connection/config.ts'
import { CopySession } from '../../postgres/replication/copy-session.ts'
import { serverAccount } from '../../postgres/server/account.ts'
import { runProgram } from '../../postgres/server/run-program.ts'
import { openRetake, type Retake } from '../open.ts'
import { restoreTables } from './restore-tables.ts'

/** The oldest and the newest: taking them out of the backup is tried on all, writing them is SQL. */
const majors = new Set([postgresMajors()[0] ?? 17, postgresMajors().at(-1) ?? 17])

for (const major of majors) {
  test(`PostgreSQL ${major}: tables come back beside those that are there, with every value, and as files`, async () => {
    await using stage = await openStage(major)
    const { server, retake, temp, at, content } = stage
    const report = await restoreTables(retake, { tables: KIND_TABLES, at, workDirectory: temp.path }).result
    assert.deepEqual(
      report.tables.map(({ table }) => table),
      KIND_TABLES,
    )
    for (const { table, into = '', rows } of report.tables) {
      assert.match(into, /_restored_\d{8}t\d{4}"?$/)
      const found = await digestTables(server, [into])
      assert.equal(found[into], content[table], table)
      assert.equal(rows, Number(content[table]?.split(' ')[0]))
    }
    const [security] = await server.query<{ closed: boolean; grants: number; key: number }>(`
      select bool_and(relrowsecurity) as closed, (select count(*)::int from pg_class, aclexplode(relacl) a where relname ~ '_restored_'
        and a.grantee <> relowner) as grants, (select count(*)::int from pg_constraint where contype = 'p' and conrelid::regclass::text ~ '_restored_') as key
      from pg_class where relname ~ '_restored_' and relkind = 'r'`)
    assert.deepEqual(security, { closed: true, grants: 0, key: 4 })

    const again = await restoreTables(retake, {
      tables: ['shop."Odd Name"'],
      at,
      where: `"Key" in ('k1', 'k2') or n < 0`,
      workDirectory: temp.path,
    }).result
    assert.match(again.tables[0]?.into ?? '', /_restored_\d{8}t\d{4}_2"$/)
    assert.equal(again.tables[0]?.rows, 2)

    await restoreTables(retake, {
      tables: KIND_TABLES,
      at,
      files: { directory: temp.join('csv'), format: 'csv' },
      workDirectory: temp.path,
    }).result
    assert.equal(
      readFileSync(temp.join('csv/shop.reviews.csv'), 'utf8').split('\n')[0],
      'id,customer,mood,stars,doubled,body,raw,scores',
    )
    assert.equal(readdirSync(temp.join('csv')).length, KIND_TABLES.length)

    await restoreTables(retake, {
      tables: ['shop.reviews', 'shop.sales'],
      at,
      files: { directory: temp.join('binary'), format: 'binary' },
      workDirectory: temp.path,
    }).result
    await using session = await CopySession.open(server.target)
    await session.query('truncate shop.reviews')
    const columns = 'id, customer, mood, stars, body, raw, scores'
    await session.query('alter table shop.reviews drop constraint reviews_customer_fkey')
    const read = async function* () {
      yield readFileSync(temp.join('binary/shop.reviews.copy'))
    }
    await session.copyIn(`copy shop.reviews (${columns}) from stdin with (format binary)`, read())
    assert.deepEqual(await digestTables(server, ['shop.reviews']), { 'shop.reviews': content['shop.reviews'] })
    assert.deepEqual(
      readdirSync(temp.path).filter((name) => name.startsWith('retake-open')),
      [],
    )
  })
}

test('SQL files hold definition and rows; without pg_dump they are refused before anything is fetched', async () => {
  for (const major of postgresMajors()) {
    const psql = await findClientTool('psql', major)
    if (psql === undefined && major !== 17) continue
    await using stage = await openStage(major)
    const { server, retake, temp, at, content } = stage
    const files = { directory: temp.join('sql'), format: 'sql' } as const
    const run = restoreTables(retake, { tables: ['shop.reviews', 'shop.sales'], at, files, workDirectory: temp.path })
    if (psql === undefined) {
      await assert.rejects(run.result, (error) => isRetakeError(error, 'dependency.missing'))
      continue
    }
    await run.result
    await server.query('create database elsewhere')
    const client = await server.connect({ database: 'elsewhere' })
    await client.query(`create schema shop; create type shop.mood as enum ('bad', 'fine', 'good');
      create table shop.customers (id bigint primary key)`)
    await client.query(`insert into shop.customers select generate_series(1, 900)`)
    await client.end()
    for (const name of ['shop.reviews.sql', 'shop.sales.sql']) {
      const file = join(files.directory, name)
      const { host = '', port = 0, user = '' } = server.target.config
      const result = await runProgram(psql, [
        '-h',
        host,
        '-p',
        String(port),
        '-U',
        user,
        '-d',
        'elsewhere',
        '-v',
        'ON_ERROR_STOP=1',
        '-qf',
        file,
      ])
      assert.equal(result.code, 0, result.stderr)
    }
    await using session = await CopySession.open(inDatabase(server.target, 'elsewhere'))
    await session.query(DISTANT_SETTINGS)
    const query = async <R extends object>(text: string) => (await session.query(text)) as unknown as R[]
    const found = await digestTables({ query }, ['shop.reviews', 'shop.sales'])
    assert.deepEqual(found, { 'shop.reviews': content['shop.reviews'], 'shop.sales': content['shop.sales'] })
    const [facts] = await session.query(
      `select relrowsecurity::text as rls from pg_class where oid = 'shop.reviews'::regclass`,
    )
    assert.equal(facts?.rls, 'true')
  }
})

let stage: Awaited<ReturnType<typeof openStage>>
before(async () => {
  stage = await openStage(postgresMajors().includes(17) ? 17 : undefined)
})
after(() => stage[Symbol.asyncDispose]())

test('what cannot be done is refused, and the living database is as it was', async () => {
  const { server, retake, temp, at } = stage
  const run = (more: Partial<Parameters<typeof restoreTables>[1]>) =>
    restoreTables(retake, { tables: ['shop.reviews'], at, workDirectory: temp.path, ...more }).result
  const before = await server.query('select oid from pg_class order by 1')
  for (const where of ['no_such = 1', '1=1; drop table x', `true)) to program 'touch /tmp/x' --`, 'id']) {
    await assert.rejects(run({ where }), (error) => isRetakeError(error, 'config.invalid'), where)
  }
  await assert.rejects(run({ tables: [] }), (error) => isRetakeError(error, 'config.invalid'))
  await assert.rejects(run({ tables: ['shop.nothing'] }), (error) => isRetakeError(error, 'target.missing'))
  const files = { directory: temp.join('twice'), format: 'csv' } as const
  await run({ files })
  await assert.rejects(run({ files }), (error) => isRetakeError(error, 'config.invalid'))
  assert.deepEqual(readdirSync(files.directory), ['shop.reviews.csv'])
  assert.deepEqual(await server.query('select oid from pg_class order by 1'), before)
  // A type that is not there any more: the rows have no place.
  await server.query('drop type shop.mood cascade')
  await assert.rejects(
    run({}),
    (error) => isRetakeError(error, 'postgres.error') && /not there any more/.test(error.hint ?? ''),
  )
  assert.deepEqual(await server.query(`select relname from pg_class where relname ~ '_restored_'`), [])
})

/** Under which digests are made: not those under which rows are written and read. */
const DISTANT_SETTINGS = `set time zone 'Asia/Tokyo'; set datestyle = 'German'`

interface Stage extends AsyncDisposable {
  readonly server: TestServer
  readonly lab: Protection
  readonly retake: Retake
  readonly temp: TempDirectory
  readonly at: string
  readonly content: Record<string, string>
}

async function openStage(major: number | undefined): Promise<Stage> {
  await using undo = new AsyncDisposableStack()
  const server = undo.use(await startTestServer({ major }))
  await installKinds(server)
  // As on Supabase: whatever is made anew is open to somebody.
  await server.query('create role anon; alter default privileges grant all on tables to anon, public')
  const lab = undo.use(await protect(server))
  await lab.backUp()
  await changeKinds(server, 3)
  await server.query(DISTANT_SETTINGS)
  const content = await digestTables(server, KIND_TABLES)
  const [row] = await server.query<{ lsn: string }>(`select pg_create_restore_point('here')::text as lsn`)
  await server.query('delete from shop.reviews')
  await lab.catchUp()
  const temp = undo.use(makeTemp({ owner: serverAccount() }))
  const retake = undo.use(
    await openRetake({ repo: lab.url, key: lab.key, databaseUrl: server.url, directory: temp.path }),
  )
  const keep = undo.move()
  return { server, lab, retake, temp, at: `lsn:${row?.lsn}`, content, [Symbol.asyncDispose]: () => keep.disposeAsync() }
}
