import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { open, readdir } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import {
  anyMajor,
  localTarget,
  postgresMajors,
  startTestServer,
  type TestServer,
} from '../../../test/support/postgres.ts'
import { isRetakeError } from '../../base/errors.ts'
import { formatLsn, type Lsn, parseLsn, segmentName, segmentOf } from '../lsn.ts'
import { openReplication, type ReplicationConnection } from './connection.ts'
import type { WalStreamEvent } from './wal-messages.ts'
import { startPhysicalStream, type WalStream } from './wal-stream.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024

interface Streaming extends AsyncDisposable {
  readonly connection: ReplicationConnection
  readonly stream: WalStream
  readonly startLsn: Lsn
}

/** Streams from where the slot stands; the slot is made when it is missing. */
async function startFromSlot(server: TestServer, slot: string, at = server.target): Promise<Streaming> {
  const connection = await openReplication(at)
  await connection.createPhysicalSlot(slot)
  const position = await connection.readSlot(slot)
  assert.ok(position)
  const startLsn = position.restartLsn
  const stream = await startPhysicalStream(connection, { slot, timeline: position.restartTimeline, startLsn })
  return { connection, stream, startLsn, [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose]() }
}

const activeTimers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

const endOf = (event: WalStreamEvent) => (event.type === 'data' ? event.startLsn + BigInt(event.bytes.length) : 0n)

