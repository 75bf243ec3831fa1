/** The commands about what is kept, as data; part of the table in `command-table.ts`. */
import type { CommandDeclaration, CommandOption } from './command.ts'

/** What retention keeps; without them the configuration decides. */
const policyOptions: readonly CommandOption[] = [
  { flags: '--keep-days <n>', description: 'instead of retentionDays' },
  { flags: '--keep-wal-days <n>', description: 'instead of retentionWalDays' },
  { flags: '--keep-count <n>', description: 'instead of retentionCount' },
  { flags: '--keep-daily <n>', description: 'instead of retentionDaily' },
  { flags: '--keep-weekly <n>', description: 'instead of retentionWeekly' },
  { flags: '--keep-monthly <n>', description: 'instead of retentionMonthly' },
  { flags: '--keep-yearly <n>', description: 'instead of retentionYearly' },
]

export const retentionCommands: readonly CommandDeclaration[] = [
  {
    path: ['prune'],
    summary: 'give up what the retention policy does not keep, and delete what was given up before',
    details:
      'In two steps: what is given up is no longer listed or restored from, and is deleted by a later run, when the time of grace is over and nobody who began before is still using it. ' +
      'The last backup that can be restored, the last verified one, held ones, and whatever the recovery window stands on are never given up.',
    examples: [
      {
        command: 'retake prune --dry-run',
        note: 'each backup with the rule that keeps or drops it, the window and the bytes after',
      },
      { command: 'retake prune', note: 'by the policy of the configuration; run it once a day' },
      { command: 'retake prune --keep-days 30 --keep-monthly 12 --dry-run', note: 'try another policy' },
    ],
    options: [
      { flags: '--dry-run', description: 'say what would be done, and change nothing' },
      ...policyOptions,
      { flags: '--grace <hours>', description: 'instead of pruneGraceHours' },
      { flags: '--no-repack', description: 'leave packs as they are of which little is needed' },
      { flags: '--forget-damaged', description: 'also give up backups whose manifest cannot be read' },
    ],
  },
  {
    path: ['retention', 'simulate'],
    summary: 'what a policy will have kept on each of the next days',
    details:
      'What is stored now is counted as it is, a further backup as the mean of the increments that there are, and packs as long as a backup needs them. Changes nothing.',
    examples: [
      { command: 'retake retention simulate --days 60', note: 'the policy of the configuration, a backup a day' },
      {
        command: 'retake retention simulate --days 365 --backup-every 6h --keep-days 14 --keep-weekly 8',
        note: 'another one',
      },
      { command: 'retake retention simulate --days 30 --json', note: 'for machines' },
    ],
    options: [
      { flags: '--days <n>', description: 'how far to look ahead', required: true },
      { flags: '--backup-every <duration>', description: 'such as 24h (default), 30m or 7d' },
      ...policyOptions,
    ],
  },
  {
    path: ['retention', 'hold'],
    summary: 'keep a backup from being given up, whatever the policy says',
    examples: [
      {
        command: 'retake retention hold 20261122T090411Z-1f2e3d4c --reason "audit 2026"',
        note: 'until it is released',
      },
      {
        command:
          'retake retention hold 20261122T090411Z-1f2e3d4c --reason "before upgrade" --until 2027-01-31T00:00:00Z',
        note: 'until a moment',
      },
      { command: 'retake retention hold 20261122T090411Z-1f2e3d4c --reason audit --json', note: 'for machines' },
    ],
    arguments: [{ name: 'backup', description: 'the id of the backup', required: true }],
    options: [
      { flags: '--reason <text>', description: 'who needs it, and what for', required: true },
      { flags: '--until <instant>', description: 'afterwards the policy decides again' },
      { flags: '--dry-run', description: 'say what would be done, and do nothing' },
    ],
  },
  {
    path: ['retention', 'release'],
    summary: 'end the holds of a backup: the policy decides again',
    examples: [
      { command: 'retake retention release 20261122T090411Z-1f2e3d4c', note: 'all of its holds' },
      { command: 'retake retention release 20261122T090411Z-1f2e3d4c --dry-run', note: 'say which holds those are' },
      { command: 'retake retention release 20261122T090411Z-1f2e3d4c --cluster billing', note: 'of another cluster' },
    ],
    arguments: [{ name: 'backup', description: 'the id of the backup', required: true }],
    options: [{ flags: '--dry-run', description: 'say what would be done, and do nothing' }],
  },
]
