/** Streams on a real server: resuming, slow and half-open readers, ends; and that nothing stays behind. */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { createClient } from '../client/client.ts'
import { EventParser, type ServerEvent } from '../client/parse-events.ts'
import type { Problem } from '../contract/problem.ts'
import type { Run } from '../contract/runs.ts'
import type { StreamItem, WatchRequest } from '../services.ts'
import { type ApiStage, startApi, TOKEN } from '../testing/api-stage.ts'
import { MemoryServices } from '../testing/memory-services.ts'

const AT = '2026-11-23T02:00:00.000Z'

const run = (more: Partial<Run> = {}): Run => ({
  id: 'r1',
  cluster: 'main',
  task: 'backup',
  state: 'running',
  startedBy: { kind: 'token' },
  requestedAt: AT,
  ...more,
})

/** What is true at some time is waited for, however long it takes. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 2))
}

/** Reads events one by one from a response. */
async function* eventsOf(response: Response): AsyncGenerator<ServerEvent, void> {
  const parser = new EventParser()
  const decoder = new TextDecoder()
  assert(response.body)
  for await (const chunk of response.body) yield* parser.push(decoder.decode(chunk as Uint8Array, { stream: true }))
}

async function nextEvent(events: AsyncGenerator<ServerEvent, void>): Promise<ServerEvent> {
  const { done, value } = await events.next()
  assert(!done)
  return value
}

async function assertNothingLeft(api: ApiStage<MemoryServices>): Promise<void> {
  await until(() => api.server.streams === 0 && api.services.waiting === 0)
}

describe('watching a run', () => {
  test('shows it as it is, each change, and ends when it is over', async () => {
    await using api = await startApi()
    api.services.putRun(run({ phase: 'copy', progress: { done: 0, unit: 'bytes' } }))
    const seen: (string | number)[] = []
    for await (const { state, progress } of api.client.watchRun({ run: 'r1' })) {
      seen.push(progress?.done ?? state)
      if (seen.length < 4) api.services.putRun(run({ progress: { done: seen.length * 10, unit: 'bytes' } }))
      else api.services.putRun(run({ state: 'succeeded', result: { backupId: 'b1' } }))
    }
    assert.deepEqual(seen, [0, 10, 20, 30, 'succeeded'])
    await assertNothingLeft(api)
  })

  test('a reader that was away is given the newest only, and only what is new to it', async () => {
    await using api = await startApi()
    api.services.putRun(run())
    const first = eventsOf(await api.ask('/api/v1/runs/r1/events'))
    const { id, event } = await nextEvent(first)
    assert.equal(event, 'run')
    await first.return()
    for (const done of [1, 2, 3]) api.services.putRun(run({ progress: { done, unit: 'bytes' } }))
    const second = eventsOf(await api.ask('/api/v1/runs/r1/events', { headers: { 'last-event-id': id! } }))
    const newest = await nextEvent(second)
    assert.equal(JSON.parse(newest.data).progress.done, 3)
    await second.return()
    const third = eventsOf(await api.ask('/api/v1/runs/r1/events', { headers: { 'last-event-id': newest.id! } }))
    api.services.putRun(run({ state: 'failed', error: { code: 'storage.full', message: 'The disk is full.' } }))
    assert.equal(JSON.parse((await nextEvent(third)).data).state, 'failed')
    assert.deepEqual(JSON.parse((await nextEvent(third)).data), { reason: 'over' })
    assert.equal((await third.next()).done, true)
    await assertNothingLeft(api)
  })

  test('a source that fails is told of, and the watch throws it', async () => {
    class Failing extends MemoryServices {
      override async *watchRun(): AsyncGenerator<StreamItem<Run>, void> {
        yield { id: '1', value: run() }
        throw new TypeError('postgres://somebody:secret@db')
      }
    }
    await using api = await startApi({ services: new Failing() })
    api.services.putRun(run())
    const events = eventsOf(await api.ask('/api/v1/runs/r1/events'))
    await nextEvent(events)
    const { data } = await nextEvent(events)
    assert.equal(JSON.parse(data).reason, 'failed')
    assert.doesNotMatch(data, /secret/)
    const watched: string[] = []
    await assert.rejects(
      async () => {
        for await (const { state } of api.client.watchRun({ run: 'r1' })) watched.push(state)
      },
      { code: 'internal' },
    )
    assert.deepEqual(watched, ['running'])
    await assertNothingLeft(api)
  })
})