for (const major of postgresMajors()) {
  describe(`WAL stream, PostgreSQL ${major}`, () => {
    let server: TestServer
    before(async () => {
      server = await startTestServer({ major, settings: { wal_sender_timeout: '1s', wal_keep_size: '256MB' } })
    })
    after(() => server[Symbol.asyncDispose]())

    test('brings the bytes of pg_wal, and stops in an orderly way', async () => {
      await using streaming = await startFromSlot(server, 'bytes')
      const { stream, startLsn, connection } = streaming
      await server.query('create table filler as select i, md5(i::text) from generate_series(1, 200000) i')
      const target = parseLsn(await server.currentLsn())
      const pieces: Buffer[] = []
      let position: bigint = startLsn
      const end = await stream.run((event) => {
        if (event.type !== 'data') return
        assert.equal(event.startLsn, position)
        position += BigInt(event.bytes.length)
        pieces.push(Buffer.from(event.bytes))
        assert.ok(event.serverTime > 0n && event.serverEndLsn >= event.startLsn)
        if (position >= target) void stream.stop()
      })
      assert.deepEqual(end, { reason: 'stopped' })
      assert.deepEqual(Buffer.concat(pieces), await readWal(server, startLsn, Number(position - startLsn)))
      assert.equal((await connection.identifySystem()).timeline, 1, 'the connection is usable afterwards')
    })

    test('survives a handler that is slower than wal_sender_timeout, and loses nothing', async () => {
      await using streaming = await startFromSlot(server, 'slow')
      const { stream } = streaming
      await server.query('create table more as select i, md5(i::text) from generate_series(1, 100000) i')
      const target = parseLsn(await server.currentLsn())
      let slept = false
      const end = await stream.run(async (event) => {
        if (event.type !== 'data') return
        if (!slept) await wait(2600)
        slept = true
        if (endOf(event) >= target) void stream.stop()
      })
      assert.deepEqual([end, slept], [{ reason: 'stopped' }, true])
    })

    test('an idle stream lives on, and hears where the server stands', async () => {
      await using streaming = await startFromSlot(server, 'idle')
      const { stream } = streaming
      let keepalives = 0
      const ended = stream.run((event) => {
        if (event.type === 'keepalive') keepalives++
      })
      await wait(1600)
      await stream.stop()
      assert.deepEqual(await ended, { reason: 'stopped' })
      assert.ok(keepalives >= 2, `${keepalives} keepalives`)
    })

    test('reported positions move the slot, and only they do', async () => {
      await using streaming = await startFromSlot(server, 'moved')
      const { stream, startLsn } = streaming
      await server.query('create table moving as select generate_series(1, 10000) i')
      const target = parseLsn(await server.currentLsn())
      const reached = Promise.withResolvers<Lsn>()
      const ended = stream.run((event) => {
        if (endOf(event) >= target) reached.resolve(endOf(event) as Lsn)
      })
      const slotAt = async () => {
        const [row] = await server.query<{ lsn: string }>(
          "select restart_lsn::text as lsn from pg_replication_slots where slot_name = 'moved'",
        )
        return row?.lsn
      }
      const end = await reached.promise
      assert.equal(await slotAt(), formatLsn(startLsn), 'receiving is not flushing')
      stream.report({ writeLsn: end, flushLsn: end }, { now: true })
      while ((await slotAt()) !== formatLsn(end)) await wait(10)
      const [row] = await server.query(
        "select flush_lsn::text as flush, replay_lsn::text as replay from pg_stat_replication where application_name = 'retake'",
      )
      assert.deepEqual(row, { flush: formatLsn(end), replay: null })
      await stream.stop()
      assert.deepEqual(await ended, { reason: 'stopped' })
    })

    test('a synchronous commit returns as soon as its flush is reported', async () => {
      await using streaming = await startFromSlot(server, 'sync')
      const { stream } = streaming
      const ended = stream.run((event) => {
        const end = endOf(event) as Lsn
        if (end > 0n) stream.report({ writeLsn: end, flushLsn: end }, { now: true })
      })
      await server.query("alter system set synchronous_standby_names = 'retake'")
      await server.query('select pg_reload_conf()')
      for (let round = 0; round < 20; round++) await server.query('select txid_current()')
      await server.query('create table committed (i int)')
      await server.query('alter system reset synchronous_standby_names')
      await server.query('select pg_reload_conf()')
      await stream.stop()
      await ended
    })

    test('a handler that fails ends the stream with its own error', async () => {
      await using streaming = await startFromSlot(server, 'failing')
      const failure = new Error('disk full')
      await assert.rejects(
        streaming.stream.run(() => Promise.reject(failure)),
        (error) => error === failure,
      )
      await assert.rejects(streaming.connection.show('port'), (error) =>
        isRetakeError(error, 'postgres.connection-lost'),
      )
    })

    test('an abort breaks the stream', async () => {
      await using connection = await openReplication(server.target)
      const { flushLsn } = await connection.identifySystem()
      const controller = new AbortController()
      const stream = await startPhysicalStream(connection, {
        timeline: 1,
        startLsn: flushLsn,
        signal: controller.signal,
      })
      const ended = stream.run(() => {})
      controller.abort()
      await assert.rejects(ended, (error) => isRetakeError(error, 'aborted'))
    })

    test('stopped before it runs, or disposed of in whatever state, it leaves nothing behind', async () => {
      await using connection = await openReplication(server.target)
      const { flushLsn } = await connection.identifySystem()
      const early = await startPhysicalStream(connection, { timeline: 1, startLsn: flushLsn })
      await early.stop()
      assert.deepEqual(await early.run(() => assert.fail('no event')), { reason: 'stopped' })
      const unused = await startPhysicalStream(connection, { timeline: 1, startLsn: flushLsn })
      await unused[Symbol.asyncDispose]()
      const before = activeTimers()
      await startPhysicalStream(connection, { timeline: 1, startLsn: flushLsn })
      await connection[Symbol.asyncDispose]()
      assert.ok(activeTimers() <= before, 'the timer ends with the connection')
    })

    test('a shutdown of the server is told, after all of its WAL has come', async () => {
      await using streaming = await startFromSlot(server, 'shutdown')
      const { stream } = streaming
      let last = 0n
      const ended = stream.run((event) => {
        if (event.type !== 'data') return
        last = endOf(event)
        stream.report({ writeLsn: last as Lsn, flushLsn: last as Lsn }, { now: true })
      })
      const rejected = assert.rejects(
        ended,
        (error) => isRetakeError(error, 'postgres.connection-lost') && error.retry === 'later',
      )
      await server.stop()
      await rejected
      await server.restart()
      const [row] = await server.query<{ lsn: string }>(
        'select checkpoint_lsn::text as lsn from pg_control_checkpoint()',
      )
      assert.ok(row && last > parseLsn(row.lsn), 'the checkpoint of the shutdown, its very last record, has come too')
    })

    test('a slot in use, a missing slot, removed WAL and a position ahead are told apart', async () => {
      await using streaming = await startFromSlot(server, 'busy')
      const { startLsn } = streaming
      await using connection = await openReplication(server.target)
      const start = (slot: string | undefined, lsn: bigint) =>
        startPhysicalStream(connection, { slot, timeline: 1, startLsn: lsn as Lsn }).then((stream) =>
          stream.run(() => {}),
        )
      await assert.rejects(
        start('busy', startLsn),
        (error) => isRetakeError(error, 'postgres.slot') && error.details.active === true,
      )
      await assert.rejects(
        start('absent', startLsn),
        (error) => isRetakeError(error, 'postgres.slot') && error.details.missing === true,
      )
      await assert.rejects(start(undefined, startLsn + (1n << 32n)), (error) => isRetakeError(error, 'wal.diverged'))
      await assert.rejects(startPhysicalStream(connection, { timeline: 9, startLsn }), (error) =>
        isRetakeError(error, 'wal.diverged'),
      )
      const [oldest] = (await readdir(join(server.dataDir, 'pg_wal')))
        .filter((name) => /^[0-9A-F]{24}$/.test(name))
        .sort()
      const missing = segmentName({ timeline: 1, segment: segmentOf(0x1000000n, SEGMENT_BYTES) }, SEGMENT_BYTES)
      if (oldest === missing) rmSync(join(server.dataDir, 'pg_wal', missing))
      await assert.rejects(
        start(undefined, 0x1000000n),
        (error) => isRetakeError(error, 'wal.gap') && error.details.segment === missing,
      )
      assert.equal(await connection.show('wal_sender_timeout'), '1s', 'usable after all of them')
    })
  })

  test(`a slot that the server gave up is told as lost, PostgreSQL ${major}`, async () => {
    const settings = { max_slot_wal_keep_size: '1MB', max_wal_size: '2MB', min_wal_size: '2MB' }
    await using server = await startTestServer({ major, settings, walSegmentSizeMb: 1 })
    await using connection = await openReplication(server.target)
    await connection.createPhysicalSlot('lost')
    const position = await connection.readSlot('lost')
    assert.ok(position)
    for (let round = 0; round < 8; round++)
      await server.query('select txid_current(); select pg_switch_wal(); checkpoint')
    await assert.rejects(
      connection.readSlot('lost'),
      (error) => isRetakeError(error, 'postgres.slot') && error.details.lost === true,
    )
    await assert.rejects(
      startPhysicalStream(connection, { slot: 'lost', timeline: 1, startLsn: position.restartLsn }).then((stream) =>
        stream.run(() => {}),
      ),
      // 18 looks at the slot first; before, the missing segment is what is noticed.
      (error) =>
        (isRetakeError(error, 'postgres.slot') && error.details.lost === true) || isRetakeError(error, 'wal.gap'),
    )
  })
}

