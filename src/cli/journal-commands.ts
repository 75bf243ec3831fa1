/** The commands that read the log, as data; a part of `command-table.ts`. */
import type { CommandDeclaration } from './command.ts'

export const journalCommands: readonly CommandDeclaration[] = [
  {
    path: ['find'],
    summary: 'find the moment: mass deletions, emptied and dropped tables, with the target just before each',
    details:
      "Reads the WAL that is held, without a server, and shows what may have been a mistake, the worst first. A deletion is large by the rows that the table had when the last backup was made, and by what is usual for it. Times are the server's clock.",
    examples: [
      { command: 'retake find', note: 'of the last 24 hours' },
      {
        command: 'retake find --since 2026-11-22T08:00:00Z --table public.reviews',
        note: 'one table, since an instant',
      },
      { command: 'retake find --kind mass-delete --rows 1000 --json', note: 'for machines' },
    ],
    options: [
      {
        flags: '--since <instant>',
        description: 'with its offset, such as 2026-11-22T08:00:00Z (default: 24 hours ago)',
      },
      { flags: '--until <instant>', description: 'with its offset (default: the end of what is held)' },
      { flags: '--table <name>', description: 'only this table: NAME or SCHEMA.NAME' },
      {
        flags: '--kind <kind>',
        description: 'only mass-delete, mass-update, truncate, drop, drop-database or schema-change',
      },
      { flags: '--rows <number>', description: 'only with so many deleted and changed rows, or more' },
      { flags: '--limit <number>', description: 'how many are shown (default 20)' },
      { flags: '--timeline <number>', description: 'default: the newest' },
    ],
  },
  {
    path: ['journal', 'update'],
    summary: 'store what happened in the WAL that is held, so that it is found without reading it again',
    details:
      'A receiver does this by itself, for every sixteen segments; this is for WAL that is there already. Nothing is lost with a journal: it is made of the WAL, and goes with it.',
    examples: [
      { command: 'retake journal update', note: 'what is not stored yet' },
      {
        command: 'retake journal update --rebuild',
        note: 'all of it anew, when a verification has found damage in it',
      },
      { command: 'retake journal update --json', note: 'for machines' },
    ],
    options: [{ flags: '--rebuild', description: 'also what is there' }],
  },
]
