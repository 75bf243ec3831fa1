/** Transactions out of the log against what the server counted, and what the test itself did. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type pg from 'pg'
import { postgresMajors, startTestServer, type TestServer } from '../../../../test/support/postgres.ts'
import { installTpcb, startTpcb } from '../../../../test/support/tpcb.ts'
import { workloadSettings } from '../../../../test/support/wal-workload.ts'
import { sleep } from '../../../base/abort.ts'
import { installCineTrack } from '../../../demo/cinetrack/install.ts'
import { startTraffic } from '../../../demo/cinetrack/traffic.ts'
import { WalReader } from '../reader.ts'
import { readServerLog } from '../testing/server-log.ts'
import { TransactionAssembler } from './assembler.ts'
import type { WalTransaction } from './transaction.ts'

const segmentSizeBytes = 16 * 1024 * 1024

interface Assembled {
  readonly ended: readonly WalTransaction[]
  readonly open: readonly WalTransaction[]
  of(xid: number): WalTransaction
}

function assemble(server: TestServer, options: { readonly maxEntries?: number } = {}): Assembled {
  const log = readServerLog(server.dataDir, segmentSizeBytes)
  const ended: WalTransaction[] = []
  const assembler = new TransactionAssembler({ ...options, onTransaction: (transaction) => ended.push(transaction) })
  new WalReader({ startLsn: log.startLsn, segmentSizeBytes }).visit(log.bytes, (view) => assembler.add(view))
  return {
    ended,
    open: assembler.openTransactions(),
    of(xid) {
      const found = ended.filter((transaction) => transaction.xid === xid)
      assert.equal(found.length, 1, `transaction ${xid}`)
      return found[0] as WalTransaction
    },
  }
}

interface Counted {
  readonly oid: string
  readonly file: string
  readonly inserted: string
  readonly updated: string
  readonly deleted: string
}

/** Runs statements in a transaction, and asks the server at its end what it has counted: in a session that has counted nothing yet. */
async function counted(server: TestServer, statements: readonly string[]) {
  const client = await server.connect()
  await client.query('begin')
  for (const statement of statements) await client.query(statement)
  const { rows } = await client.query<Counted>(
    `select relid::text as oid, pg_relation_filenode(relid)::text as file, n_tup_ins::text as inserted, n_tup_upd::text as updated,
       n_tup_del::text as deleted
     from pg_stat_xact_all_tables where n_tup_ins + n_tup_upd + n_tup_del > 0`,
  )
  const xid = await xidOf(client)
  await client.query('commit')
  await client.end()
  return {
    xid,
    files: rows.map(({ file, inserted, updated, deleted }) => `${file} ${inserted} ${updated} ${deleted}`).sort(),
  }
}

async function xidOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
  return Number(rows[0]?.xid)
}

const filesOf = ({ files }: WalTransaction) =>
  files
    .filter(({ inserted, updated, deleted }) => inserted + updated + deleted > 0)
    .map(({ file, inserted, updated, deleted }) => `${file.relfilenode} ${inserted} ${updated} ${deleted}`)
    .sort()

