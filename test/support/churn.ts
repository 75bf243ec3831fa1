/** Everything that changes files in ways which page LSNs see, half see or do not see at all; round after round. */
import { chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Queryable } from '../../src/demo/content-digest.ts'
import { serverAccount } from '../../src/postgres/server/account.ts'
import type { TestServer } from './postgres.ts'

/** Indexes of every kind, so that every kind of page is written. */
const TABLES = `
  create table churn_rows (id bigint primary key, body text, point point, tags int[], day date);
  create index churn_hash on churn_rows using hash (body);
  create index churn_gin on churn_rows using gin (tags);
  create index churn_gist on churn_rows using gist (point);
  create index churn_spgist on churn_rows using spgist (point);
  create index churn_brin on churn_rows using brin (day);
  create table churn_moved (id bigint, body text);
  create table churn_emptied (id bigint, body text);
  create table churn_shrunk (id bigint primary key, body text);
  create unlogged table churn_unlogged (id bigint, body text);
  create sequence churn_sequence;
  insert into churn_moved select g, md5(g::text) from generate_series(1, 3000) g;
  insert into churn_unlogged select g, md5(g::text) from generate_series(1, 3000) g;`

const insertRows = (first: number, count: number) => `
  insert into churn_rows select g, md5(g::text) || repeat('r', g::int % 200), point(g % 997, g % 313), array[g::int % 50, g::int % 7], date '2026-01-01' + g::int % 700
  from generate_series(${first}, ${first + count - 1}) g`

export async function installChurn(server: TestServer, rows = 20_000): Promise<void> {
  const location = join(server.directory, 'churn-space')
  mkdirSync(location, { mode: 0o700 })
  const account = serverAccount(server.dataDir)
  if (account) chownSync(location, account.uid, account.gid)
  await server.query(TABLES)
  await server.query(insertRows(1, rows))
  await server.query(`create tablespace churn_space location '${location}'`)
  await server.query('create database churn_source')
  await server.query('vacuum freeze churn_rows')
}

/** One round of changes; each has something of its own. Statements run one by one, because many may not be in a transaction. */
export function churnRound(round: number, rows = 20_000): string[] {
  const first = rows + 1 + round * 500
  const common = [
    insertRows(first, 500),
    `update churn_rows set body = body || '!' where id % 211 = ${round % 211}`,
    `delete from churn_rows where id % 307 = ${round % 307}`,
    `insert into churn_shrunk select g, repeat('s', 400) from generate_series(${first}, ${first + 499}) g`,
    `select nextval('churn_sequence') from generate_series(1, 40)`,
    `insert into churn_emptied select g, 'e' from generate_series(1, 1000) g`,
  ]
  const own: readonly (readonly string[])[] = [
    [
      'vacuum churn_rows',
      'drop database if exists churn_logged',
      'create database churn_logged template churn_source strategy wal_log',
    ],
    // Freed at its end, the file becomes shorter, and is filled again in the next round.
    [
      'delete from churn_shrunk',
      'vacuum churn_shrunk',
      'drop database if exists churn_copied',
      'create database churn_copied oid 61000 template churn_source strategy file_copy',
    ],
    ['truncate churn_emptied', 'vacuum full churn_moved', 'reindex table churn_rows', 'vacuum freeze churn_rows'],
    // The same oid, the same files by name, other pages, and none of them logged.
    ['drop database churn_copied', 'create database churn_copied oid 61000 template template1 strategy file_copy'],
    [
      'alter table churn_moved set tablespace churn_space',
      'alter database churn_logged set tablespace churn_space',
      'cluster churn_rows using churn_rows_pkey',
    ],
    [
      'alter table churn_moved set tablespace pg_default',
      'alter database churn_logged set tablespace pg_default',
      'alter table churn_unlogged set logged',
    ],
    [
      'drop database churn_logged',
      'drop table if exists churn_new',
      'create table churn_new as select g, md5(g::text) from generate_series(1, 5000) g',
      'alter table churn_unlogged set unlogged',
    ],
    [
      'vacuum (freeze, truncate) churn_rows',
      'update churn_new set g = g + 1 where g % 10 = 0',
      'select count(*) from churn_rows',
    ],
  ]
  return [...common, ...(own[round % own.length] ?? [])]
}

export async function churn(server: Queryable, round: number, rows?: number): Promise<void> {
  for (const statement of churnRound(round, rows)) await server.query(statement)
}
