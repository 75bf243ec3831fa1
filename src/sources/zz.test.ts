import { test } from 'node:test'
import '../../test/support/leaks.ts'
import { startTestServer } from '../../test/support/postgres.ts'
import { protect, waitArchived } from '../../test/support/lab.ts'
import { keepLog, startReceiver } from './physical/testing/receive.ts'
test('sync', async () => {
  await using server = await startTestServer({ settings: { synchronous_standby_names: 'retake', synchronous_commit: 'local' } })
  await using lab = await protect(server)
  const log = keepLog()
  await using receiver = startReceiver({ cluster: lab.cluster, target: server.target, slot: lab.slot, synchronous: true, logger: log })
  console.log('a')
  await server.query('create table t (n int)')
  console.log('b')
  await waitArchived(server)
  console.log('c')
  const c = await server.connect()
  await c.query('set synchronous_commit = on')
  const p = c.query('insert into t values (1)')
  await Promise.race([p, new Promise(r => setTimeout(r, 4000))])
  console.log(log.lines, await server.query('select * from pg_stat_replication'), await server.query('select pg_current_wal_flush_lsn()'))
  await server.query("alter system set synchronous_standby_names=''"); await server.query("select pg_reload_conf()")
  await p
})