describe('watching a cluster', () => {
  test('goes on where it was left, and says when something may have been missed', async () => {
    await using api = await startApi()
    const publish = (subject: string) => api.services.changes.publish({ kind: 'run', at: AT, subject })
    const open = async (after?: string) =>
      eventsOf(
        await api.ask('/api/v1/clusters/main/events', {
          headers: after === undefined ? {} : { 'last-event-id': after },
        }),
      )
    const subjectOf = ({ data }: ServerEvent) => JSON.parse(data).subject ?? JSON.parse(data).kind
    publish('before')
    const first = await open()
    const pending = nextEvent(first)
    await until(() => api.services.changes.waiting === 1)
    publish('a')
    const seen = await pending
    assert.deepEqual([seen.event, subjectOf(seen)], ['change', 'a'])
    await first.return()
    publish('b')
    publish('c')
    const second = await open(seen.id)
    const missed = [await nextEvent(second), await nextEvent(second)]
    assert.deepEqual(missed.map(subjectOf), ['b', 'c'])
    await second.return()
    for (let index = 0; index < 101; index++) publish(`n${index}`)
    const third = await open(missed[1]?.id)
    assert.equal(subjectOf(await nextEvent(third)), 'reset')
    await third.return()
    for (const foreign of ['other-3', 'x', '7']) {
      const strange = await open(foreign)
      assert.equal(subjectOf(await nextEvent(strange)), 'reset', foreign)
      await strange.return()
    }
    await assertNothingLeft(api)
  })

  test('a client misses nothing when its connection breaks again and again', async () => {
    await using api = await startApi({ limits: { retryMs: 1 } })
    const controllers = new Set<AbortController>()
    const cutting: typeof fetch = (url, init) => {
      const controller = new AbortController()
      controllers.add(controller)
      init?.signal?.addEventListener('abort', () => controller.abort(), { once: true })
      return fetch(url, { ...init, signal: controller.signal })
    }
    const client = createClient({
      url: api.server.url,
      token: TOKEN,
      fetch: (url, init) => cutting(url, init),
      retryMs: 1,
    })
    const changes = client.watchCluster({ cluster: 'main' })
    const seen: string[] = []
    const reading = (async () => {
      for await (const { subject, kind } of changes) {
        seen.push(subject ?? kind)
        if (seen.length === 20) return
      }
    })()
    await until(() => api.services.changes.waiting === 1)
    api.services.changes.publish({ kind: 'run', at: AT, subject: '0' })
    await until(() => seen.length === 1)
    for (let index = 1; index < 20; index++) {
      if (index % 9 === 0) for (const controller of controllers) controller.abort()
      api.services.changes.publish({ kind: 'run', at: AT, subject: String(index) })
    }
    await reading
    assert.deepEqual(
      seen,
      Array.from({ length: 20 }, (_, index) => String(index)),
    )
    assert(controllers.size > 1, 'the connection was never cut')
    await assertNothingLeft(api)
  })
})

