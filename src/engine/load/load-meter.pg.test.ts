import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import '../../../test/support/leaks.ts'
import { postgresMajors, startTestServer, type TestServer } from '../../../test/support/postgres.ts'
import { Standby } from '../../../test/support/standby.ts'
import { sleep } from '../../base/abort.ts'
import type { ServerLoad } from './judge-load.ts'
import { LoadMeter } from './load-meter.ts'

function meterOf(server: TestServer, user?: string): LoadMeter {
  const settings = {
    target: () => server.targetOf(user === undefined ? {} : { user }),
    config: {},
    clusterName: 'main',
  }
  return new LoadMeter(settings, { signal: new AbortController().signal })
}

async function measure(server: TestServer, user?: string): Promise<ServerLoad> {
  await using meter = meterOf(server, user)
  return await meter.measure()
}

/** Until the server shows that it has come to that. */
async function until(server: TestServer, condition: string): Promise<void> {
  for (;;) {
    const [row] = await server.query<{ ok: boolean }>(`select (${condition}) as ok`)
    if (row?.ok) return
  }
}

/** A standby may have replayed everything before it shows who brings it more. */
async function receiverOf(standby: Standby): Promise<{ readonly pid: number }> {
  for (;;) {
    const [receiver] = await standby.query<{ pid: number }>('select pid from pg_stat_wal_receiver')
    if (receiver) return receiver
  }
}

for (const major of postgresMajors()) {
  describe(`PostgreSQL ${major}`, () => {
    let server: TestServer

    before(async () => {
      server = await startTestServer({
        major,
        settings: { max_connections: '12', superuser_reserved_connections: '1' },
      })
      await server.query('create role plain login; create table busy (id int)')
    })

    after(async () => {
      await server?.[Symbol.asyncDispose]()
    })

    test('sessions that work are counted, idle ones and our own are not', async () => {
      assert.deepEqual((await measure(server)).sessions, { active: 0, most: 12 })
      const idle = await server.connect()
      const busy = await server.connect()
      const sleeping = busy.query("set application_name = 'shop'; select pg_sleep(600)").catch(() => {})
      await until(
        server,
        "exists (select from pg_stat_activity where query like '%pg_sleep(600)' and pid <> pg_backend_pid())",
      )
      assert.deepEqual((await measure(server)).sessions, { active: 1, most: 12 })
      await server.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'shop'")
      await sleeping
      await idle.end()
    })

    test('the load of the machine counts where the files of the server are here', async () => {
      const { machine } = await measure(server)
      assert.ok(machine && machine.processors >= 1 && machine.loadAverage >= 0, 'this test runs beside its server')
      assert.equal((await measure(server, 'plain')).machine, undefined, 'this role cannot prove it')
    })

    test('a role that may not see sessions measures what it may', async () => {
      const load = await measure(server, 'plain')
      assert.equal(load.isFull, false)
      assert.equal(load.sessions, undefined)
    })

    test('a wait for a lock is seen by its age, one for an advisory lock is not', async () => {
      assert.equal((await measure(server)).lockWaitSeconds, undefined)
      const holder = await server.connect()
      const waiter = await server.connect()
      await holder.query('begin; lock table busy; select pg_advisory_lock(1)')
      const turn = await server.connect()
      const inTurn = turn.query('select pg_advisory_lock(1)')
      await until(server, "exists (select from pg_locks where not granted and locktype = 'advisory')")
      assert.equal((await measure(server)).lockWaitSeconds, undefined)
      const waiting = waiter.query('select from busy')
      // The server notes when a wait began shortly after it shows the wait.
      await until(server, "exists (select from pg_locks where waitstart is not null and locktype = 'relation')")
      const { lockWaitSeconds } = await measure(server)
      assert.ok(lockWaitSeconds !== undefined && lockWaitSeconds >= 0)
      await holder.end()
      await Promise.all([waiting, inTurn])
      await Promise.all([waiter.end(), turn.end()])
    })

    test('a standby that was held up is seen by how late it says that it has WAL', async () => {
      assert.equal((await measure(server)).standbyLagSeconds, undefined)
      await using standby = await Standby.start(server)
      await standby.catchUp()
      const receiver = await receiverOf(standby)
      await using meter = meterOf(server)
      // The server forgets it as soon as the standby has said twice that it has everything.
      for (let lag = 0; lag < 0.5; ) {
        process.kill(receiver.pid, 'SIGSTOP')
        try {
          await server.query('insert into busy values (1)')
          await sleep(1_000)
        } finally {
          process.kill(receiver.pid, 'SIGCONT')
        }
        for (let turn = 0; turn < 50 && lag < 0.5; turn++) lag = (await meter.measure()).standbyLagSeconds ?? 0
      }
    })

    test('that no connection is free is an answer', async () => {
      const taken: Awaited<ReturnType<TestServer['connect']>>[] = []
      try {
        for (;;) taken.push(await server.connect({ user: 'plain' }))
      } catch {
        assert.ok(taken.length > 3)
      }
      assert.deepEqual(await measure(server, 'plain'), { isFull: true })
      await Promise.all(taken.map((client) => client.end()))
    })
  })
}
