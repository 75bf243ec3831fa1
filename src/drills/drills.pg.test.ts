import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import '../../test/support/leaks.ts'
import { type Protection, protect } from '../../test/support/lab.ts'
import { postgresMajors, startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { makeTemp } from '../../test/support/temp.ts'
import { openRetake, type RetakeOptions } from '../engine/open.ts'
import { listDrills } from '../repository/drills.ts'
import { verifyRepository } from '../repository/verify.ts'
import { runDrill } from './run.ts'

const TABLES = [
  { table: 'public.item', tier: 'high' },
  { table: 'public.empty', tier: 'low' },
] as const

for (const major of postgresMajors()) {
  describe(`PostgreSQL ${major}`, () => {
    let server: TestServer
    let lab: Protection
    let options: RetakeOptions
    let middle: string

    before(async () => {
      // What must not come along: a library that is not on this machine, an archive, a name to wait for, passwords for everybody.
      server = await startTestServer({ major, superuser: 'chief', settings: { cluster_name: 'source' } })
      lab = await protect(server)
      await server.query(
        `create table item as select n as id, repeat(md5(n::text), 40) as body from generate_series(1, 500) n`,
      )
      await server.query('create unique index on item (id)')
      await server.query('create table empty ()')
      await server.query('create sequence ticket')
      await server.query('create database other')
      await server.query('create database closed allow_connections false')
      await server.query(`alter system set archive_command = 'touch %p.archived'`)
      await server.query(`alter system set shared_preload_libraries = 'runs_jobs'`)
      await lab.backUp()
      await server.query(`alter role chief set statement_timeout = '1ms'`)
      await server.query(`alter role chief set session_preload_libraries = 'runs_jobs'`)
      await server.query(`update item set body = 'changed' where id <= 10`)
      const [row] = await server.query<{ at: Date }>('select clock_timestamp() as at')
      middle = row?.at.toISOString() ?? ''
      await server.query(`delete from item`)
      await server.query('alter role chief reset all')
      await lab.catchUp()
      options = { repo: lab.url, key: lab.key, databaseUrl: server.url, criticalTables: TABLES }
    })

    after(async () => {
      await lab[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    })

    test('a recovery to a moment is rehearsed, proven and put on record, and leaves nothing', async () => {
      await using temp = makeTemp({ label: 'd' })
      await using retake = await openRetake(options)
      const phases: string[] = []
      const run = runDrill(retake, {
        at: middle,
        directory: temp.path,
        by: 'schedule drill',
        request: 'run-1',
        onProgress: ({ phase }) => phases.push(phase),
      })
      const { drill } = await run.result
      assert.equal(drill.outcome, 'passed', JSON.stringify(drill, undefined, 1))
      assert.deepEqual(
        drill.checks.map(({ name, result }) => `${name} ${result}`),
        [
          'target passed',
          'databases passed',
          'catalogues passed',
          'collations passed',
          'critical-tables not-verifiable',
          'sequences passed',
          `indexes ${drill.checks.some(({ name, result }) => name === 'indexes' && result === 'skipped') ? 'skipped' : 'passed'}`,
          'left-out not-verifiable',
          'page-checksums passed',
        ],
      )
      assert.match(drill.checks.find(({ name }) => name === 'left-out')?.detail ?? '', /runs_jobs/)
      assert.match(drill.checks.find(({ name }) => name === 'critical-tables')?.detail ?? '', /public\.empty/)
      assert.deepEqual(
        drill.phases.map(({ name }) => name),
        [
          'choose',
          'plan',
          'preflight',
          'check',
          'files',
          'durable',
          'recovery',
          'connect',
          'prove',
          'stop',
          'pages',
          'remove',
        ],
      )
      assert.deepEqual([drill.target?.chosen, drill.target?.at], ['asked', middle])
      assert.equal(drill.rpoMs, Date.parse(middle) - Date.parse(drill.reached?.at ?? ''))
      assert.ok((drill.rtoMs ?? 0) > 0)
      assert.equal(drill.versions.programs?.split('.')[0], String(major))
      assert.deepEqual(
        [drill.by, drill.request, drill.deep, drill.backup?.type],
        ['schedule drill', 'run-1', false, 'full'],
      )
      assert.ok(['choose', 'files', 'replay', 'prove', 'remove'].every((phase) => phases.includes(phase)))
      assert.deepEqual(readdirSync(temp.path), [])
      assert.deepEqual(await Array.fromAsync(listDrills(lab.cluster)), [drill])
      assert.deepEqual((await runDrill(retake, { request: 'run-1', directory: temp.path }).result).drill, drill)
      assert.deepEqual((await verifyRepository({ repository: lab.repository, depth: 'quick' })).findings, [])
    })

    test('a deep one at random reads every row, and can be kept to be looked at', async () => {
      await using temp = makeTemp({ label: 'd' })
      await using retake = await openRetake(options)
      const report = await runDrill(retake, { deep: true, keep: true, directory: temp.path, random: () => 0.999999 })
        .result
      const { drill, kept = '' } = report
      assert.equal(drill.outcome, 'passed', JSON.stringify(drill, undefined, 1))
      assert.deepEqual([drill.target?.chosen, drill.deep], ['random', true])
      assert.match(drill.target?.why ?? '', /at random/)
      assert.equal(drill.checks.find(({ name }) => name === 'rows')?.result, 'passed')
      assert.ok(existsSync(join(kept, 'data', 'PG_VERSION')))
      assert.equal(existsSync(join(kept, 'data', 'postmaster.pid')), false)
      const auto = readFileSync(join(kept, 'data', 'postgresql.auto.conf'), 'utf8')
      for (const setting of ["archive_mode = 'off'", "listen_addresses = ''", "shared_preload_libraries = ''"]) {
        assert.ok(auto.includes(setting), setting)
      }
      // It is nobody's leftover.
      await runDrill(retake, { at: 'latest', directory: temp.path }).result
      assert.ok(existsSync(join(kept, 'data', 'PG_VERSION')))
    })
  })
}
