/** The client against servers that are not well, and that it leaves nothing behind. */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isRetakeError } from '../../base/errors.ts'
import { startApi, TOKEN } from '../testing/api-stage.ts'
import { createClient } from './client.ts'
import { EventParser } from './parse-events.ts'

async function serverOf(listener: RequestListener): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

describe('what the client throws', () => {
  test('what the server told, with its fields', async () => {
    await using api = await startApi()
    const error = await api.client
      .startRun({ cluster: 'main', body: { task: 'verify', backupId: 'a b' } })
      .catch((thrown: unknown) => thrown)
    assert(isRetakeError(error, 'api.invalid'))
    assert.equal(error.details.status, 400)
    assert.deepEqual(
      (error.details.fields as { field: string }[]).map(({ field }) => field),
      ['backupId'],
    )
    await assert.rejects(createClient({ url: api.server.url, token: 'wrong' }).getServer(), { code: 'api.denied' })
    await assert.rejects(api.client.getCluster({ cluster: 'other' }), { code: 'cluster.missing', retry: 'never' })
  })

  test('what is not of Retake is told as such, and where it leads is not followed', async () => {
    const asked: string[] = []
    await using other = await serverOf((request, response) => {
      asked.push(request.url ?? '')
      const kind = request.url?.split('/')[1]
      if (kind === 'html') response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad Gateway</h1>')
      else if (kind === 'moved') response.writeHead(302, { location: '/elsewhere' }).end()
      else if (kind === 'text') response.end('hello')
      else response.end('{"version":7}')
    })
    for (const kind of ['html', 'moved', 'text', 'json']) {
      const client = createClient({ url: `${other.url}/${kind}/`, token: TOKEN })
      await assert.rejects(client.getServer(), { code: 'api.protocol' }, kind)
    }
    assert.deepEqual(asked.length, 4)
    await assert.rejects(
      createClient({ url: `${other.url}/html`, token: TOKEN })
        .watchRun({ run: 'r1' })
        .next(),
      {
        code: 'api.protocol',
      },
    )
  })

  test('a server that does not answer, that is silent, that cannot be reached, and a signal', async () => {
    await using silent = await serverOf(() => {})
    const client = createClient({ url: silent.url, timeoutMs: 30, silenceMs: 30 })
    await assert.rejects(client.getServer(), { code: 'timeout' })
    await assert.rejects(client.watchRun({ run: 'r1' }).next(), { code: 'api.unreachable' })
    await assert.rejects(createClient({ url: 'http://127.0.0.1:1' }).getServer(), { code: 'api.unreachable' })
    await assert.rejects(client.getServer({}, { signal: AbortSignal.abort() }), { code: 'aborted' })
    await assert.rejects(client.watchRun({ run: 'r1' }, { signal: AbortSignal.abort() }).next(), { code: 'aborted' })
  })

  test('no error names the token', async () => {
    await using echo = await serverOf((request, response) => {
      response.writeHead(500, { 'content-type': 'text/plain' }).end(String(request.headers.authorization))
    })
    const error = await createClient({ url: echo.url, token: TOKEN })
      .getServer()
      .catch((thrown: unknown) => thrown)
    assert(isRetakeError(error))
    assert(!JSON.stringify({ ...error.toJSON(), stack: error.stack }).includes(TOKEN))
  })
})

test('a stream that has gone silent is taken up again', async () => {
  let connections = 0
  await using flaky = await serverOf((_, response) => {
    connections++
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(
      `retry: 1\n\nevent: change\nid: ${connections}\ndata: {"kind":"run","at":"2026-11-23T02:00:00Z"}\n\n`,
    )
  })
  const client = createClient({ url: flaky.url, silenceMs: 30 })
  const seen: string[] = []
  for await (const { kind } of client.watchCluster({ cluster: 'main' })) {
    seen.push(kind)
    if (seen.length === 3) break
  }
  assert.equal(connections, 3)
})

test('a signal that is used again and again keeps no listener', async () => {
  await using api = await startApi()
  const { signal } = new AbortController()
  for (let index = 0; index < 5; index++) {
    await api.client.getServer({}, { signal })
    const run = await api.client.startRun({ cluster: 'main', body: { task: 'check' } }, { signal })
    for await (const _ of api.client.watchRun({ run: run.id }, { signal })) break
  }
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})

describe('events out of bytes', () => {
  test('however they are cut, the same events come out', () => {
    const line = fc.stringMatching(/^[ -~äß€]{0,12}$/)
    const event = fc.record({
      event: fc.option(fc.stringMatching(/^[a-z]{1,8}$/), { nil: undefined }),
      id: fc.option(fc.stringMatching(/^[a-z\d-]{1,8}$/), { nil: undefined }),
      data: fc.array(line, { minLength: 1, maxLength: 3 }),
    })
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 5 }),
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.array(fc.nat({ max: 20 })),
        (events, end, cuts) => {
          const text = events
            .map(({ event: name, id, data }) =>
              [
                ': a comment',
                ...(name === undefined ? [] : [`event: ${name}`]),
                ...(id === undefined ? [] : [`id:${id}`]),
                ...data.map((one) => `data: ${one}`),
                '',
                '',
              ].join(end),
            )
            .join('')
            .concat(': the end', '\n')
          const parser = new EventParser()
          const found: unknown[] = []
          let rest = text
          for (const cut of cuts) {
            found.push(...parser.push(rest.slice(0, cut)))
            rest = rest.slice(cut)
          }
          found.push(...parser.push(rest))
          let last: string | undefined
          const expected = events.map(({ event: name = 'message', id, data }) => {
            last = id ?? last
            return { event: name, id: last, data: data.join('\n') }
          })
          assert.deepEqual(found, expected)
        },
      ),
    )
  })

  test('an event without end is refused', () => {
    const parser = new EventParser()
    assert.throws(
      () => {
        for (let index = 0; index < 100; index++) parser.push(`data: ${'x'.repeat(100_000)}\n`)
      },
      { code: 'api.protocol' },
    )
  })
})
