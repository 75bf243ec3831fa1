/** The commands about single tables, as data; part of the table in `command-table.ts`. */
import { tableFormats } from '../engine/tables/deliver-files.ts'
import type { CommandArgument, CommandDeclaration } from './command.ts'
import { tableOptions } from './table-options.ts'

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
]
