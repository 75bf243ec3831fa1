import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import './leaks.ts'
import { postgresMajors, startTestServer } from './postgres.ts'

for (const major of postgresMajors()) {
  test(`a server of PostgreSQL ${major} starts, survives a crash and leaves nothing behind`, async () => {
    const server = await startTestServer({ major })
    await using _ = server
    const [row] = await server.query<{ v: string; sums: string }>(
      "select current_setting('server_version_num') v, current_setting('data_checksums') sums",
    )
    assert.equal(Math.floor(Number(row?.v) / 10_000), major)
    assert.equal(row?.sums, 'on')
    await server.query('create table t (x int); insert into t values (42)')
    await server.kill()
    await server.restart({ work_mem: '5MB' })
    assert.deepEqual(await server.query('select x, current_setting($1) as m from t', ['work_mem']), [
      { x: 42, m: '5MB' },
    ])
    await server[Symbol.asyncDispose]()
    assert.equal(existsSync(server.directory), false)
  })
}