/** Bytes of the log as they lie in the server's pg_wal, timeline 1. */
async function readWal(server: TestServer, from: Lsn, lengthBytes: number): Promise<Buffer> {
  const result = Buffer.alloc(lengthBytes)
  for (let done = 0; done < lengthBytes; ) {
    const at = from + BigInt(done)
    const offset = Number(at % BigInt(SEGMENT_BYTES))
    const length = Math.min(lengthBytes - done, SEGMENT_BYTES - offset)
    const name = segmentName({ timeline: 1, segment: segmentOf(at, SEGMENT_BYTES) }, SEGMENT_BYTES)
    await using file = await open(join(server.dataDir, 'pg_wal', name))
    await file.read(result, done, length, offset)
    done += length
  }
  return result
}

describe('a promoted server', () => {
  test('ends the old timeline with where the new one begins, and gives its history', async () => {
    await using primary = await startTestServer({ settings: { wal_keep_size: '256MB' } })
    await using connection = await openReplication(primary.target)
    const { flushLsn } = await connection.identifySystem()
    await primary.query('create table kept (i int)')
    await primary.stop()
    await promoteOver(primary)
    await using promoted = await openReplication(primary.target)
    const identity = await promoted.identifySystem()
    assert.equal(identity.timeline, 2)
    const history = await promoted.timelineHistory(2)
    assert.equal(history?.name, '00000002.history')
    const [, switchText] = /^1\t([0-9A-F/]+)\t/m.exec(history.content.toString('utf8')) ?? []
    assert.ok(switchText)
    const switchLsn = parseLsn(switchText)

    const startLsn = (flushLsn - (flushLsn % BigInt(SEGMENT_BYTES))) as Lsn
    const stream = await startPhysicalStream(promoted, { timeline: 1, startLsn })
    let position: bigint = startLsn
    const end = await stream.run((event) => {
      if (event.type === 'data') position += BigInt(event.bytes.length)
    })
    assert.deepEqual(end, { reason: 'timeline-end', nextTimeline: 2, switchLsn })
    assert.equal(position, switchLsn, 'all of the old timeline, and nothing beyond')

    const nothing = await startPhysicalStream(promoted, { timeline: 1, startLsn: switchLsn })
    assert.deepEqual(await nothing.run(() => assert.fail('no event')), {
      reason: 'timeline-end',
      nextTimeline: 2,
      switchLsn,
    })
    await using next = await startPhysicalStream(promoted, { timeline: 2, startLsn: switchLsn })
    const first = Promise.withResolvers<WalStreamEvent>()
    const ended = next.run((event) => first.resolve(event))
    const event = await first.promise
    assert.ok(event.type === 'data' && event.startLsn === switchLsn)
    await next.stop()
    assert.deepEqual(await ended, { reason: 'stopped' })
  })
})

