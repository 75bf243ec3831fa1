/** Actions that are asked for more than once. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RetakeError } from '../../base/errors.ts'
import type { Problem } from '../contract/problem.ts'
import type { Run } from '../contract/runs.ts'
import type { ActionCall } from '../services.ts'
import { startApi } from '../testing/api-stage.ts'
import { MemoryServices } from '../testing/memory-services.ts'

const act = (key: string, body: unknown = { task: 'check' }): RequestInit => ({
  method: 'POST',
  body: typeof body === 'string' ? body : JSON.stringify(body),
  headers: { 'content-type': 'application/json', 'idempotency-key': key },
})
const PATH = '/api/v1/clusters/main/runs'

describe('an Idempotency-Key', () => {
  test('of many at the same time one acts; the others wait for its answer, which is the same for all', async () => {
    await using api = await startApi()
    const held = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    let acted = 0
    api.services.beforeAction = async () => {
      acted++
      begun.resolve()
      await held.promise
    }
    const first = api.ask(PATH, act('k1'))
    await begun.promise
    const others = await Promise.all(Array.from({ length: 20 }, () => api.ask(PATH, act('k1'))))
    assert.deepEqual(new Set(others.map(({ status }) => status)), new Set([409]))
    assert.deepEqual(new Set(others.map(({ headers }) => headers.get('retry-after'))), new Set(['1']))
    held.resolve()
    const answered = await first
    assert.deepEqual([answered.status, answered.headers.get('idempotency-replayed')], [202, null])
    const run = (await answered.json()) as Run
    // However the same JSON is written, and however the key is.
    for (const again of [act('k1'), act('"k1"'), act('k1', ' {"task" : "check"}')]) {
      const replay = await api.ask(PATH, again)
      assert.deepEqual([replay.status, replay.headers.get('idempotency-replayed')], [202, 'true'])
      assert.deepEqual(await replay.json(), run)
    }
    assert.equal(acted, 1)
    assert.equal(api.services.runs.length, 1)
  })

  test('is refused with another request, at another address as well', async () => {
    await using api = await startApi()
    assert.equal((await api.ask(PATH, act('k1', { task: 'backup', label: 'a' }))).status, 202)
    for (const [path, body] of [
      [PATH, { task: 'backup', label: 'b' }],
      [PATH, { task: 'verify' }],
      ['/api/v1/clusters/other/runs', { task: 'backup', label: 'a' }],
    ] as const) {
      const other = await api.ask(path, act('k1', body))
      assert.equal(other.status, 422)
      assert.equal(((await other.json()) as Problem).code, 'api.conflict')
    }
    assert.equal(api.services.runs.length, 1)
  })

  test('is free again after what failed or was refused', async () => {
    await using api = await startApi()
    api.services.beforeAction = () => Promise.reject(new RetakeError('repo.locked', 'Another backup is running.'))
    assert.equal((await api.ask(PATH, act('k1'))).status, 409)
    assert.equal(api.services.keys.size, 0)
    api.services.beforeAction = async () => {}
    assert.equal((await api.ask(PATH, act('k1'))).status, 202)
    assert.equal((await api.ask(PATH, act('k2', { task: 'nothing' }))).status, 400)
    assert.equal((await api.ask(PATH, act('k2'))).status, 202)
  })

  test('is told to the action in a form that fits into an id, and differs between keys', async () => {
    const told: (string | undefined)[] = []
    class Listening extends MemoryServices {
      override startRun(request: Parameters<MemoryServices['startRun']>[0], call: ActionCall): Promise<Run> {
        told.push(call.idempotencyKey)
        return super.startRun(request, call)
      }
    }
    await using api = await startApi({ services: new Listening() })
    for (const key of ['a/../b', '%00', 'x'.repeat(200)]) await api.ask(PATH, act(key))
    await api.ask(PATH, { ...act(''), headers: { 'content-type': 'application/json' } })
    assert.equal(new Set(told).size, 4)
    assert.equal(told.at(-1), undefined)
    for (const key of told.slice(0, 3)) assert.match(key ?? '', /^[\da-f]{40}$/)
  })

  test('that cannot be one is refused before anything is begun', async () => {
    await using api = await startApi()
    for (const key of ['', 'with a space', 'x'.repeat(201)]) {
      const response = await api.ask(PATH, act(key))
      assert.equal(response.status, 400, key)
    }
    assert.deepEqual(api.services.runs, [])
  })

  test('whose answer cannot be kept does not undo what was done', async () => {
    await using api = await startApi()
    api.services.settleKey = () => Promise.reject(new RetakeError('postgres.unreachable', 'The database is gone.'))
    assert.equal((await api.ask(PATH, act('k1'))).status, 202)
    assert.equal((await api.ask(PATH, act('k1'))).status, 409)
    assert.equal(api.services.runs.length, 1)
  })

  test('the client uses one for each call, and the given one to repeat', async () => {
    await using api = await startApi()
    const start = (idempotencyKey?: string) =>
      api.client.startRun({ cluster: 'main', body: { task: 'check' } }, { idempotencyKey })
    const ids = new Set([(await start()).id, (await start()).id, (await start('mine')).id, (await start('mine')).id])
    assert.equal(ids.size, 3)
  })
})
