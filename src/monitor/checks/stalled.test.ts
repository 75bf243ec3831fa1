/** What does not answer is unknown after its time limit, and holds up nothing else. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../../base/clock.ts'
import { assembleRetake, type Retake, retakeSettings } from '../../engine/open.ts'
import { generateKey } from '../../repository/keys/key-material.ts'
import { createRepository, openRepository } from '../../repository/repository.ts'
import { BackupSeries } from '../../repository/testing/backup-series.ts'
import { createMemoryStore } from '../../storage/memory-store.ts'
import type { ObjectStore } from '../../storage/object-store.ts'
import { readHealth } from '../read-health.ts'
import { resultOf } from './result.ts'

describe('what hangs', () => {
  const sockets = new Set<Socket>()
  let silent: Server
  let databaseUrl: string

  before(async () => {
    // Takes connections and never says a word.
    silent = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
    })
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const address = silent.address()
    assert.ok(address !== null && typeof address === 'object')
    databaseUrl = `postgres://nobody@127.0.0.1:${address.port}/postgres`
  })

  after(() => {
    for (const socket of sockets) socket.destroy()
    silent.close()
  })

  const LIMIT_MS = 300

  /** A repository with a backup; `hang` makes its storage stop answering. */
  async function stage(): Promise<{ readonly retake: Retake; readonly hang: () => void }> {
    const memory = createMemoryStore()
    const key = generateKey()
    const series = await BackupSeries.begin(await createRepository(memory, key))
    series.change(['base/1/1'])
    await series.writeWal(1, new Date())
    await series.backUp(new Date())
    let isHanging = false
    const never = new Promise<never>(() => {})
    const store: ObjectStore = Object.assign(Object.create(memory) as ObjectStore, {
      get: (...args: Parameters<ObjectStore['get']>) => (isHanging ? never : memory.get(...args)),
      head: (...args: Parameters<ObjectStore['head']>) => (isHanging ? never : memory.head(...args)),
      list: (...args: Parameters<ObjectStore['list']>) => {
        if (!isHanging) return memory.list(...args)
        return { [Symbol.asyncIterator]: () => ({ next: () => never }) }
      },
    })
    const repository = await openRepository(store, key)
    const retake = assembleRetake(retakeSettings({ databaseUrl, clock: systemClock }), repository)
    const hang = () => {
      isHanging = true
    }
    return { retake, hang }
  }

  test('a server that never answers', async () => {
    const { retake } = await stage()
    const report = await readHealth(retake, { limitMs: LIMIT_MS })
    assert.equal(report.verdict, 'endangered', 'there is a time limit for connecting, and that is an answer')
    assert.notEqual(resultOf(report.checks, 'connectivity')?.state, 'passed')
    for (const name of ['exposure', 'slot', 'critical-tables', 'clock', 'configuration'] as const) {
      assert.equal(resultOf(report.checks, name)?.state, 'unknown', name)
    }
    assert.equal(resultOf(report.checks, 'repository')?.state, 'passed')
    assert.notEqual(resultOf(report.checks, 'backup')?.state, 'unknown')
    assert.notEqual(report.score.value, undefined)
  })

  test('a storage that never answers: no number, and nothing is green that was not seen', async () => {
    const { retake, hang } = await stage()
    await retake.cluster()
    hang()
    const report = await readHealth(retake, { limitMs: LIMIT_MS })
    const passed = report.checks.filter(({ state }) => state === 'passed').map(({ name }) => name)
    assert.deepEqual(passed, [])
    const stalled = resultOf(report.checks, 'repository')
    assert.deepEqual([stalled?.state, stalled?.code], ['unknown', 'timeout'])
    assert.match(stalled?.finding ?? '', /no answer within 0\.3 seconds/)
    assert.deepEqual([report.score.value, report.score.band], [undefined, 'unknown'])
    assert.match(report.score.unknownBecause ?? '', /no answer/)
    assert.deepEqual(
      report.score.parts.flatMap(({ items }) => items.filter(({ points }) => points > 0)),
      [],
    )
  })

  test('an abort ends the round at once', async () => {
    const { retake } = await stage()
    const stop = new AbortController()
    const running = readHealth(retake, { signal: stop.signal })
    stop.abort()
    await assert.rejects(running, { code: 'aborted' })
  })
})
