/** Whoever watches the server may hold the reading of a backup back: one piece at a time, whichever way they are read. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import '../../../test/support/leaks.ts'
import { type Protection, protect } from '../../../test/support/lab.ts'
import { startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { sleep } from '../../base/abort.ts'
import { listBackups } from '../../repository/manifest-store.ts'
import { backUp } from './backup.ts'
import { readBackup } from './testing/read-backup.ts'

describe('a gate', () => {
  let server: TestServer
  let lab: Protection
  let path: string

  before(async () => {
    server = await startTestServer()
    lab = await protect(server)
    await server.query('create table held as select g, md5(g::text) from generate_series(1, 100000) g')
    await server.query('vacuum freeze held')
    await server.query('checkpoint')
    path = (await server.query<{ path: string }>("select pg_relation_filepath('held') as path"))[0]?.path ?? ''
  })

  after(async () => {
    await lab?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  for (const via of ['files', 'replication'] as const) {
    test(`${via}: is asked before each piece, and nothing is read while it is closed`, async () => {
      let asked = 0
      let waiting = 0
      const gate = () => {
        assert.equal(waiting, 0, 'the piece before is still waiting')
        asked += 1
        // Most pieces are let through, as most of the time.
        if (asked % 50 !== 1) return undefined
        waiting += 1
        return (async () => {
          for (let turn = 0; turn < 20; turn += 1) await nextTurn()
          waiting -= 1
        })()
      }
      const { cluster } = lab
      const made = await backUp({ cluster, target: server.target, workers: 1, type: 'full', via, gate })
      assert.equal(made.via, via)
      assert.ok(asked > 50, `asked ${asked} times`)
      const content = await readBackup(cluster, made.backupId)
      assert.ok((await content.readFile(path)).equals(readFileSync(join(server.dataDir, path))))
    })

    test(`${via}: an abort does not wait for it, and leaves no backup`, async () => {
      const { cluster } = lab
      const before = (await listBackups(cluster)).length
      const stop = new AbortController()
      const gate = (signal: AbortSignal) => {
        setImmediate(() => stop.abort())
        return sleep(3_600_000, signal)
      }
      await assert.rejects(
        backUp({ cluster, target: server.target, workers: 1, type: 'full', via, gate, signal: stop.signal }),
        { code: 'aborted' },
      )
      assert.equal((await listBackups(cluster)).length, before)
    })
  }
})
