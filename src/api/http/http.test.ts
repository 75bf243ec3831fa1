/** What every request meets: token, host, limits, checks of what is sent, errors without secrets. */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { RetakeError } from '../../base/errors.ts'
import type { OperationFacts } from '../contract/operation.ts'
import { operations } from '../contract/operations.ts'
import { type Problem, problemSchema } from '../contract/problem.ts'
import { serveApi } from '../serve.ts'
import { startApi, TOKEN } from '../testing/api-stage.ts'
import { MemoryServices } from '../testing/memory-services.ts'

async function problem(response: Response): Promise<Problem> {
  assert.equal(response.headers.get('content-type'), 'application/problem+json')
  const found = problemSchema.strict().parse(await response.json())
  assert.equal(found.status, response.status)
  return found
}

const json = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json', ...headers },
})

describe('who may ask', () => {
  test('every operation refuses whoever has no token, or another, and tells nothing', async () => {
    await using api = await startApi()
    for (const { method, path } of Object.values<OperationFacts>(operations)) {
      const url = `${api.server.url}/api/v1${path.replaceAll(/\{\w+\}/g, 'x')}`
      for (const authorization of [
        undefined,
        'Bearer',
        `Bearer ${TOKEN}x`,
        `Bearer ${TOKEN.slice(1)}`,
        `Basic ${TOKEN}`,
      ]) {
        const headers = authorization === undefined ? {} : { authorization }
        const response = await fetch(url, { method: method.toUpperCase(), headers })
        assert.equal(response.status, 401, `${method} ${path} with ${authorization}`)
        assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer/)
        assert.equal((await problem(response)).code, 'api.denied')
      }
    }
    assert.equal((await fetch(`${api.server.url}/metrics`)).status, 401)
  })

  test('a token that is none is refused before anything is served', async () => {
    for (const token of ['', 'short', 'has a space in its middle', 'ends with a line\n\n\n\n']) {
      await assert.rejects(serveApi(new MemoryServices(), { port: 0, token }), { code: 'config.invalid' })
    }
  })

  test('a request under a strange name is refused: a page of the web may have made it', async () => {
    await using api = await startApi({ allowedHosts: ['retake.internal'] })
    const askAs = (host: string) =>
      new Promise<number>((resolve, reject) => {
        const { port } = api.server
        const headers = { host, authorization: `Bearer ${TOKEN}` }
        request({ host: '127.0.0.1', port, path: '/api/v1/server', headers }, (response) => {
          response.resume()
          response.once('end', () => resolve(response.statusCode ?? 0))
        })
          .once('error', reject)
          .end()
      })
    for (const host of [
      'localhost',
      'LOCALHOST:80',
      '127.0.0.1',
      '10.1.2.3:7432',
      '[::1]:7432',
      'retake.internal',
      'retake.internal.',
    ]) {
      assert.equal(await askAs(host), 200, host)
    }
    for (const host of [
      'evil.example',
      'evil.example:7432',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'retake.internal.evil.example',
      'user@localhost',
    ]) {
      assert.notEqual(await askAs(host), 200, host)
    }
    assert.equal(await askAs('evil.example'), 421)
  })

  test('other sites are given nothing, and a browser is told so', async () => {
    await using api = await startApi()
    const response = await api.ask('/api/v1/server', { headers: { origin: 'https://evil.example' } })
    assert.equal(response.headers.get('access-control-allow-origin'), null)
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
    assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'/)
    assert.equal(response.headers.get('cache-control'), 'private, no-cache')
    const preflight = await fetch(`${api.server.url}/api/v1/clusters/main/runs`, {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    })
    assert.equal(preflight.status, 405)
    assert.equal(preflight.headers.get('access-control-allow-origin'), null)
  })
})

