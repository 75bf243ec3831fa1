/** A server as it was: whole, or some tables; gone afterwards, and after a kill with the next one. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import '../../../test/support/leaks.ts'
import { protect } from '../../../test/support/lab.ts'
import { anyMajor, startTestServer } from '../../../test/support/postgres.ts'
import { makeTemp } from '../../../test/support/temp.ts'
import { runCli, startCli } from '../../cli/testing/run-cli.ts'
import { openSql } from '../../postgres/connection/sql.ts'
import { serverAccount } from '../../postgres/server/account.ts'
import { formatKeyText } from '../../repository/keys/key-text.ts'
import { openRetake } from '../open.ts'
import { openServer } from './open-server.ts'

test('a server as it was is asked, thrown away, and removed by the next one when its process was killed', async () => {
  await using server = await startTestServer({ major: anyMajor() })
  await server.query(
    'create table wanted as select g as id from generate_series(1, 300) g; create table other (id int)',
  )
  await using lab = await protect(server)
  await lab.backUp()
  await server.query('insert into wanted values (301); insert into other values (1)')
  const [row] = await server.query<{ lsn: string }>(`select pg_create_restore_point('here')::text as lsn`)
  await server.query('delete from wanted')
  await lab.catchUp()
  await using temp = makeTemp({ owner: serverAccount() })
  const environment = { repo: lab.url, key: lab.key, databaseUrl: server.url }
  await using retake = await openRetake(environment)
  const common = { at: `lsn:${row?.lsn}`, workDirectory: temp.path }
  const places = () => readdirSync(temp.path).filter((name) => name.startsWith('retake-open-'))
  {
    await using whole = await openServer(retake, common).result
    assert.deepEqual(
      await whole.query('select (select count(*) from wanted) as w, (select count(*) from other) as o'),
      [{ w: '301', o: '1' }],
    )
    await whole.query('drop table other; create table mine (id int)')
    assert.equal(places().length, 1)
  }
  assert.deepEqual(places(), [])
  {
    await using one = await openServer(retake, { ...common, tables: ['wanted'] }).result
    const { host, port, user, database } = one.connection
    await using sql = await openSql({
      config: { host, port, user, database, ssl: false },
      display: 'the opened server',
    })
    assert.deepEqual(await sql.query('select count(*)::int as n from public.wanted'), [{ n: 301 }])
    await assert.rejects(sql.query('select * from public.other'))
  }

  assert.equal(lab.key.kind, 'key')
  const env = { RETAKE_REPO: lab.url, RETAKE_KEY: formatKeyText(lab.key.bytes), RETAKE_DATABASE_URL: server.url }
  const args = ['open', 'wanted', '--at', common.at, '--dir', temp.path, '--no-input']
  const running = startCli(args, env, temp.path)
  await running.said('psql "host=')
  assert.equal(places().length, 1)
  running.child.kill('SIGKILL')
  await running.ended
  const asked = await runCli([...args, '-c', 'select min(id) as least from wanted', '--json'], env, temp.path)
  assert.deepEqual(asked.json<{ rows: unknown }>().rows, [{ least: '1' }], asked.stderr)
  assert.deepEqual(places(), [])
})
