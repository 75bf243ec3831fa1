/** A recovery that would replay for long gets a backup to begin with that is nearer: once, by the server itself. */
import assert from 'node:assert/strict'
import { appendFileSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createClient } from '../../src/client.ts'
import { runCli } from '../support/cli.ts'
import '../support/leaks.ts'
import { startTestServer } from '../support/postgres.ts'
import { stageServe, waitFor } from '../support/serve.ts'

test('when replaying what is held would take long, an incremental backup is made', async () => {
  await using server = await startTestServer()
  await using stage = await stageServe({ server, schedules: '[{ name: yearly, task: backup, cron: "0 0 1 1 *" }]' })
  const run = async (...args: string[]) => {
    const done = await runCli(['--config', stage.file, ...args], { cwd: stage.temp.path })
    assert.equal(done.code, 0, done.stderr)
    return done.stdout
  }
  await run('backup')
  await server.query(
    'create table much as select g, repeat(md5(g::text), 30) as body from generate_series(1, 220000) g',
  )
  await run('wal', 'receive', '--until-caught-up')
  const first = JSON.parse(await run('backups', '--json')).backups
  assert.equal(first.length, 1)
  // At 100 MB/s, which is assumed without a drill, the 230 MB take two seconds.
  appendFileSync(stage.file, 'maxReplayMinutes: 0.02\n')
  const process = await stage.serve()
  const address = /ready at (http:\S+?)\.["\s]/.exec(process.log())?.[1] ?? ''
  const client = createClient({ url: address, token: readFileSync(stage.temp.join('data/token'), 'utf8').trim() })
  const succeeded = async () => (await client.listRuns({ state: 'succeeded' })).items
  await waitFor(async () => (await succeeded()).length > 0, { what: () => `a backup: ${process.log()}` })
  const [made] = await succeeded()
  assert.equal(made?.id, `main~replay~${first[0].backupId}`)
  assert.deepEqual(made.startedBy, { kind: 'server', name: 'long replay' })
  assert.match(
    process.log(),
    /2\d\d MB of WAL since .* take about \d s to replay, so an incremental backup of main begins/,
  )
  const { backups } = JSON.parse(await run('backups', '--json'))
  assert.deepEqual(
    backups.map(({ type }: { type: string }) => type),
    ['full', 'incremental'],
  )
  // From the new one there is nothing to replay.
  const plan = await run('restore', 'plan', '--at', 'latest', '--to', stage.temp.join('restored'), '--json')
  assert.ok(JSON.parse(plan).plan.wal.bytes < 50e6)
  assert.equal(await process.stop(), 0)
})