describe('what is sent', () => {
  test('everything that does not fit is listed, and nothing is begun', async () => {
    await using api = await startApi()
    const found = await problem(
      await api.ask('/api/v1/clusters/main/runs', json({ task: 'backup', type: 'half', labe: 'x' })),
    )
    assert.equal(found.code, 'api.invalid')
    assert.deepEqual(found.fields?.map(({ in: place, field }) => [place, field]).sort(), [
      ['body', ''],
      ['body', 'type'],
    ])
    const query = await problem(await api.ask('/api/v1/runs?limit=0&state=done&limt=3&task=backup&task=prune'))
    assert.deepEqual(query.fields?.map(({ field }) => field).sort(), ['limit', 'limt', 'state', 'task'])
    assert.equal((await problem(await api.ask('/api/v1/runs?cursor=abc'))).code, 'api.invalid')
    assert.deepEqual(api.services.runs, [])
  })

  test('a body must be JSON, be declared as such, and be small', async () => {
    await using api = await startApi({ limits: { bodyBytes: 1000 } })
    const send = (body: string | Uint8Array<ArrayBuffer>, type: string) =>
      api.ask('/api/v1/clusters/main/runs', { method: 'POST', body, headers: { 'content-type': type } })
    assert.equal((await send('{"task":"check"}', 'text/plain')).status, 415)
    assert.equal((await send('{"task":', 'application/json')).status, 400)
    assert.equal((await send(new Uint8Array([0x22, 0xff, 0x22]), 'application/json')).status, 400)
    assert.equal(
      (await send(JSON.stringify({ task: 'backup', label: 'x'.repeat(1000) }), 'application/json')).status,
      413,
    )
    // Without saying how long it is.
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(500).fill(0x20)),
    })
    const chunked = await api.ask('/api/v1/clusters/main/runs', {
      method: 'POST',
      body: endless,
      headers: { 'content-type': 'application/json' },
      ...{ duplex: 'half' },
    })
    assert.equal(chunked.status, 413)
    assert.deepEqual(api.services.runs, [])
    assert.equal((await send('{"task":"check"}', 'application/json; charset=utf-8')).status, 202)
  })

  test('an address that is none, and a method that is none there, are told apart', async () => {
    await using api = await startApi()
    assert.equal((await problem(await api.ask('/api/v1/clusterz'))).code, 'api.missing')
    assert.equal((await problem(await api.ask('/'))).status, 404)
    const response = await api.ask('/api/v1/clusters/main/runs', { method: 'DELETE' })
    assert.equal(response.headers.get('allow'), 'POST')
    assert.equal((await problem(response)).status, 405)
    assert.equal((await api.ask('/api/v1/server', { method: 'HEAD' })).status, 200)
  })
})