describe('how streams end', () => {
  test('the signal of the watch, and leaving its loop, end it on both sides', async () => {
    await using api = await startApi()
    api.services.putRun(run())
    for await (const _ of api.client.watchRun({ run: 'r1' })) break
    await assertNothingLeft(api)
    const leaving = new AbortController()
    await assert.rejects(
      async () => {
        for await (const _ of api.client.watchRun({ run: 'r1' }, { signal: leaving.signal })) leaving.abort()
      },
      { code: 'aborted' },
    )
    await assertNothingLeft(api)
  })

  test('a stream that lasted long enough is renewed without its reader noticing', async () => {
    await using api = await startApi({ limits: { streamMs: 20, retryMs: 1 } })
    const opened: (string | undefined)[] = []
    const { services } = api
    const watch = services.watchCluster.bind(services)
    services.watchCluster = (cluster, request) => {
      opened.push(request.after)
      return watch(cluster, request)
    }
    const changes = api.client.watchCluster({ cluster: 'main' })
    const first = changes.next()
    await until(() => services.changes.waiting === 1)
    services.changes.publish({ kind: 'backup', at: AT, subject: 'first' })
    assert.equal((await first).value?.subject, 'first')
    const second = changes.next()
    await until(() => opened.length >= 3)
    services.changes.publish({ kind: 'backup', at: AT, subject: 'second' })
    assert.equal((await second).value?.subject, 'second')
    assert(opened.slice(1).some((after) => after !== undefined))
    await changes.return()
    await assertNothingLeft(api)
  })

  test('more streams than are allowed are refused, and the place of one that ended is free', async () => {
    await using api = await startApi({ limits: { streams: 2 } })
    api.services.putRun(run())
    const one = eventsOf(await api.ask('/api/v1/runs/r1/events'))
    const two = eventsOf(await api.ask('/api/v1/runs/r1/events'))
    await Promise.all([nextEvent(one), nextEvent(two)])
    const refused = await api.ask('/api/v1/runs/r1/events')
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '2'])
    assert.equal(((await refused.json()) as Problem).code, 'api.busy')
    await one.return()
    await until(() => api.server.streams === 1)
    const again = eventsOf(await api.ask('/api/v1/runs/r1/events'))
    await nextEvent(again)
    await Promise.all([two.return(), again.return()])
    await assertNothingLeft(api)
    assert.equal((await api.ask('/api/v1/runs/r1/events', { method: 'HEAD' })).status, 405)
    await assertNothingLeft(api)
  })

  test('when the server ends, streams are told, requests are finished, and nothing new is taken', async () => {
    const held = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const api = await startApi()
    api.services.beforeAction = async () => {
      begun.resolve()
      await held.promise
    }
    api.services.putRun(run())
    const events = eventsOf(await api.ask('/api/v1/runs/r1/events'))
    await nextEvent(events)
    const acting = api.client.startRun({ cluster: 'main', body: { task: 'check' } })
    await begun.promise
    const closed = api.server.close()
    assert.deepEqual(JSON.parse((await nextEvent(events)).data), { reason: 'closing' })
    assert.equal((await events.next()).done, true)
    await assert.rejects(createClient({ url: api.server.url, token: TOKEN }).getServer(), { code: 'api.unreachable' })
    held.resolve()
    assert.equal((await acting).task, 'check')
    await closed
    await assertNothingLeft(api)
  })

  test('connections on which nothing was ever asked do not hold it up', async () => {
    const api = await startApi({ limits: { closeMs: 3_600_000 } })
    const silent = connect(api.server.port, '127.0.0.1')
    const half = connect(api.server.port, '127.0.0.1')
    half.write('GET /livez HTTP/1.1\r\nhost: loc')
    await api.ask('/livez')
    const gone = [silent, half].map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    for (const socket of [silent, half]) socket.on('error', () => {}).resume()
    await api.server.close()
    await Promise.all(gone)
  })

  test('what does not end by itself is cut, and its work told to stop', async () => {
    const stopped = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const api = await startApi({ limits: { closeMs: 20 } })
    api.services.beforeAction = (signal) => {
      signal.addEventListener('abort', () => stopped.resolve(), { once: true })
      begun.resolve()
      return new Promise(() => {})
    }
    const acting = assert.rejects(api.client.startRun({ cluster: 'main', body: { task: 'check' } }))
    await begun.promise
    await api.server.close()
    await Promise.all([acting, stopped.promise])
    await api.server.close()
  })
})

describe('readers that do not read', () => {
  const openRaw = async (api: ApiStage<MemoryServices>, path: string): Promise<Socket> => {
    const socket = connect(api.server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`)
    await new Promise((resolve) => socket.once('readable', resolve))
    return socket
  }

  class Flood extends MemoryServices {
    given = 0
    override async *watchRun(_id: string, { signal }: WatchRequest): AsyncGenerator<StreamItem<Run>, void> {
      const message = 'x'.repeat(60_000)
      while (!signal.aborted) {
        this.given++
        yield { id: String(this.given), value: run({ progress: { done: this.given, unit: 'bytes', message } }) }
      }
    }
  }

  test('nothing more is asked of the source than they take, and they are cut off in the end', async () => {
    await using api = await startApi({ services: new Flood(), limits: { idleMs: 300 } })
    api.services.putRun(run())
    const socket = await openRaw(api, '/api/v1/runs/r1/events')
    await until(() => api.server.streams === 0)
    // What the buffers of both ends take, and no more: the source alone would have gone on.
    assert(api.services.given < 2_000, `${api.services.given} events were asked for`)
    socket.destroy()
  })

  test('a connection that is gone without a word ends the stream at the next heartbeat', async () => {
    await using api = await startApi({ limits: { heartbeatMs: 10 } })
    api.services.putRun(run())
    const socket = await openRaw(api, '/api/v1/runs/r1/events')
    await until(() => api.server.streams === 1)
    socket.resetAndDestroy()
    await assertNothingLeft(api)
  })
})
