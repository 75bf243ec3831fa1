/** The commands about single tables, as data; part of the table in `command-table.ts`. */
import { tableFormats } from '../engine/tables/deliver-files.ts'
import { mergeModes } from '../engine/tables/merge-sql.ts'
import type { CommandArgument, CommandDeclaration } from './command.ts'
import { deletedByOption, tableOptions } from './table-options.ts'

const tables: CommandArgument = {
  name: 'table',
  description: 'as SQL writes it: reviews (in public), shop.reviews, \'"My Schema"."T"\'',
  required: true,
  several: true,
}

export const tableCommands: readonly CommandDeclaration[] = [
  {
    path: ['restore', 'table'],
    summary: 'bring tables back as they were at a moment, beside those that are there',
    details:
      'Only the catalogs and the files of these tables are fetched, and WAL is replayed to the target in a throw-away server on this machine. By default the tables go into the living database (RETAKE_DATABASE_URL) under new names, such as reviews_restored_20261122t0904, in one transaction: with rows, types, NOT NULL and primary key, and closed to everybody but their owner. ' +
      'With --out nothing is written to the database. docs/restore-table.md has more.',
    examples: [
      {
        command: 'retake restore table shop.reviews --at 2026-11-22T09:04:00Z',
        note: 'as shop.reviews_restored_20261122t0904',
      },
      {
        command: 'retake restore table shop.reviews shop.orders --at before-xid:812 --out restored --format csv',
        note: 'into files',
      },
      {
        command: `retake restore table users --at name:before_deploy --where "email like '%@example.org'"`,
        note: 'some of its rows',
      },
    ],
    arguments: [tables],
    options: [
      ...tableOptions,
      deletedByOption,
      { flags: '--where <condition>', description: 'only these rows, as after WHERE in SQL' },
      {
        flags: '--out <directory>',
        description: 'write a file for each table into this directory, and nothing to the database',
        completes: 'directory',
      },
      {
        flags: '--format <format>',
        description: 'with --out: sql (with the definition; needs pg_dump of that version; the default), csv or binary',
        choices: tableFormats,
      },
    ],
  },
  {
    path: ['restore', 'merge'],
    summary: 'put rows as they were at a moment into the tables that are there now',
    details:
      'By primary key, in one transaction, with every constraint in force. Rows that came since stay. Without --apply nothing is changed, and it says what would be: rows that are missing, rows that differ, and what stands against it. With --apply a script for psql that takes the merge back is written first. ' +
      'Triggers of the tables do not fire, so that rows come as they were. Several tables that refer to each other are merged together, parents first.',
    examples: [
      {
        command: 'retake restore merge shop.reviews --at before-xid:812',
        note: 'what it would do: the rows that transaction 812 deleted come back',
      },
      {
        command: 'retake restore merge shop.reviews shop.replies --at before-xid:812 --apply --confirm shop.reviews',
        note: 'does it, for a table and one that refers to it',
      },
      {
        command: 'retake restore merge shop.reviews --deleted-by 812',
        note: 'only what transaction 812 deleted, and nothing that others deleted after it',
      },
      {
        command: `retake restore merge prices --at 2026-11-22T09:04:00Z --rows changed --where "region = 'EU'" --apply --undo undo.sql`,
        note: 'some rows get their old values back; asks for the name of the table',
      },
    ],
    arguments: [tables],
    options: [
      ...tableOptions,
      deletedByOption,
      {
        flags: '--rows <mode>',
        description: 'missing: only insert what is not there (default); changed: also overwrite what differs',
        choices: mergeModes,
      },
      { flags: '--where <condition>', description: 'only these rows, as after WHERE in SQL' },
      { flags: '--apply', description: 'change the living database; without it nothing is' },
      { flags: '--confirm <table>', description: 'with --apply: the name of the first table' },
      {
        flags: '--undo <file>',
        description:
          'with --apply: where the script that takes it back is written (default: retake-undo-TIME.sql, here)',
        completes: 'file',
      },
    ],
  },
  {
    path: ['open'],
    summary: 'a server as it was at a moment, for psql or one query; removed afterwards',
    details:
      'Out of the backups, on this machine, beside everything that runs. With tables named, only they are fetched, and nothing else can be read. Nobody outside of this machine reaches it, nothing runs in it by itself, and what is written to it is thrown away. It stays until Ctrl-C or its time is over; what a killed command left is removed by the next one.',
    examples: [
      {
        command: `retake open shop.reviews --at before-xid:812 -c "select count(*) from shop.reviews"`,
        note: 'one question to one table',
      },
      { command: 'retake open shop.reviews shop.films --at 2026-11-22T09:04:00Z', note: 'two tables, for psql' },
      { command: 'retake open --at latest --minutes 240 --dir /srv', note: 'everything, for four hours' },
    ],
    arguments: [{ name: 'table', description: 'as SQL writes it; default: the whole cluster', several: true }],
    options: [
      ...tableOptions,
      { flags: '-c, --command <sql>', description: 'run this, print the rows of its last statement, and end' },
      { flags: '--minutes <n>', description: 'how long it stays (default 60)' },
    ],
  },
]
