/** The API over the engine: a real server, a repository in a directory, and everything asked and done through HTTP. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { waitStreaming } from '../../test/support/lab.ts'
import { startTestServer, type TestServer } from '../../test/support/postgres.ts'
import { makeTemp, type TempDirectory } from '../../test/support/temp.ts'
import { listBackups } from '../engine/backups.ts'
import { initialise } from '../engine/initialise.ts'
import { openRetake, type Retake } from '../engine/open.ts'
import type { Operation } from '../engine/operation.ts'
import { receiveWal } from '../engine/receive-wal.ts'
import { readWindow } from '../engine/window.ts'
import { serverAccount } from '../postgres/server/account.ts'
import { generateKey } from '../repository/keys/key-material.ts'
import { formatKeyText } from '../repository/keys/key-text.ts'
import { fetchRetakeStatus } from '../supabase/retake-status.ts'
import { eachItem } from './client/client.ts'
import type { Run, StartRun } from './contract/runs.ts'
import { type ApiStage, startApi, TOKEN } from './testing/api-stage.ts'
import { EngineServices } from './testing/engine-services.ts'

describe('the API over the engine', () => {
  let server: TestServer
  let temp: TempDirectory
  let retake: Retake
  let receiver: Operation<unknown>
  let api: ApiStage<EngineServices>

  before(async () => {
    server = await startTestServer()
    temp = makeTemp({ label: 'api', owner: serverAccount() })
    const key = formatKeyText(generateKey().bytes)
    const options = { repo: temp.join('repo'), key, databaseUrl: server.url, postgresBinDirectory: server.binDir }
    await initialise(options)
    retake = await openRetake({
      ...options,
      schedules: [{ name: 'nightly', task: 'backup', cron: '0 2 * * *', since: new Date().toISOString() }],
    })
    receiver = receiveWal(retake)
    receiver.result.catch(() => {})
    await waitStreaming(server)
    await server.query('create table items as select n as id from generate_series(1, 1000) n')
    api = await startApi({ services: new EngineServices(retake) })
  })

  after(async () => {
    await api?.[Symbol.asyncDispose]()
    await api?.services.idle()
    receiver?.abort()
    await receiver?.result.catch(() => {})
    await retake?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
    await temp?.[Symbol.asyncDispose]()
  })

  /** Starts a run and watches it to its end. */
  async function carryOut(wanted: StartRun): Promise<readonly Run[]> {
    const started = await api.client.startRun({ cluster: 'main', body: wanted })
    return Array.fromAsync(api.client.watchRun({ run: started.id }))
  }

  const main = { cluster: 'main' }

  test('before the first backup nothing is well, and says so', async () => {
    const status = await api.client.getStatus(main)
    assert.equal(status.verdict, 'endangered')
    assert(status.reasons.some(({ code }) => code === 'backup.none'))
    assert.deepEqual((await api.client.getWindow(main)).windows, [])
    assert.deepEqual((await api.client.listBackups(main)).items, [])
    assert.equal((await api.client.getHealth(main)).score.value, 0)
  })

  test('a backup is started, watched and found again; the same key starts no second one', async () => {
    const seen = await carryOut({ task: 'backup', type: 'full', label: 'first' })
    const over = seen.at(-1)
    assert.equal(over?.state, 'succeeded', JSON.stringify(over))
    assert(seen.some(({ phase, progress }) => phase !== undefined && progress !== undefined))
    const { backups } = await listBackups(retake)
    assert.deepEqual(
      backups.map(({ label, type }) => [label, type]),
      [['first', 'full']],
    )
    const made = over.result?.backup as { readonly backupId?: unknown } | undefined
    assert.equal(made?.backupId, backups[0]?.backupId)
    const start = () =>
      api.client.startRun({ ...main, body: { task: 'backup', label: 'second' } }, { idempotencyKey: 'one' })
    const [one, other] = [await start(), await start()]
    assert.equal(one.id, other.id)
    await Array.fromAsync(api.client.watchRun({ run: one.id }))
    assert.equal((await listBackups(retake)).backups.length, 2)
  })

  test('what it shows is what the library tells, to the last field of the contract', async () => {
    const { backups } = await listBackups(retake)
    const listed = await Array.fromAsync(eachItem((cursor) => api.client.listBackups({ ...main, cursor, limit: 1 })))
    assert.deepEqual(
      listed.map(({ backupId }) => backupId),
      backups.map(({ backupId }) => backupId).reverse(),
    )
    const [newest] = listed
    for (const [field, value] of Object.entries(newest ?? {})) {
      assert.deepEqual(value, backups.at(-1)?.[field as keyof (typeof backups)[number]], field)
    }
    // The receiver goes on, so the end of the window may have moved meanwhile.
    const beginning = ({ windows, ...rest }: Awaited<ReturnType<typeof api.client.getWindow>>) => ({
      ...rest,
      windows: windows.map(({ to: _, ...one }) => one),
    })
    const told = JSON.parse(JSON.stringify(await readWindow(retake)))
    assert.deepEqual(beginning(await api.client.getWindow(main)), beginning(told))
    const health = await api.client.getHealth(main)
    assert.equal(health.checks.find(({ name }) => name === 'backup')?.state, 'passed')
    assert(health.score.lost.every(({ reason, fix }) => reason !== '' && fix !== ''))
    const { schedules } = await api.client.getSchedules(main)
    assert.deepEqual(
      schedules.map(({ name, next }) => [name, next.length]),
      [['nightly', 5]],
    )
    assert.match(await (await api.ask('/metrics')).text(), /^retake_build_info\{/m)
  })

  test('the status is read by the light package from its address', async () => {
    const status = await fetchRetakeStatus({
      url: `${api.server.url}/api/v1/clusters/main/status`,
      token: TOKEN,
      fetch,
      timeoutMs: 30_000,
    })
    assert.deepEqual(
      [status.schemaVersion, status.cluster, status.backupCount, status.windows.length],
      [1, 'main', 2, 1],
    )
    await assert.rejects(
      fetchRetakeStatus({
        url: `${api.server.url}/api/v1/clusters/main/status`,
        token: 'wrong',
        fetch,
        timeoutMs: 30_000,
      }),
      { code: 'supabase.denied' },
    )
  })

  test('verification and pruning run as well, and a failure keeps its code and hint', async () => {
    const verified = (await carryOut({ task: 'verify', deep: true })).at(-1)
    assert.deepEqual([verified?.state, verified?.result?.ok], ['succeeded', true])
    const pruned = (await carryOut({ task: 'prune', dryRun: true })).at(-1)
    assert.equal(pruned?.state, 'succeeded')
    const failed = (await carryOut({ task: 'verify', backupId: 'no-such-backup' })).at(-1)
    assert.deepEqual([failed?.state, failed?.error?.code], ['failed', 'backup.missing'])
    const { items } = await api.client.listRuns({ state: 'failed' })
    assert.deepEqual(
      items.map(({ id }) => id),
      [failed?.id],
    )
    await assert.rejects(api.client.cancelRun({ run: failed?.id ?? '' }), { code: 'api.conflict' })
  })

  test('a server that is gone is shown, not hidden, and is no error of the API', async () => {
    await server.stop()
    const status = await api.client.getStatus(main)
    assert.deepEqual([status.rpo.state, status.serverError?.code], ['unknown', 'postgres.unreachable'])
    assert.equal((await api.client.getHealth(main)).verdict, 'endangered')
    const failed = (await carryOut({ task: 'backup' })).at(-1)
    assert.deepEqual([failed?.state, failed?.error?.code], ['failed', 'postgres.unreachable'])
  })
})
