/** The commands that read the log, as data; a part of `command-table.ts`. */
import type { CommandDeclaration } from './command.ts'
import { TARGETS } from './table-options.ts'

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
        description: 'only mass-delete, mass-update, truncate, drop, drop-database, schema-change, burst or silence',
      },
      { flags: '--rows <number>', description: 'only with so many deleted and changed rows, or more' },
      { flags: '--limit <number>', description: 'how many are shown (default 20)' },
      { flags: '--timeline <number>', description: 'default: the newest' },
    ],
  },
  {
    path: ['preview'],
    summary: 'what a recovery to a moment brings back and what it loses; nothing is restored',
    details:
      'Reads the WAL from the target on: the last commit that is kept and the first that is lost, rows of each table, what is undone, what the server has that is not held yet, and what the recovery takes.',
    examples: [
      { command: 'retake preview --at before-xid:81211', note: 'just before an incident that `retake find` has shown' },
      { command: 'retake preview --at 2026-11-22T09:04:00Z', note: 'an instant' },
      { command: 'retake preview --at name:before_deploy --json', note: 'a mark, for machines' },
      {
        command: 'retake preview --at before-xid:81211 --sample public.reviews',
        note: 'with some rows as they were, out of a server that is thrown away',
      },
    ],
    options: [
      { flags: '--at <target>', description: `the moment: ${TARGETS}` },
      { flags: '--timeline <n>', description: 'a timeline to stay on (default: the newest)' },
      { flags: '--backup <id>', description: 'the backup to begin with (default: the newest before the target)' },
      {
        flags: '--sample [tables...]',
        description: 'also some rows of these tables as they were (default: of those that lose the most)',
      },
    ],
  },
  {
    path: ['mark'],
    summary: 'give this moment a name, to find it and to recover to it',
    details:
      'Writes a restore point into the WAL of the server. Of several with one name the newest counts. The role needs: grant execute on function pg_create_restore_point(text) to ROLE.',
    examples: [
      { command: 'retake mark before_deploy_42', note: 'before a deploy' },
      { command: 'retake mark before_migration --config prod.yaml', note: 'of another server' },
      { command: 'retake mark "before the migration" --json', note: 'with spaces, for machines' },
    ],
    arguments: [{ name: 'name', description: 'up to 63 bytes', required: true }],
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