describe('what is answered', () => {
  test('what is not there is named, and what is not known yet as well', async () => {
    await using api = await startApi()
    assert.equal((await problem(await api.ask('/api/v1/clusters/other'))).code, 'cluster.missing')
    assert.equal((await problem(await api.ask('/api/v1/clusters/other/health'))).code, 'cluster.missing')
    const unknown = await problem(await api.ask('/api/v1/clusters/main/health'))
    assert.deepEqual([unknown.status, unknown.code], [404, 'api.missing'])
    assert.match(unknown.detail, /unknown/)
    assert.equal((await problem(await api.ask('/api/v1/runs/r1'))).code, 'api.missing')
    assert.equal((await problem(await api.ask('/api/v1/runs/r1/events'))).code, 'api.missing')
  })

  test('an error of the engine keeps its code and hint; the token never appears', async () => {
    class Failing extends MemoryServices {
      thrown: unknown
      override async readServer(): Promise<never> {
        throw this.thrown
      }
    }
    const logged: string[] = []
    const log = (message: string, fields?: object) => void logged.push(JSON.stringify({ message, ...fields }))
    const logger = { debug: log, info: log, warn: log, error: log }
    await using api = await startApi({ services: new Failing(), logger })
    const ask = async (thrown: unknown) => {
      api.services.thrown = thrown
      return problem(await api.ask('/api/v1/server'))
    }
    const gone = await ask(
      new RetakeError('storage.unreachable', 'The bucket did not answer.', { hint: 'Look at it.' }),
    )
    assert.deepEqual(
      [gone.status, gone.code, gone.hint, gone.retry],
      [503, 'storage.unreachable', 'Look at it.', 'later'],
    )
    const told = await ask(new RetakeError('repo.damaged', `Somebody wrote ${TOKEN} here.`))
    assert.deepEqual([told.status, told.detail], [500, 'Somebody wrote … here.'])
    const strange = await ask(new TypeError(`cannot read postgres://retake:secret@db/${TOKEN}`))
    assert.deepEqual([strange.status, strange.code], [500, 'internal'])
    assert(!JSON.stringify(strange).includes('secret'))
    assert(logged.some((line) => line.includes(strange.requestId)))
  })

  test('only what the contract names leaves the server, and what lacks something does not', async () => {
    class Talkative extends MemoryServices {
      override async readServer(): ReturnType<MemoryServices['readServer']> {
        const known = await super.readServer({ signal: new AbortController().signal })
        return { ...known, database: { ...known.database, ...{ password: 'hunter2' } } }
      }
      override async listChannels() {
        return [{ name: 'mail' } as never]
      }
    }
    await using api = await startApi({ services: new Talkative() })
    assert.doesNotMatch(await (await api.ask('/api/v1/server')).text(), /hunter2|password/)
    assert.equal((await problem(await api.ask('/api/v1/channels'))).code, 'internal')
  })

  test('a poll that finds nothing new is answered without it', async () => {
    await using api = await startApi()
    const first = await api.ask('/api/v1/server')
    const etag = first.headers.get('etag')!
    for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await api.ask('/api/v1/server', { headers: { 'if-none-match': tag } })
      assert.deepEqual([again.status, again.headers.get('etag'), await again.text()], [304, etag, ''])
    }
    api.services.clusters.push({ ...api.services.clusters[0]!, name: 'second' })
    const other = await api.ask('/api/v1/clusters', { headers: { 'if-none-match': etag } })
    assert.equal(other.status, 200)
  })

  test('a request that takes too long is answered, and its work is told to stop', async () => {
    const stopped = Promise.withResolvers<void>()
    class Slow extends MemoryServices {
      override readServer({ signal }: { readonly signal: AbortSignal }): Promise<never> {
        signal.addEventListener('abort', () => stopped.resolve(), { once: true })
        return new Promise(() => {})
      }
    }
    await using api = await startApi({ services: new Slow(), limits: { requestMs: 50 } })
    assert.equal((await problem(await api.ask('/api/v1/server'))).code, 'timeout')
    await stopped.promise
  })

  test('whoever leaves before the answer stops the work', async () => {
    const begun = Promise.withResolvers<void>()
    const stopped = Promise.withResolvers<void>()
    class Slow extends MemoryServices {
      override readServer({ signal }: { readonly signal: AbortSignal }): Promise<never> {
        begun.resolve()
        signal.addEventListener('abort', () => stopped.resolve(), { once: true })
        return new Promise(() => {})
      }
    }
    await using api = await startApi({ services: new Slow() })
    const leaving = new AbortController()
    const asked = api.ask('/api/v1/server', { signal: leaving.signal })
    await begun.promise
    leaving.abort()
    await assert.rejects(asked)
    await stopped.promise
  })

  test('a client that sends half a request does not stay', async () => {
    await using api = await startApi({ limits: { requestMs: 100 } })
    for (const half of [
      'GET /api/v1/server HTTP/1.1\r\nhost: loc',
      `POST /api/v1/clusters/main/runs HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${TOKEN}\r\ncontent-type: application/json\r\ncontent-length: 30\r\n\r\n{"ta`,
    ]) {
      const socket = connect(api.server.port, '127.0.0.1')
      socket.write(half)
      assert.match(await text(socket), /^HTTP\/1\.1 (408|400|504)/)
    }
    assert.deepEqual(api.services.runs, [])
  })
})

describe('probes', () => {
  test('live as long as it answers; ready when it can work, and why not', async () => {
    await using api = await startApi()
    const bare = (path: string) => fetch(`${api.server.url}${path}`)
    assert.deepEqual(await (await bare('/livez')).json(), { alive: true })
    assert.deepEqual(await (await bare('/readyz')).json(), { ready: true, reasons: [] })
    api.services.reasons = [{ code: 'postgres.unreachable', message: 'The database at db.internal is gone.' }]
    const told = await bare('/readyz')
    assert.equal(told.status, 503)
    assert.deepEqual(await told.json(), { ready: false, reasons: [{ code: 'postgres.unreachable' }] })
    assert.match(await (await api.ask('/readyz')).text(), /db\.internal/)
    api.services.readiness = () => Promise.reject(new Error('nobody thought of this'))
    assert.deepEqual(await (await bare('/readyz')).json(), { ready: false, reasons: [{ code: 'internal' }] })
  })

  test('metrics come in the format that is asked for', async () => {
    await using api = await startApi()
    const typeFor = async (accept: string) =>
      (await api.ask('/metrics', { headers: { accept } })).headers.get('content-type')?.split(';')[0]
    const prometheus = 'application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'
    assert.equal(await typeFor(prometheus), 'application/openmetrics-text')
    assert.equal(await typeFor('text/plain'), 'text/plain')
    assert.equal(await typeFor('*/*'), 'text/plain')
    assert.equal(await typeFor('text/plain;q=0.9,application/openmetrics-text;q=0.1'), 'text/plain')
  })
})