/** Lets a stopped server go through standby and promotion, so that it comes up on timeline 2. */
async function promoteOver(server: TestServer): Promise<void> {
  const signalFile = await open(join(server.dataDir, 'standby.signal'), 'w')
  await signalFile.close()
  await server.restart()
  await server.query('select pg_promote()')
}

describe('a connection that goes dead without a word', () => {
  let server: TestServer
  let proxy: HalfOpenProxy
  before(async () => {
    server = await startTestServer({ major: anyMajor(), settings: { wal_sender_timeout: '500ms' } })
    proxy = await HalfOpenProxy.start(server.server.port)
  })
  after(async () => {
    await proxy[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })

  test('is noticed by its silence', async () => {
    await using streaming = await startFromSlot(server, 'dead', localTarget({ port: proxy.port }))
    const { stream } = streaming
    const heard = Promise.withResolvers<void>()
    const ended = stream.run(() => heard.resolve())
    await heard.promise
    proxy.goSilent()
    await assert.rejects(
      ended,
      (error) => isRetakeError(error, 'postgres.connection-lost') && error.details.silenceLimitMs === 1000,
    )
  })
})

/** A TCP proxy that can stop forwarding while both connections stay open, as a dead router does. */
class HalfOpenProxy implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(port: number): Promise<HalfOpenProxy> {
    const server = createServer({ allowHalfOpen: true })
    const proxy = new HalfOpenProxy(server)
    server.on('connection', (client) => proxy.#join(client, connect(port, '127.0.0.1')))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  goSilent(): void {
    for (const socket of this.#sockets) {
      socket.unpipe()
      socket.pause()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #join(client: Socket, server: Socket): void {
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
    }
    client.pipe(server)
    server.pipe(client)
  }
}