for (const major of postgresMajors()) {
  for (const walLevel of ['replica', 'logical']) {
    describe(`transactions of PostgreSQL ${major} with wal_level ${walLevel}`, () => {
      let server: TestServer
      let client: pg.Client

      before(async () => {
        server = await startTestServer({ major, settings: { ...workloadSettings, wal_level: walLevel } })
        client = await server.connect()
        await client.query(`create table kept (id int primary key, body text);
          create table long (id int primary key, body text); alter table long alter body set storage external;
          create table parted (id int, at int) partition by range (at);
          create table parted_1 partition of parted for values from (0) to (10);
          create table parted_2 partition of parted for values from (10) to (20)`)
        // What runs is said in the log: from here on it is known what began before.
        await client.query('checkpoint')
      })
      after(async () => {
        await client.end()
        await server[Symbol.asyncDispose]()
      })

      test('have the rows that the server has counted, in every table, TOAST and catalogs among them', async () => {
        const expected = []
        for (const statements of [
          [`insert into kept select n, 'body' from generate_series(1, 3000) n`],
          [`update kept set body = 'changed' where id % 3 = 0`, 'delete from kept where id % 7 = 0'],
          [`copy kept from program 'seq -f "%g" 10001 14000 | sed "s/$/\tcopied/"'`],
          [`insert into long select n, repeat(md5(n::text), 300) from generate_series(1, 40) n`],
          [`update long set body = repeat('u', 9000) where id < 20`, 'delete from long where id between 15 and 25'],
          [
            'insert into parted select n, n % 20 from generate_series(1, 200) n',
            'update parted set at = at + 10 where at < 5',
          ],
          [
            `create table made as select n as id, repeat('m', 100) as body from generate_series(1, 2500) n`,
            'alter table made add primary key (id)',
          ],
          [
            'create index on made (body)',
            'alter table made add column more int default 5',
            `comment on table made is 'a table'`,
          ],
          [`insert into kept values (1, 'again') on conflict (id) do update set body = excluded.body`],
        ]) {
          expected.push(await counted(server, statements))
        }
        const assembled = assemble(server)
        for (const { xid, files } of expected) {
          const transaction = assembled.of(xid)
          assert.equal(transaction.outcome, 'committed')
          assert.ok(transaction.isFromBegin && transaction.isExact)
          assert.deepEqual(filesOf(transaction), files)
          assert.ok(files.length > 0)
        }
        const moved = assembled.of(expected[5]?.xid ?? 0).files.reduce((sum, { movedAway }) => sum + movedAway, 0)
        assert.equal(moved, 50)
        const toast = assembled.of(expected[3]?.xid ?? 0).files.filter(({ isToast }) => isToast)
        assert.equal(toast.length, walLevel === 'logical' ? 1 : 0)
      })

      test('have their subtransactions, without what was rolled back', async () => {
        await client.query(`begin; insert into kept values (-1, 'top'); savepoint a; insert into kept values (-2, 'a'); savepoint b;
          insert into kept values (-3, 'b'), (-4, 'b'); rollback to a; insert into kept values (-5, 'again'); savepoint c`)
        await client.query(`insert into kept values (-6, 'c')`)
        const xid = await xidOf(client)
        await client.query('commit')
        // Only the subtransactions write; more of them than fit in shared memory.
        await client.query(`begin; do $$ begin for n in 1 .. 200 loop begin
          insert into kept values (-1000 - n, 'loop'); if n % 10 = 0 then raise exception 'undone'; end if;
          exception when raise_exception then null; end; end loop; end $$`)
        const loop = await xidOf(client)
        await client.query('commit')
        const assembled = assemble(server)
        const transaction = assembled.of(xid)
        assert.equal(transaction.outcome, 'committed')
        assert.equal(rowsInserted(transaction), 3)
        assert.equal(transaction.subxids.length, 2)
        assert.ok(transaction.isExact)
        const many = assembled.of(loop)
        assert.equal(rowsInserted(many), 180)
        assert.equal(many.subxids.length, 180)
        // Whose part it was that was rolled back, the log says at the latest when a session's place in shared memory is full.
        if (walLevel === 'logical') {
          assert.equal(transaction.rolledBackRows, 3)
          assert.equal(many.rolledBackRows, 20)
        }
        const parts = assembled.ended.filter(
          (one) => one.outcome === 'aborted' && one.xid > xid && one.xid < loop + 201,
        )
        assert.equal(
          transaction.rolledBackRows + many.rolledBackRows + parts.reduce((sum, one) => sum + rowsInserted(one), 0),
          23,
        )
      })

      test('are aborted, prepared, and ended by another session', async () => {
        const xids: number[] = []
        for (const end of [
          'rollback',
          `prepare transaction 'p1'`,
          `prepare transaction 'p2'`,
          `prepare transaction 'p3'`,
        ]) {
          const id = -3000 - xids.length
          await client.query(
            `begin; insert into kept values (${id}, 'end'); savepoint s; insert into kept values (${id} - 100, 'end')`,
          )
          xids.push(await xidOf(client))
          await client.query(end)
        }
        await server.query(`commit prepared 'p1'`)
        await server.query(`rollback prepared 'p2'`)
        const assembled = assemble(server)
        const [rolledBack = 0, committed = 0, aborted = 0, prepared = 0] = xids
        assert.equal(assembled.of(rolledBack).outcome, 'aborted')
        assert.ok(assembled.of(rolledBack).files.length > 0)
        assert.equal(assembled.of(committed).outcome, 'committed')
        assert.equal(assembled.of(committed).prepared?.gid, 'p1')
        assert.equal(rowsInserted(assembled.of(committed)), 2)
        assert.ok((assembled.of(committed).end?.lsn ?? 0n) > (assembled.of(committed).prepared?.lsn ?? 0n))
        assert.equal(assembled.of(aborted).outcome, 'aborted')
        assert.equal(rowsInserted(assembled.of(aborted)), 2)
        const open = assembled.open.find(({ xid }) => xid === prepared)
        assert.equal(open?.outcome, 'prepared')
        assert.equal(open && rowsInserted(open), 2)
        await server.query(`rollback prepared 'p3'`)
      })

      test('have what they made, truncated and dropped', async () => {
        await client.query('begin; create table short (id int); insert into short values (1)')
        const { rows: made } = await client.query<{ file: string }>(
          `select pg_relation_filenode('short')::text as file`,
        )
        const create = await xidOf(client)
        await client.query('commit')
        await client.query('begin; truncate short')
        const truncate = await xidOf(client)
        await client.query('commit')
        const { rows: empty } = await client.query<{ file: string; oid: string }>(
          `select pg_relation_filenode('short')::text as file, 'short'::regclass::oid::text as oid`,
        )
        await client.query('begin; drop table short')
        const drop = await xidOf(client)
        await client.query('commit')
        const assembled = assemble(server)
        const first = Number(made[0]?.file)
        const second = Number(empty[0]?.file)
        const createdBy = (xid: number) =>
          assembled
            .of(xid)
            .wholeFiles.flatMap((event) => (event.type === 'file-create' ? [event.file.relfilenode] : []))
        const droppedBy = (xid: number) => assembled.of(xid).droppedFiles.map(({ relfilenode }) => relfilenode)
        assert.deepEqual(createdBy(create), [first])
        assert.deepEqual(createdBy(truncate), [second])
        assert.deepEqual(droppedBy(truncate), [first])
        assert.deepEqual(droppedBy(drop), [second])
        const oids = assembled.of(truncate).changedRelations.map(({ oid }) => oid)
        assert.ok(oids.includes(Number(empty[0]?.oid)))
        const truncated = assembled
          .of(truncate)
          .wholeFiles.flatMap((event) => (event.type === 'truncate' ? event.relationOids : []))
        assert.deepEqual(truncated, walLevel === 'logical' ? [Number(empty[0]?.oid)] : [])
      })

      test('have times, places and sizes', async () => {
        const assembled = assemble(server)
        const committed = assembled.ended.filter(({ outcome }) => outcome === 'committed')
        assert.ok(committed.length > 20)
        const known = await server.query<{ xid: string; at: string }>(
          `select xid::text, (extract(epoch from pg_xact_commit_timestamp(xid)) * 1000000)::bigint::text as at
           from unnest($1::text[]::xid[]) xid where pg_xact_commit_timestamp(xid) is not null`,
          [committed.filter(({ isFromBegin }) => isFromBegin).map(({ xid }) => String(xid))],
        )
        assert.ok(known.length > 15)
        for (const { xid, at } of known) assert.equal(String(assembled.of(Number(xid)).end?.at), at)
        for (const one of committed) {
          assert.ok(
            one.firstLsn <= one.lastLsn && one.lastLsn <= (one.end?.lsn ?? 0n) && one.walBytes >= one.records * 24,
          )
        }
      })

      test('that a crash ended are given out as such', async () => {
        const victim = await server.connect()
        await victim.query(`begin; insert into kept values (-5000, 'lost')`)
        const xid = await xidOf(victim)
        await server.query('create table flushed (id int)')
        assert.equal(assemble(server).open.find((one) => one.xid === xid)?.outcome, 'in-progress')
        await server.kill()
        await server.restart()
        await server.query('create table afterwards (id int)')
        const assembled = assemble(server)
        assert.equal(assembled.of(xid).outcome, 'crashed')
        assert.equal(assembled.of(xid).end, undefined)
        await client.end()
        client = await server.connect()
      })

      test('take no more memory than they may, and say what is missing', async () => {
        await client.query(`begin; do $$ begin for n in 1 .. 300 loop
          execute format('create table many_%s (id int); insert into many_%s values (1)', n, n); end loop; end $$`)
        const xid = await xidOf(client)
        await client.query('commit')
        const whole = assemble(server).of(xid)
        const small = assemble(server, { maxEntries: 100 }).of(xid)
        assert.ok(whole.isExact && whole.otherFiles === undefined && whole.wholeFilesLeftOut === 0)
        assert.ok(whole.files.length > 300 && small.files.length <= 100)
        const rows = ({ files, otherFiles }: WalTransaction) =>
          [...files, ...(otherFiles ? [otherFiles] : [])].reduce(
            (sum, one) => sum + one.inserted + one.updated + one.deleted,
            0,
          )
        assert.equal(rows(small), rows(whole))
        assert.equal(small.wholeFiles.length + small.wholeFilesLeftOut, whole.wholeFiles.length)
        assert.ok(small.wholeFilesLeftOut > 0)
      })
    })
  }

  test(`pgbench and CineTrack on PostgreSQL ${major}: what all transactions did to each table is what the server has counted`, async () => {
    await using server = await startTestServer({ major, settings: workloadSettings })
    await installTpcb(server.target, 2000)
    await installCineTrack({ target: server.target, scale: 0.02 })
    await server.query('checkpoint')
    const [begin] = await server.query<{ xid: string }>('select pg_current_xact_id()::text as xid')
    await server.query('select pg_stat_reset()')
    const loads = [
      await startTpcb({ target: server.target, accounts: 2000, connections: 2 }),
      await startTraffic({ target: server.target, scale: 0.02, connections: 3 }),
    ]
    await sleep(1500)
    for (const load of loads) await load.stop()
    const tables = await waitForStatistics(server)
    const assembled = assemble(server)
    const sums = new Map<number, { inserted: number; updated: number; deleted: number }>()
    for (const transaction of assembled.ended.filter(({ xid }) => xid > Number(begin?.xid))) {
      assert.ok(transaction.isFromBegin && transaction.isExact)
      assert.equal(transaction.rolledBackRows, 0)
      for (const { file, inserted, updated, deleted } of transaction.files) {
        const sum = sums.get(file.relfilenode) ?? { inserted: 0, updated: 0, deleted: 0 }
        sum.inserted += inserted
        sum.updated += updated
        sum.deleted += deleted
        sums.set(file.relfilenode, sum)
      }
    }
    assert.ok(tables.length > 8)
    for (const { name, file, ...counts } of tables) {
      const { inserted, updated, deleted } = sums.get(Number(file)) ?? { inserted: 0, updated: 0, deleted: 0 }
      assert.deepEqual({ inserted: String(inserted), updated: String(updated), deleted: String(deleted) }, counts, name)
    }
    assert.deepEqual(
      assembled.open.map(({ xid }) => xid),
      [],
    )
  })
}

const rowsInserted = ({ files }: WalTransaction) => files.reduce((sum, { inserted }) => sum + inserted, 0)

interface Table {
  readonly name: string
  readonly file: string
  readonly inserted: string
  readonly updated: string
  readonly deleted: string
}

/** Sessions hand in what they have counted when they end. */
async function waitForStatistics(server: TestServer): Promise<Table[]> {
  const others = `select 1 from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`
  while ((await server.query(others)).length > 0) await sleep(20)
  return server.query<Table>(
    `select relname as name, pg_relation_filenode(relid)::text as file, n_tup_ins::text as inserted, n_tup_upd::text as updated,
       n_tup_del::text as deleted
     from pg_stat_user_tables where n_tup_ins + n_tup_upd + n_tup_del > 0`,
  )
}
