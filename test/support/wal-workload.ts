/** A history with every kind of record that is decoded, and most of those that are not, for tests against a real server. */
import { chownSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import type pg from 'pg'
import { sleep } from '../../src/base/abort.ts'
import { serverAccount } from '../../src/postgres/server/account.ts'
import type { TestServer } from './postgres.ts'

export const workloadSettings: Readonly<Record<string, string>> = {
  wal_keep_size: '2GB',
  max_prepared_transactions: '10',
  autovacuum: 'off',
  // What waits for a lock here would wait for ever.
  lock_timeout: '20s',
  track_commit_timestamp: 'on',
  min_parallel_table_scan_size: '0',
  max_parallel_maintenance_workers: '2',
}

/** Every statement is of its own, so that transactions are what they say. */
export async function runWorkload(server: TestServer): Promise<void> {
  await rows(server)
  await transactions(server)
  await definitions(server)
  await indexes(server)
  await marks(server)
  await server.query('create table last (id int)')
}

async function all(server: TestServer, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await server.query(statement)
}

async function rows(server: TestServer): Promise<void> {
  await all(server, [
    'create table item (id int primary key, body text, extra text)',
    `insert into item select n, repeat(md5(n::text), 3) from generate_series(1, 2000) n`,
    'checkpoint',
    `update item set extra = 'hot' where id <= 50`,
    `update item set id = -id where id between 100 and 160`,
    'delete from item where id between 200 and 260',
    `insert into item values (1, 'x') on conflict (id) do update set body = 'conflict'`,
    `insert into item values (-9999, 'new') on conflict do nothing`,
    'begin; select * from item where id = 3 for update; select * from item where id = 4 for share; commit',
    // TOAST, in place and out of it.
    'create table long (id int primary key, body text)',
    'alter table long alter column body set storage external',
    `insert into long select n, repeat(md5(n::text), 400) from generate_series(1, 60) n`,
    `update long set body = repeat(md5((id + 1)::text), 500) where id % 3 = 0`,
    'delete from long where id % 5 = 0',
    // Replica identities: the old row in the log, whole or its key.
    'create table identity (id int primary key, body text); alter table identity replica identity full',
    `insert into identity select n, 'body' from generate_series(1, 50) n`,
    `update identity set body = 'changed' where id < 20`,
    'delete from identity where id > 40',
    // Several rows in a record, on new pages and on old ones.
    'create table copied (id int, body text)',
    `insert into copied select n, 'few' from generate_series(1, 10) n`,
    `create table made as select n as id, repeat('m', 50) as body from generate_series(1, 3000) n`,
    `copy copied from program 'seq -f "%g" 1 5000 | sed "s/$/\tcopied/"'`,
    'begin; truncate copied; commit',
    `begin; create table frozen (id int); copy frozen from program 'seq 1 2000' (freeze); commit`,
    // Rows that move to another partition.
    'create table parted (id int, at int) partition by range (at)',
    'create table parted_1 partition of parted for values from (0) to (10)',
    'create table parted_2 partition of parted for values from (10) to (20)',
    'insert into parted select n, n % 20 from generate_series(1, 400) n',
    'update parted set at = at + 10 where at < 5',
    'vacuum (freeze) item',
    'delete from made where id > 100',
    'vacuum made',
  ])
  await speculativeConflict(server)
}

/** Two sessions insert the same key with `on conflict`: one of them has to take back the row that it has already written. */
async function speculativeConflict(server: TestServer): Promise<void> {
  await server.query('create table raced (id int, body text)')
  // The key is computed when a conflict is looked for, and again when the row that was written goes into the index.
  await server.query(`create function raced_key(id int) returns int immutable language plpgsql as $$ begin
    if coalesce(current_setting('raced.step', true), '') = '' then
      perform set_config('raced.step', 'looked', true);
      perform pg_advisory_xact_lock_shared(77);
    else
      perform pg_advisory_xact_lock_shared(78);
    end if;
    return id; end $$`)
  await server.query('create unique index raced_key on raced (raced_key(id))')
  const gate = await server.connect()
  const sessions = [await server.connect(), await server.connect()]
  try {
    await gate.query('select pg_advisory_lock(77), pg_advisory_lock(78)')
    const inserts = sessions.map((session) =>
      session.query(`insert into raced values (1, 'body') on conflict do nothing`),
    )
    for (const step of [77, 78]) {
      await bothWait(gate, step)
      await gate.query('select pg_advisory_unlock($1)', [step])
    }
    await Promise.all(inserts)
  } finally {
    for (const session of [gate, ...sessions]) await session.end()
  }
}

async function bothWait(gate: pg.Client, lock: number): Promise<void> {
  const query = `select 1 from pg_locks where locktype = 'advisory' and objid = $1 and not granted`
  while ((await gate.query(query, [lock])).rows.length < 2) await sleep(10)
}

async function transactions(server: TestServer): Promise<void> {
  await all(server, [
    `begin; savepoint a; insert into item values (-1, 'a'); savepoint b; delete from item where id = -1; commit`,
    `begin; insert into item values (-2, 'kept'); savepoint a; insert into item values (-3, 'gone'); rollback to a;
      insert into item values (-4, 'kept'); commit`,
    `begin; insert into item values (-5, 'gone'); rollback`,
    `begin; create table gone as select * from item; rollback`,
    // More subtransactions than a session's place in shared memory holds.
    `create procedure many() language plpgsql as $$ begin
      for n in 1 .. 150 loop
        begin
          insert into item values (-10000 - n, 'sub');
          if n % 10 = 0 then raise exception 'undone'; end if;
        exception when raise_exception then null;
        end;
      end loop; end $$`,
    'call many()',
  ])
  for (const end of ['commit prepared', 'rollback prepared']) {
    const name = `made_${end.split(' ')[0]}`
    const gid = `two phases, ${end}`
    await all(server, [
      `begin; savepoint s; create table ${name} (id int primary key); insert into ${name} select generate_series(1, 30);
        release s; drop table if exists identity; insert into item values (-20, 'two phases'); prepare transaction '${gid}'`,
      `${end} '${gid}'`,
      'delete from item where id = -20',
    ])
  }
  await server.query('create table kept (id int)')
  await server.query(`begin; insert into kept values (1); prepare transaction 'stays'`)
  await server.query(`select pg_replication_origin_create('elsewhere')`)
  await all(server, [
    `select pg_replication_origin_session_setup('elsewhere')`,
    `begin; select pg_replication_origin_xact_setup('1/ABCDEF', '2026-01-02 03:04:05.678901+00'); insert into item values (-30, 'replicated'); commit`,
    `select pg_replication_origin_session_reset()`,
  ])
}

async function definitions(server: TestServer): Promise<void> {
  const location = path.join(server.directory, 'space')
  mkdirSync(location)
  const account = serverAccount()
  if (account) chownSync(location, account.uid, account.gid)
  await all(server, [
    `create tablespace space location '${location}'`,
    `create table placed tablespace space as select n as id from generate_series(1, 500) n`,
    'alter table placed set tablespace pg_default',
    'create database by_log strategy wal_log',
    'create database by_files strategy file_copy',
    'drop database by_log',
    'drop database by_files',
    'alter table item add column added int default 7',
    'alter table item alter column added type bigint',
    'create table dropped as select * from item',
    'drop table dropped',
    'truncate made, copied restart identity cascade',
    'begin; truncate raced; rollback',
    'begin; create table twice (id int); insert into twice select generate_series(1, 900); truncate twice; insert into twice values (1); commit',
    'vacuum full item',
    'vacuum full pg_class',
    'cluster item using item_pkey',
    'create sequence counter',
    `select nextval('counter') from generate_series(1, 100)`,
    `alter sequence counter restart`,
    'delete from long where id > 10',
    'vacuum (truncate) long',
    'drop tablespace space',
    'analyze',
  ])
}

async function indexes(server: TestServer): Promise<void> {
  await all(server, [
    `create table indexed as select n as id, n % 10 as few, md5(n::text) as body, point(n, n % 7) as at,
      array[n % 5, n % 11] as list, int4range(n, n + 5) as span from generate_series(1, 5000) n`,
    'create index on indexed using btree (id)',
    'create index on indexed using hash (body)',
    'create index on indexed using gin (list)',
    'create index on indexed using gist (at)',
    'create index on indexed using spgist (at)',
    'create index on indexed using brin (id)',
    `insert into indexed select n, n % 10, md5(n::text), point(n, n % 7), array[n % 5, n % 11], int4range(n, n + 5)
      from generate_series(5001, 8000) n`,
    'delete from indexed where id % 3 = 0',
    'vacuum indexed',
    'reindex table indexed',
  ])
}

async function marks(server: TestServer): Promise<void> {
  await all(server, [
    `select pg_create_restore_point('before_the_change')`,
    `select pg_create_restore_point(repeat('n', 63))`,
    `select pg_logical_emit_message(true, 'prefix', 'with the transaction')`,
    `select pg_logical_emit_message(false, 'ü', 'at once')`,
    `select pg_logical_emit_message(true, 'long', repeat('0123456789', 320000))`,
  ])
  await setFullPageWrites(server, 'off')
  await setFullPageWrites(server, 'on')
  await server.query('select pg_switch_wal()')
  await server.query(`select pg_backup_start('backup', true); select * from pg_backup_stop(false)`)
}

/** Another process takes the new value over, sooner or later. */
async function setFullPageWrites(server: TestServer, value: 'on' | 'off'): Promise<void> {
  await server.query(`alter system set full_page_writes = ${value}`)
  await server.query('select pg_reload_conf()')
  for (;;) {
    await server.query('checkpoint')
    const [row] = await server.query<{ now: boolean }>('select full_page_writes as now from pg_control_checkpoint()')
    if (row?.now === (value === 'on')) return
  }
}
