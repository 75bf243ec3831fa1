/** Drills as people make them: by the command, by a server that is killed meanwhile, and of a repository that was damaged. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createClient } from '../../src/client.ts'
import { serverProcesses } from '../../src/drills/sandbox-server.ts'
import type { DrillRecord } from '../../src/repository/drills.ts'
import { runCli } from '../support/cli.ts'
import '../support/leaks.ts'
import { startTestServer } from '../support/postgres.ts'
import { type ServeProcess, stageServe, waitFor } from '../support/serve.ts'
import { makeTemp } from '../support/temp.ts'

const addressOf = (server: ServeProcess) => /ready at (http:\S+?)\.["\s]/.exec(server.log())?.[1] ?? ''

test('by the command, with a server that is killed in the middle, and of a damaged repository', async () => {
  await using server = await startTestServer()
  await using place = makeTemp({ label: 'd' })
  await server.query('create table item as select n as id from generate_series(1, 1000) n')
  const more = `drillDirectory: ${place.path}\ncriticalTables: [{ table: public.item, tier: high }]`
  await using stage = await stageServe({ server, schedules: `[]\n${more}` })
  const { temp, file } = stage
  const cli = (...args: string[]) => runCli(['--config', file, ...args], { cwd: temp.path })
  const drills = async () =>
    (JSON.parse((await cli('drill', 'list', '--json')).stdout) as { drills: DrillRecord[] }).drills

  const none = await cli('drill', 'show')
  assert.equal(none.code, 10, none.stderr)
  assert.match((await cli('drill', 'list')).stdout, /Do it: retake drill run/)
  const nothing = await cli('drill', 'run', '--at', 'latest')
  assert.equal(nothing.code, 31, 'without a backup there is no recovery')
  assert.equal((await cli('backup')).code, 0)

  const first = await cli('drill', 'run')
  assert.equal(first.code, 0, first.stdout + first.stderr)
  assert.match(first.stdout, /passed +Critical tables are there, with rows/)
  const shown = await cli('drill', 'show')
  assert.equal(shown.stdout, first.stdout)
  const refused = await cli('drill', 'run', '--max-disk', '0.001')
  assert.equal(refused.code, 32, refused.stderr)
  assert.equal((await cli('drill', 'run', '--at', 'latest', '--random')).code, 2)

  const running = await stage.serve()
  const token = readFileSync(temp.join('data/token'), 'utf8').trim()
  const client = createClient({ url: addressOf(running), token })
  const run = await client.startRun({ cluster: 'main', body: { task: 'drill', at: 'latest', deep: true } })
  const dataDirectory = () => join(place.path, readdirSync(place.path)[0] ?? 'none', 'data')
  await waitFor(async () => (await serverProcesses(dataDirectory())).length > 0, { what: () => running.log() })
  running.run.kill()
  await running.run.ended
  const next = await stage.serve()
  const again = createClient({ url: addressOf(next), token })
  await waitFor(async () => (await again.getRun({ run: run.id })).state === 'succeeded', { what: () => next.log() })
  const mine = (await drills()).filter(({ request }) => request === run.id)
  assert.deepEqual(
    mine.map(({ outcome, deep }) => `${outcome} ${deep}`),
    ['passed true', 'interrupted true'],
  )
  assert.equal((await again.getRun({ run: run.id })).result?.drillId, mine[0]?.id)
  assert.equal(
    (await again.getHealth({ cluster: 'main' })).checks.find(({ name }) => name === 'drill')?.state,
    'passed',
  )
  assert.equal(await next.stop(), 0)
  assert.deepEqual(readdirSync(place.path), [])

  // The negative control: what is damaged must not pass.
  for (const name of readdirSync(join(stage.repository, 'packs'), { recursive: true, encoding: 'utf8' })) {
    if (!/\/[0-9a-f]{32}$/.test(name)) continue
    const pack = join(stage.repository, 'packs', name)
    const bytes = readFileSync(pack)
    bytes.fill(0, 100, Math.floor(bytes.length / 2))
    writeFileSync(pack, bytes)
  }
  const damaged = await cli('drill', 'run', '--json')
  assert.equal(damaged.code, 31, damaged.stdout)
  assert.equal((JSON.parse(damaged.stdout) as { drill: DrillRecord }).drill.error?.code, 'repo.damaged')
  assert.equal((await cli('health', '--json')).code, 40)
  assert.deepEqual(readdirSync(place.path), [])
})
